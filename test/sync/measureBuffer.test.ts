/** Proves what is measured of sales and writes: what became known when, in force when, collected in memory and written together. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../src/log.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { type InboxOptions, workOffInbox } from '../../src/sync/inbox.ts';
import { createMeasureBuffer, type MeasureBuffer } from '../../src/sync/measureBuffer.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { pollConnection } from '../../src/sync/poll.ts';
import { pushConnection } from '../../src/sync/push.ts';
import type { ReadingOptions } from '../../src/sync/readings.ts';
import { readConnection } from '../../src/sync/reads.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let seller: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let connections: Connections;
let measures: MeasureBuffer;

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  connection = await fixtures.insertConnection(open.pool, accountId);
  seller = await fixtures.insertConnection(open.pool, accountId, 'etsy');
  channel = support.createChannel();
  connections = support.connectTo(open.pool, { shopify: channel, etsy: support.createChannel('etsy') });
  measures = createMeasureBuffer();
});

type Stored = { readonly samples: readonly number[]; readonly count: number };

/** What stands in the connection's row, after everything collected was written. */
async function measured(of = connection): Promise<Readonly<Record<string, Stored>>> {
  await measures.flush(open.pool);
  const { rows } = await open.pool.query<{ measures: Record<string, Stored> }>(
    'SELECT measures FROM connections WHERE id = $1',
    [of.id],
  );
  return rows[0]?.measures ?? {};
}

const readings = (opened: Parameters<typeof support.readingOptions>[1]): ReadingOptions => {
  const options = support.readingOptions(open.pool, opened);
  return { ...options, context: { ...options.context, measures } };
};
const push = (): Promise<void> =>
  pushConnection(support.pushOptions(open.pool, connections, { readings }), connection.id);
const read = (): Promise<number> =>
  readConnection(support.readOptions(open.pool, connections, { readings }), connection.id);
const pass = (ms: number): Promise<void> => support.letTimePass(open.pool, [connection.id, seller.id], ms);
const listed = (onHand: number, shows: number): Promise<support.Listed> =>
  support.insertListed(open.pool, { connection, channel }, onHand, shows);

/** An order of another channel, placed so long ago. */
function sold({ item }: support.Listed, msAgo: number) {
  const at = new Date(support.clock.now() - msAgo);
  return fixtures.order({ createdAt: at, updatedAt: at, lines: [fixtures.orderLine({ sku: item.sku })] });
}

const poll = () => {
  const { fetching } = support.pushOptions(open.pool, connections);
  return pollConnection({ ...fetching, measures, connections, intervalMs: null }, connection.id);
};

describe('from sending a write until it is in force', () => {
  test('an effective answer ends it; nothing is written to the row before the flush', async () => {
    await listed(5, 9);
    channel.onWrite = async (write) => {
      await pass(700);
      return support.takeEffect(channel, write);
    };
    await push();
    const { rows } = await open.pool.query('SELECT measures FROM connections WHERE id = $1', [connection.id]);
    expect(rows).toEqual([{ measures: {} }]);
    const { writeToEffective } = await measured();
    expect(writeToEffective?.count).toBe(1);
    expect(writeToEffective?.samples[0]).toBeGreaterThanOrEqual(700);
    expect(writeToEffective?.samples[0]).toBeLessThan(5_000);
  });

  test('of an accepted write the reading that proves it does, and it is measured once', async () => {
    const one = await listed(5, 9);
    channel.onWrite = () => ({ kind: 'accepted', reference: 'feed' });
    await push();
    expect(await measured()).toEqual({});
    support.show(channel, one, 5);
    for (let look = 0; look < 4; look += 1) {
      await pass(10_001);
      await open.pool.query('UPDATE connections SET orders_watermark = $2 WHERE id = $1', [
        connection.id,
        new Date(support.clock.now()),
      ]);
      await read();
    }
    const { writeToEffective } = await measured();
    expect(writeToEffective?.count).toBe(1);
    expect(writeToEffective?.samples[0]).toBeGreaterThan(10_000);
    expect(writeToEffective?.samples[0]).toBeLessThan(40_000);
  });

  test('what time alone settles took as long as its bound, and what is refused tells nothing', async () => {
    await listed(5, 9);
    await listed(3, 9);
    channel.onWrite = ({ quantity }) =>
      quantity === 5
        ? { kind: 'accepted', reference: 'feed' }
        : { kind: 'rejected', code: 'NO', message: 'no', raw: null };
    await push();
    await pass(400_000);
    channel.onRead = () => ({ kind: 'unknown', reason: 'no row' });
    await read();
    const { writeToEffective } = await measured();
    expect(writeToEffective?.samples).toEqual([
      support.sendWithinMs + support.callMaxMs + channel.capabilities.settleMaxMs,
    ]);
  });
});

describe('from a sale until the lowered number is in force', () => {
  test('counts from the channel’s own time of the sale, for the channel that was lowered', async () => {
    const one = await listed(5, 5);
    await applyOrder(open.pool, fixtures.source(seller), sold(one, 40_000));
    await push();
    const { saleToEffective } = await measured();
    expect(saleToEffective?.count).toBe(1);
    expect(saleToEffective?.samples[0]).toBeGreaterThanOrEqual(40_000);
    expect(saleToEffective?.samples[0]).toBeLessThan(50_000);
    expect(await measured(seller)).toEqual({});
  });

  test('what people lower, and what is raised, is no sale', async () => {
    const one = await listed(5, 5);
    await support.moveStock(open.pool, one.item, -1);
    await push();
    await support.moveStock(open.pool, one.item, 4);
    await push();
    expect(Object.keys(await measured())).toEqual(['writeToEffective']);
  });
});

describe('from a sale until it is known', () => {
  test('by a poll: once for each new order, not for its changes', async () => {
    const order = sold(await listed(5, 5), 20_000);
    channel.orderPages = () => support.pages([order]);
    await poll();
    await pass(60_001);
    const updatedAt = new Date(support.clock.now());
    channel.orderPages = () => support.pages([{ ...order, status: 'processing', updatedAt }]);
    await poll();
    const { saleToKnown } = await measured();
    expect(saleToKnown?.count).toBe(1);
    expect(saleToKnown?.samples[0]).toBeGreaterThanOrEqual(20_000);
    expect(saleToKnown?.samples[0]).toBeLessThan(30_000);
  });

  test('an order from before the channel was connected was never news', async () => {
    await open.pool.query('UPDATE connections SET connected_at = now() WHERE id = $1', [connection.id]);
    const order = sold(await listed(5, 5), 3_600_000);
    channel.orderPages = () => support.pages([order]);
    expect(await poll()).toBe(1);
    expect(await measured()).toEqual({});
  });

  test('by a webhook', async () => {
    const order = sold(await listed(5, 5), 3_000);
    await fixtures.insertDelivery(
      open.pool,
      connection,
      Buffer.from(JSON.stringify([{ kind: 'order', order }])),
    );
    const inbox: InboxOptions = {
      db: open.pool,
      connections,
      clock: support.clock,
      log: silentLog(),
      batchMax: 10,
      connectionMax: 10,
      leaseMs: 60_000,
      attemptsMax: 3,
      backoffMaxMs: 1_000,
      onApplied: () => undefined,
      onShown: async () => undefined,
      measures,
    };
    await workOffInbox(inbox);
    expect((await measured())['saleToKnown']?.samples[0]).toBeGreaterThanOrEqual(3_000);
  });
});

describe('the buffer', () => {
  test('keeps what could not be written for the next time, and no more than a row keeps', async () => {
    for (let each = 0; each < 300; each += 1) measures.add(connection.id, 'saleToKnown', each);
    measures.add(seller.id, 'saleToKnown', 7);
    const broken = { query: async () => Promise.reject(new Error('no database')) };
    await expect(measures.flush(broken as never)).rejects.toThrow('no database');
    expect((await measured())['saleToKnown']?.samples).toHaveLength(200);
    expect((await measured())['saleToKnown']?.samples.at(-1)).toBe(299);
    expect((await measured(seller))['saleToKnown']?.samples).toEqual([7]);
    expect((await measured())['saleToKnown']?.count).toBe(200);
  });

  test('of a process is written when it stops', async () => {
    await using product = await startProduct({ skus: { MUG: 5 } });
    product.buy('shopify', 'MUG');
    await product.inStep();
    await product.app.engine.stopWork();
    const names = async (): Promise<readonly string[]> => {
      const { rows } = await product.db.query<{ measures: object }>('SELECT measures FROM connections');
      return [...new Set(rows.flatMap((row) => Object.keys(row.measures)))].toSorted();
    };
    await waitFor(async () => (await names()).includes('saleToKnown'));
    expect(await names()).toEqual(
      expect.arrayContaining(['saleToEffective', 'saleToKnown', 'writeToEffective']),
    );
  });
});
