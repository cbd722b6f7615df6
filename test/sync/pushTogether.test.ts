/** Writes of a channel that compares and takes many in one call: which of them leave together, and what becomes of them when nobody answers. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StockWrite, StockWriteResult } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { type PushOptions, pushConnection } from '../../src/sync/push.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let connections: Connections;
/** By key, what became of writes that nobody answered. */
let landing: Map<string, StockWriteResult>;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
  Object.assign(channel.capabilities, { compareAndSet: true, settleMaxMs: 0 });
  connections = support.connectTo(open.pool, { shopify: channel });
  landing = new Map();
});

const listed = (onHand: number, shows: number | null): Promise<support.Listed> =>
  support.insertListed(open.pool, { connection, channel }, onHand, shows);

const push = (more: Partial<PushOptions> = {}): Promise<void> =>
  pushConnection(support.pushOptions(open.pool, connections, more), connection.id);

const units = (writes: readonly StockWrite[]): readonly string[] =>
  writes.map(({ address }) => address.unitId);

/** Nobody answers from now on; `landed`: what is written comes into force all the same. */
function silence(landed: boolean): void {
  channel.onWrite = (write) => {
    if (landed) landing.set(write.key, support.takeEffect(channel, write));
    return { kind: 'unknown', reason: 'no answer in time' };
  };
}

/** As Shopify does: what is asked for again under its key is answered again, and not done again. */
function answerAgain(): void {
  channel.onWrite = (write) => landing.get(write.key) ?? support.takeEffect(channel, write);
}

const silentAnswers = [
  ['and had landed', true],
  ['and had not landed', false],
] as const;

describe('what fits one call leaves in one', () => {
  test('lowering writes in the first, raises in the next, however small the batches', async () => {
    const raised = [await listed(9, 5), await listed(9, 5)];
    const lowered = [await listed(5, 9), await listed(5, 9), await listed(0, 9)];
    await push({ batchMax: 1 });
    expect(channel.writeCalls.map((call) => units(call).length)).toEqual([3, 2]);
    expect(new Set(units(channel.writeCalls[0] ?? []))).toEqual(new Set(lowered.map(({ unitId }) => unitId)));
    expect(new Set(units(channel.writeCalls[1] ?? []))).toEqual(new Set(raised.map(({ unitId }) => unitId)));
  });
});

describe('the answer of a call was lost', () => {
  test.each(silentAnswers)(
    '%s: a write that was alone in it is asked for again under its key',
    async (_case, landed) => {
      await listed(5, 9);
      silence(landed);
      await push();
      answerAgain();
      await support.letTimePass(open.pool, connection.id, 60_000);
      await push();
      const [first, ...more] = channel.writes;
      expect(more).toEqual([first]);
    },
  );

  test.each(silentAnswers)(
    '%s: one that had company is never sent again under its key',
    async (_case, landed) => {
      const all = [await listed(5, 9), await listed(4, 9), await listed(9, 4)];
      silence(landed);
      await push();
      answerAgain();
      for (let round = 0; round < 4; round += 1) {
        await support.letTimePass(open.pool, connection.id, 60_000);
        await push();
      }
      const [first = []] = channel.writeCalls;
      for (const { key } of first)
        expect(channel.writes.filter((write) => write.key === key)).toHaveLength(1);
      const shown = all.map(({ unitId, variantId }) => support.shownOn(channel, { unitId, variantId }));
      expect(shown).toEqual([5, 4, 9]);
    },
  );

  test('a raise that had company is not repeated before its orders are known, though it reads as if it had never been there', async () => {
    const one = await listed(9, 5);
    await listed(9, 5);
    silence(true);
    await push();
    answerAgain();
    // All that it had offered is sold, and nobody has told of it yet.
    support.show(channel, one, 5);
    channel.capabilities.indexLagMs = 600_000;
    await support.letTimePass(open.pool, connection.id, 60_000);
    await push();
    expect(units(channel.writes).filter((unit) => unit === one.unitId)).toHaveLength(1);
  });
});
