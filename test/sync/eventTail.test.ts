/** Proves that every subscriber is told everything once and in ledger order, whatever writers, transactions and wake-ups do. */
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Queryable } from '../../src/db.ts';
import { type Bus, createLocalBus } from '../../src/sync/bus.ts';
import type { Envelope, LogEvent } from '../../src/sync/eventStream.ts';
import type { EventTail } from '../../src/sync/eventTail.ts';
import { adjust } from '../../src/sync/ledger.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import {
  append,
  cursorOf,
  heartbeatIntervalMs,
  lookIntervalMs,
  numbered,
  ofSubject,
  startTail,
  subscribe,
} from '../support/eventStreams.ts';
import * as fixtures from '../support/fixtures.ts';
import { createGate, waitFor } from '../support/waiting.ts';

let open: fixtures.TestPool;
/** For transactions that stay open while others work: those others never wait for one of these connections. */
let longOpen: pg.Pool;

beforeAll(async () => {
  open = await fixtures.openTestPool(12);
  longOpen = fixtures.openPool(open.url, 8);
});
afterAll(async () => {
  await longOpen.end();
  await open[Symbol.asyncDispose]();
});

const eventsOf = (told: readonly Envelope[]): LogEvent[] =>
  told.flatMap((envelope) => (envelope.kind === 'event' ? [envelope.event] : []));

/** A bus that loses every wake-up whose turn in `losses` says so. */
function createLossyBus(losses: readonly boolean[]): Bus {
  const bus = createLocalBus();
  let turn = 0;
  return {
    ...bus,
    publish(wakeUp) {
      turn += 1;
      if (losses[turn % losses.length] !== true) bus.publish(wakeUp);
    },
  };
}

/** Moves the stock of one item; `early` takes its transaction number first and commits only after `meanwhile`. A `looker` reads on right behind. */
async function moveStock(
  item: fixtures.TestItem,
  early: boolean,
  meanwhile: () => Promise<unknown>,
  looker?: EventTail,
): Promise<void> {
  const change = {
    accountId: item.accountId,
    itemId: item.id,
    onHandDelta: 1,
    idempotencyKey: fixtures.unique('key'),
    kind: 'adjustment',
    reason: 'received',
    reference: null,
    actor: systemActor,
  } as const;
  if (!early) {
    const writer = await open.pool.connect();
    try {
      await Promise.all([adjust(writer, change), looker?.lookOver(writer)]);
    } finally {
      writer.release();
    }
    return;
  }
  const client = await longOpen.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_current_xact_id()');
    await meanwhile();
    await adjust(client, change);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

describe('under concurrent writers, long transactions and lost wake-ups', () => {
  const runs = fc.record({
    moves: fc.array(fc.record({ item: fc.nat({ max: 2 }), early: fc.boolean(), looks: fc.nat({ max: 2 }) }), {
      minLength: 10,
      maxLength: 60,
    }),
    losses: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
    mailboxMax: fc.constantFrom(1, 3, 1_000),
  });

  test('the subscribers of two tails get each event exactly once, in item order, and can resume from every cursor', async () => {
    await fc.assert(
      fc.asyncProperty(runs, async ({ moves, losses, mailboxMax }) => {
        const accountId = await fixtures.insertAccount(open.pool);
        const bus = createLossyBus(losses);
        await using first = await startTail(open.pool, { bus, mailboxMax });
        await using second = await startTail(open.pool, { bus, mailboxMax });
        const beginning = await first.tail.oldestCursor();
        const items = await Promise.all(
          [0, 1, 2].map(() => fixtures.insertItem(open.pool, accountId, { onHand: 1 })),
        );
        await using live = subscribe(first.tail, accountId, { after: beginning });
        await using other = subscribe(second.tail, accountId, { after: beginning });

        const work = moves.map(async ({ item, early, looks }) => {
          const moved = items[item];
          if (moved === undefined) return;
          const looker = [undefined, first.tail, second.tail][looks];
          await moveStock(moved, early, () => append(open.pool, { accountId: randomUUID() }), looker);
          bus.publish('log');
        });
        const halfway = subscribe(second.tail, accountId, { after: beginning });
        await Promise.all(work);

        const expected = 3 + moves.length;
        const subscribers = [live, other, halfway];
        await waitFor(() => {
          // What a wake-up did not tell, the next look does.
          for (const { clock } of [first, second]) clock.advance(lookIntervalMs);
          return subscribers.every(({ told }) => eventsOf(told).length >= expected);
        });
        for (const { told } of subscribers) {
          const events = eventsOf(told);
          expect(events).toHaveLength(expected);
          for (const item of items) {
            const seqs = events
              .filter(({ subjectId }) => subjectId === item.id)
              .map(({ itemSeq }) => itemSeq);
            expect(seqs).toEqual(seqs.map((_, index) => index + 1));
          }
        }
        await halfway.end();
        await expectRestFromEveryCursor(second.tail, accountId, live.told);
        await expectRestFromEveryCursor(first.tail, accountId, halfway.told);
      }),
      { numRuns: 8 },
    );
  });
});

const identity = ({ subjectId, itemSeq }: LogEvent): string => `${subjectId} ${itemSeq}`;

/** Resumes after every envelope of a run and compares with what the run told after it. */
async function expectRestFromEveryCursor(
  tail: Parameters<typeof subscribe>[0],
  accountId: string,
  told: readonly Envelope[],
): Promise<void> {
  await Promise.all(
    told.map(async (envelope, index) => {
      const rest = eventsOf(told.slice(index + 1))
        .map(identity)
        .toSorted();
      await using resumed = subscribe(tail, accountId, { after: cursorOf(envelope) });
      // One more event could only come at once with the others: the log has not grown since.
      await waitFor(() => eventsOf(resumed.told).length >= rest.length);
      expect(eventsOf(resumed.told).map(identity).toSorted()).toEqual(rest);
    }),
  );
}

describe('a look over the connection of whoever has written', () => {
  test('tells what was written, and what others had written before, although nobody has woken the tail', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    await using subscriber = subscribe(running.tail, accountId);
    await append(open.pool, ...numbered(accountId, 0, 1));
    const writer = await open.pool.connect();
    await append(writer, ...numbered(accountId, 1, 2));
    expect(await running.tail.lookOver(writer)).toBe(true);
    writer.release();
    await subscriber.hears(2);
    expect(subscriber.numbers()).toEqual([0, 1]);
    await using resumed = subscribe(running.tail, accountId, {
      after: cursorOf(subscriber.told[0] ?? { kind: 'heartbeat', cursor: '' }),
    });
    await resumed.hears(1);
    expect(resumed.numbers()).toEqual([1]);
  });

  test('that was overtaken by another tells nothing twice, and each cursor still resumes after its own event', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    await using subscriber = subscribe(running.tail, accountId);
    const answers: (() => void)[] = [];
    // Both readings begin where the tail stands; their answers come in the order that the test chooses.
    const slowly: Queryable = {
      query: (async (...statement: Parameters<pg.Pool['query']>) => {
        const result = await (open.pool.query(...statement) as unknown as Promise<unknown>);
        await new Promise<void>((resolve) => answers.push(resolve));
        return result;
      }) as unknown as pg.Pool['query'],
    };
    await append(open.pool, ...numbered(accountId, 0, 1));
    const first = running.tail.lookOver(slowly);
    await waitFor(() => answers.length === 1);
    await append(open.pool, ...numbered(accountId, 1, 3));
    const second = running.tail.lookOver(slowly);
    await waitFor(() => answers.length === 2);
    await append(open.pool, ...numbered(accountId, 3, 4));
    const third = running.tail.lookOver(slowly);
    await waitFor(() => answers.length === 3);
    for (const [index, look] of [second, first, third].entries()) {
      answers[[1, 0, 2][index] ?? 0]?.();
      expect(await look).toBe(true);
    }
    await subscriber.hears(4);
    expect(subscriber.numbers()).toEqual([0, 1, 2, 3]);
    await expectRestFromEveryCursor(running.tail, accountId, subscriber.told);
  });

  test('that fails, or comes when several are under way, says so', async () => {
    await using running = await startTail(open.pool);
    const broken: Queryable = { query: () => Promise.reject(new Error('the connection broke')) };
    expect(await running.tail.lookOver(broken)).toBe(false);
    const gate = createGate();
    const stuck: Queryable = {
      query: (() => gate.opened.then(() => Promise.reject(new Error('late')))) as never,
    };
    const looks = Array.from({ length: 4 }, async () => running.tail.lookOver(stuck));
    expect(await running.tail.lookOver(open.pool)).toBe(false);
    gate.open();
    expect(await Promise.all(looks)).toEqual([false, false, false, false]);
    expect(await running.tail.lookOver(open.pool)).toBe(true);
  });
});

describe('a transaction that takes its number early and commits late', () => {
  test('holds up nobody, and its own events come when it commits', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    await using subscriber = subscribe(running.tail, accountId);
    const early = await open.pool.connect();
    await early.query('BEGIN');
    await append(early, ...numbered(accountId, 0, 2));
    await append(open.pool, ...numbered(accountId, 2, 4));
    running.bus.publish('log');
    await subscriber.hears(2);
    expect(subscriber.numbers()).toEqual([2, 3]);
    await early.query('COMMIT');
    early.release();
    running.bus.publish('log');
    await subscriber.hears(4);
    expect(subscriber.numbers()).toEqual([2, 3, 0, 1]);
  });

  test('is told once to a subscriber whose replay had overtaken the tail, and once more to nobody who resumes', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    const early = await open.pool.connect();
    await early.query('BEGIN');
    await append(early, ...numbered(accountId, 0, 1));
    await append(open.pool, ...numbered(accountId, 1, 3));
    // The tail has not been woken: the replay reads 1 and 2 before the tail does.
    await using subscriber = subscribe(running.tail, accountId, { after: await running.tail.oldestCursor() });
    await subscriber.hears(2);
    await early.query('COMMIT');
    early.release();
    running.bus.publish('log');
    await subscriber.hears(3);
    expect(subscriber.numbers()).toEqual([1, 2, 0]);

    await using resumed = subscribe(running.tail, accountId, { after: subscriber.lastCursor() });
    await append(open.pool, ...numbered(accountId, 3, 4));
    running.bus.publish('log');
    await waitFor(() => resumed.numbers().includes(3) && subscriber.numbers().includes(3));
    expect(resumed.numbers()).toEqual([3]);
    expect(subscriber.numbers()).toEqual([1, 2, 0, 3]);
  });
});

const isNotTwo = ({ payload }: LogEvent): boolean => payload['n'] !== 2;
const isBelowThree = ({ payload }: LogEvent): boolean => Number(payload['n']) < 3;

describe('a subscriber', () => {
  test('hears nothing of other accounts and topics, nor what it does not accept', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    await using subscriber = subscribe(running.tail, accountId, { accepts: isNotTwo });
    await append(
      open.pool,
      ...numbered(randomUUID(), 0, 1),
      { accountId, topic: 'order' },
      ...numbered(accountId, 1, 4),
    );
    running.bus.publish('log');
    await subscriber.hears(2);
    expect(subscriber.numbers()).toEqual([1, 3]);
  });

  test('that gave no cursor starts with what is committed after it came', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    await append(open.pool, ...numbered(accountId, 0, 1));
    running.bus.publish('log');
    await using witness = subscribe(running.tail, accountId, { after: await running.tail.oldestCursor() });
    await witness.hears(1);
    await waitFor(() => running.clock.waiting() >= 2);
    await using subscriber = subscribe(running.tail, accountId);
    await append(open.pool, ...numbered(accountId, 1, 2));
    running.bus.publish('log');
    await witness.hears(2);
    await subscriber.hears(1);
    expect(subscriber.numbers()).toEqual([1]);
  });

  test('gets the newest of each subject only, in LATEST, from the log as from the tail, and always the very last', async () => {
    const accountId = randomUUID();
    const [mug, cup] = [randomUUID(), randomUUID()];
    await using running = await startTail(open.pool, { mailboxMax: 2 });
    await append(
      open.pool,
      ...ofSubject(accountId, mug, 1, 20),
      ...ofSubject(accountId, cup, 1, 10),
      ...ofSubject(accountId, mug, 20, 30),
    );
    const after = await running.tail.oldestCursor();
    await using subscriber = subscribe(running.tail, accountId, { after, delivery: 'LATEST' });
    await subscriber.hears(2);
    expect(subscriber.numbers()).toEqual([9, 29]);
    await append(open.pool, ...ofSubject(accountId, cup, 10, 700), ...ofSubject(accountId, mug, 30, 900));
    running.bus.publish('log');
    await waitFor(() => subscriber.numbers().at(-1) === 899);
    const events = eventsOf(subscriber.told);
    expect(events.findLast(({ subjectId }) => subjectId === cup)?.itemSeq).toBe(699);
    for (const subjectId of [mug, cup]) {
      const seqs = events.filter((event) => event.subjectId === subjectId).map(({ itemSeq }) => itemSeq ?? 0);
      expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    }
    expect(events.length).toBeLessThan(12);
  });

  test('gets the newest that it accepts, in LATEST, when newer ones follow that it does not', async () => {
    const accountId = randomUUID();
    const subjectId = randomUUID();
    await using running = await startTail(open.pool);
    const after = await running.tail.oldestCursor();
    await using live = subscribe(running.tail, accountId, { accepts: isBelowThree, delivery: 'LATEST' });
    await waitFor(() => running.clock.waiting() >= 2);
    await append(open.pool, ...ofSubject(accountId, subjectId, 1, 6));
    running.bus.publish('log');
    await live.hears(1);
    await using replayed = subscribe(running.tail, accountId, {
      accepts: isBelowThree,
      after,
      delivery: 'LATEST',
    });
    await replayed.hears(1);
    expect([live.numbers(), replayed.numbers()]).toEqual([[2], [2]]);
  });

  test('gets heartbeats while nothing happens, and resumes from one without loss or repeats', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    await using subscriber = subscribe(running.tail, accountId);
    const late = await open.pool.connect();
    await late.query('BEGIN');
    await append(late, ...numbered(accountId, 0, 1));
    await append(open.pool, ...numbered(accountId, 1, 2), ...numbered(randomUUID(), 0, 3));
    running.bus.publish('log');
    await subscriber.hears(1);
    for (const beats of [1, 2, 3]) {
      await waitFor(() => running.clock.waiting() >= 2);
      running.clock.advance(heartbeatIntervalMs);
      await subscriber.hears(1 + beats);
    }
    expect(subscriber.told.map(({ kind }) => kind)).toEqual(['event', 'heartbeat', 'heartbeat', 'heartbeat']);
    const after = subscriber.lastCursor();
    await late.query('COMMIT');
    late.release();
    await append(open.pool, ...numbered(accountId, 2, 3));
    await using resumed = subscribe(running.tail, accountId, { after });
    await resumed.hears(2);
    expect(resumed.numbers()).toEqual([0, 2]);
  });
});
