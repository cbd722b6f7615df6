/** Proves that the log is read without loss or repeats however transactions overlap, and that what retention removed is on record. */
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeCursor, type Position, positionAt } from '../../src/sync/eventCursor.ts';
import { adoptRestoredLog, logState, pruneLog, readLog } from '../../src/sync/eventLog.ts';
import type { LogEvent } from '../../src/sync/eventStream.ts';
import { append, numbered, pruneAll } from '../support/eventStreams.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());

async function endOfLog(): Promise<Position> {
  const { epoch, now } = await logState(open.pool);
  return positionAt(epoch, now);
}

/** Everything of an account after a position, read page by page. */
async function readAll(accountId: string, from: Position, limit = 500): Promise<readonly LogEvent[]> {
  const found: LogEvent[] = [];
  for (let at = from; ; ) {
    const page = await readLog(open.pool, at, { accountId, topic: 'stock' }, limit);
    found.push(...page.events);
    if (page.atEnd) return found;
    at = page.next;
  }
}

const numbersOf = (events: readonly LogEvent[]): unknown[] => events.map(({ payload }) => payload['n']);

/** Writers whose transactions stay open from one step to the next; `committed` collects what readers must get. */
function createWriters(accountId: string, clients: readonly pg.PoolClient[]) {
  const pendingOf = new Map<number, number[]>();
  const committed: number[] = [];
  let n = 0;
  async function finish(index: number, how: 'commit' | 'rollback'): Promise<void> {
    const pending = pendingOf.get(index);
    if (pending === undefined) return;
    await clients[index]?.query(how);
    pendingOf.delete(index);
    if (how === 'commit') committed.push(...pending);
  }
  return {
    committed,
    async begin(index: number): Promise<void> {
      if (pendingOf.has(index)) return;
      // Takes its transaction number now, long before it writes.
      await clients[index]?.query('BEGIN; SELECT pg_current_xact_id()');
      pendingOf.set(index, []);
    },
    async write(index: number): Promise<void> {
      const client = clients[index];
      if (client === undefined) throw new Error('there is no such writer');
      n += 1;
      await append(client, { accountId, payload: { n } });
      const pending = pendingOf.get(index);
      if (pending === undefined) committed.push(n);
      else pending.push(n);
    },
    finish,
    async finishAll(): Promise<void> {
      for (const index of pendingOf.keys()) await finish(index, 'commit');
    },
  };
}

describe('under overlapping transactions', () => {
  const writers = 4;
  type Step =
    | { readonly kind: 'write' | 'begin' | 'commit' | 'rollback'; readonly writer: number }
    | { readonly kind: 'read'; readonly limit: number };
  const writer = fc.nat({ max: writers - 1 });
  const steps: fc.Arbitrary<readonly Step[]> = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ kind: fc.constant('write' as const), writer }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constantFrom('begin' as const, 'commit' as const), writer }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const), writer }) },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('read' as const), limit: fc.integer({ min: 1, max: 4 }) }),
      },
    ),
    { minLength: 5, maxLength: 50 },
  );

  test('each committed event is read exactly once, and every position on the way leads to exactly the rest', async () => {
    const clients = await Promise.all(Array.from({ length: writers }, () => open.pool.connect()));
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const accountId = randomUUID();
        const log = createWriters(accountId, clients);
        const read: number[] = [];
        const positions: { position: Position; readBefore: number }[] = [];
        let at = await endOfLog();
        positions.push({ position: at, readBefore: 0 });
        const readPage = async (limit: number): Promise<boolean> => {
          const page = await readLog(open.pool, at, { accountId, topic: 'stock' }, limit);
          for (const event of page.events) {
            read.push(Number(event.payload['n']));
            positions.push({ position: decodeCursor(event.cursor), readBefore: read.length });
          }
          at = page.next;
          positions.push({ position: at, readBefore: read.length });
          return page.atEnd;
        };
        for (const step of list) {
          if (step.kind === 'read') await readPage(step.limit);
          else if (step.kind === 'begin') await log.begin(step.writer);
          else if (step.kind === 'write') await log.write(step.writer);
          else await log.finish(step.writer, step.kind);
        }
        await log.finishAll();
        while (!(await readPage(3)));
        expect(read.toSorted((a, b) => a - b)).toEqual(log.committed.toSorted((a, b) => a - b));
        for (const { position, readBefore } of positions) {
          const rest = numbersOf(await readAll(accountId, position, 2)).map(Number);
          expect(rest.toSorted((a, b) => a - b)).toEqual(read.slice(readBefore).toSorted((a, b) => a - b));
        }
      }),
      { numRuns: 30 },
    );
    for (const client of clients) client.release();
  });

  test('an open transaction holds up nobody, and its events come when it commits', async () => {
    const accountId = randomUUID();
    const start = await endOfLog();
    const early = await open.pool.connect();
    await early.query('BEGIN');
    await append(early, ...numbered(accountId, 0, 2));
    await append(open.pool, ...numbered(accountId, 2, 5));
    const scope = { accountId, topic: 'stock' } as const;
    const before = await readLog(open.pool, start, scope, 100);
    expect(numbersOf(before.events)).toEqual([2, 3, 4]);
    await early.query('COMMIT');
    early.release();
    await append(open.pool, ...numbered(accountId, 5, 6));
    expect(numbersOf((await readLog(open.pool, before.next, scope, 100)).events)).toEqual([0, 1, 5]);
    expect(numbersOf(await readAll(accountId, start, 2))).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe('a read', () => {
  test('of one account and topic gives nothing of others', async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()];
    const start = await endOfLog();
    await append(
      open.pool,
      { accountId: mine, payload: { n: 1 } },
      { accountId: theirs, payload: { n: 2 } },
      { accountId: mine, topic: 'order', payload: { n: 3 } },
    );
    expect(numbersOf(await readAll(mine, start))).toEqual([1]);
    expect(numbersOf((await readLog(open.pool, start, null, 10)).events)).toEqual([1, 2, 3]);
  });

  test('stays on its snapshot until its batch is done, although the log grows', async () => {
    const accountId = randomUUID();
    const start = await endOfLog();
    await append(open.pool, ...numbered(accountId, 0, 3));
    const first = await readLog(open.pool, start, null, 2);
    await append(open.pool, ...numbered(accountId, 3, 4));
    const second = await readLog(open.pool, first.next, null, 2);
    expect([numbersOf(first.events), numbersOf(second.events)]).toEqual([[0, 1], [2]]);
    expect([first.atEnd, second.atEnd]).toEqual([false, false]);
    expect(numbersOf((await readLog(open.pool, second.next, null, 2)).events)).toEqual([3]);
  });
});

describe('retention', () => {
  const future = fixtures.after(10 * 365 * 86_400);

  test('removes only what everybody sees, and records how far', async () => {
    await using own = await fixtures.openTestPool(4);
    const accountId = randomUUID();
    await append(own.pool, ...numbered(accountId, 0, 3));
    const running = await own.pool.connect();
    await running.query('BEGIN');
    await append(running, ...numbered(accountId, 3, 4));
    await append(own.pool, ...numbered(accountId, 4, 6));
    await pruneAll(own.pool, 3);
    await running.query('COMMIT');
    running.release();
    const { pruned, now } = await logState(own.pool);
    expect(pruned?.xmin).toBe(pruned?.xmax);
    expect(pruned === null ? 0n : now.xmin - pruned.xmin).toBeGreaterThan(0n);
    const { rows } = await own.pool.query<{ n: number }>(
      `SELECT (payload->>'n')::int AS n FROM events ORDER BY id`,
    );
    expect(rows.map(({ n }) => n)).toEqual([3, 4, 5]);
  });

  test('keeps what is younger, and then records nothing', async () => {
    await using own = await fixtures.openTestPool(2);
    await append(own.pool, ...numbered(randomUUID(), 0, 3));
    expect(await pruneLog(own.pool, fixtures.after(-10 * 365 * 86_400))).toBe(0);
    expect((await logState(own.pool)).pruned).toBeNull();
  });

  test('never moves the record back when two run at once', async () => {
    await using own = await fixtures.openTestPool(4);
    const accountId = randomUUID();
    await append(own.pool, { accountId });
    await own.pool.query(`UPDATE events SET created_at = now() - interval '2 days'`);
    await append(own.pool, { accountId });
    const first = await own.pool.connect();
    await first.query('BEGIN');
    await pruneAll(first, 2);
    // Sees the log as it was before the first one, and would remove only the older event.
    const dayAgo = await own.pool.query<{ at: Date }>(`SELECT now() - interval '1 day' AS at`);
    const second = pruneLog(own.pool, dayAgo.rows[0]?.at ?? future);
    await fixtures.waitForBlocked(own.pool, 1);
    const { rows } = await first.query<{ pruned: string }>('SELECT pruned FROM event_log');
    await first.query('COMMIT');
    first.release();
    await second;
    expect((await logState(own.pool)).pruned?.text).toBe(rows[0]?.pruned);
  });
});

describe('a log that was restored into another cluster', () => {
  test('starts a new epoch once, with its events all in the past', async () => {
    await using own = await fixtures.openTestPool(4);
    await append(own.pool, ...numbered(randomUUID(), 0, 3));
    expect(await adoptRestoredLog(own.pool)).toBe(false);
    const before = await logState(own.pool);
    // As if their transactions were numbered by a cluster that has seen more of them.
    await own.pool.query(
      `UPDATE events SET xid = (pg_current_xact_id()::text::bigint + 1000000)::text::xid8`,
    );
    const first = await own.pool.connect();
    await first.query('BEGIN');
    expect(await adoptRestoredLog(first)).toBe(true);
    const second = adoptRestoredLog(own.pool);
    await fixtures.waitForBlocked(own.pool, 1);
    await first.query('COMMIT');
    first.release();
    expect(await second).toBe(false);
    expect(await adoptRestoredLog(own.pool)).toBe(false);
    expect((await logState(own.pool)).epoch).toBe(before.epoch + 1);
    const everything = positionAt(1, { text: '2:2:', xmin: 2n, xmax: 2n, running: new Set() });
    expect((await readLog(own.pool, everything, null, 10)).events).toEqual([]);
  });
});

test('costs the same however long the log is, also when its statements are planned once for all positions', async () => {
  const accountId = randomUUID();
  await open.pool.query(
    `INSERT INTO events (account_id, topic, subject_id, payload) SELECT $1, 'stock', uuid_v7(), '{}' FROM generate_series(1, 20000)`,
    [accountId],
  );
  await open.pool.query('ANALYZE events');
  const from = await endOfLog();
  await append(open.pool, ...numbered(accountId, 0, 3));
  const client = await open.pool.connect();
  try {
    await client.query('SET plan_cache_mode = force_generic_plan');
    for (const scope of [null, { accountId, topic: 'stock' }] as const) {
      const before = await pagesRead(client);
      const page = await readLog(client, from, scope, 500);
      const pages = (await pagesRead(client)) - before;
      expect(page.events.filter((event) => event.accountId === accountId)).toHaveLength(3);
      expect(pages).toBeLessThan(100);
    }
  } finally {
    await client.query('RESET plan_cache_mode');
    client.release();
  }
});

/** Pages of the log and its indexes that this connection has looked at so far in this transaction or before. */
async function pagesRead(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ pages: number }>(
    `SELECT (pg_stat_force_next_flush() IS NOT NULL OR true)::int * sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::int AS pages
       FROM pg_statio_user_tables WHERE relname = 'events'`,
  );
  return rows[0]?.pages ?? 0;
}
