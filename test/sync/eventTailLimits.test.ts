/** Proves that slow, leaving and long-absent subscribers lose nothing unseen and hurt nobody. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLocalBus } from '../../src/sync/bus.ts';
import { decodeCursor, encodeCursor, parseSnapshot, positionAt } from '../../src/sync/eventCursor.ts';
import { type Envelope, InvalidCursorError } from '../../src/sync/eventStream.ts';
import {
  append,
  cursorOf,
  heartbeatIntervalMs,
  lookIntervalMs,
  numbered,
  openStream,
  pruneAll,
  startTail,
  subscribe,
  subscription,
} from '../support/eventStreams.ts';
import * as fixtures from '../support/fixtures.ts';
import { waitFor } from '../support/waiting.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

type Stream = AsyncGenerator<Envelope, void>;

async function next(stream: Stream): Promise<Envelope> {
  const { value } = await stream.next();
  if (value === undefined) throw new Error('the stream has ended');
  return value;
}

async function take(stream: Stream, count: number): Promise<unknown[]> {
  const taken: unknown[] = [];
  for (let index = 0; index < count; index += 1) {
    const envelope = await next(stream);
    taken.push(envelope.kind === 'event' ? envelope.event.payload['n'] : envelope);
  }
  return taken;
}

function brokenFilter(): boolean {
  throw new Error('a broken filter');
}

describe('a subscriber slower than the log', () => {
  test('falls behind its bounded mailbox and goes on from the log, with nothing lost or doubled', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool, { mailboxMax: 3 });
    const slow = await openStream(running.tail, subscription(accountId));
    await using fast = subscribe(running.tail, accountId);
    const first = next(slow);
    let written = 0;
    let read: unknown[] = [];
    for (const burst of [1, 700, 2, 3, 4, 50, 1]) {
      await append(open.pool, ...numbered(accountId, written, written + burst));
      written += burst;
      running.bus.publish('log');
      // The fast one shows that the tail has passed this burst, whatever the slow one does.
      await waitFor(() => fast.numbers().length === written);
      if (read.length === 0) read = [0, await first].slice(0, 1);
      else read.push(...(await take(slow, Math.ceil(burst / 2))));
    }
    read.push(...(await take(slow, written - read.length)));
    expect(read).toEqual(Array.from({ length: written }, (_, n) => n));
    expect(fast.numbers()).toEqual(read);
    await slow.return();
  });

  test('is told of the gap when retention has removed what it did not take', async () => {
    await using own = await fixtures.openTestPool(4);
    const accountId = randomUUID();
    await using running = await startTail(own.pool, { mailboxMax: 2 });
    const slow = await openStream(running.tail, subscription(accountId));
    await using fast = subscribe(running.tail, accountId);
    const first = next(slow);
    await append(own.pool, ...numbered(accountId, 0, 1));
    running.bus.publish('log');
    const from = cursorOf(await first);
    await append(own.pool, ...numbered(accountId, 1, 6));
    running.bus.publish('log');
    await waitFor(() => fast.numbers().length === 6);
    await pruneAll(own.pool, 6);
    await append(own.pool, ...numbered(accountId, 6, 7));
    running.bus.publish('log');
    const gap = await next(slow);
    expect(gap).toMatchObject({ kind: 'gap', reason: 'RETENTION', from });
    expect(await take(slow, 1)).toEqual([6]);
    await slow.return();
    // Whoever resumes after the gap is not told of it again.
    await using resumed = subscribe(running.tail, accountId, { after: cursorOf(gap) });
    await resumed.hears(1);
    expect(resumed.numbers()).toEqual([6]);
  });

  test('is told of the gap when retention has overtaken the tail itself', async () => {
    await using own = await fixtures.openTestPool(4);
    const accountId = randomUUID();
    await using running = await startTail(own.pool);
    await using subscriber = subscribe(running.tail, accountId);
    await waitFor(() => running.clock.waiting() >= 2);
    // Nobody wakes the tail before all this is gone again.
    await append(own.pool, ...numbered(accountId, 0, 3));
    await pruneAll(own.pool, 3);
    await append(own.pool, ...numbered(accountId, 3, 4));
    running.bus.publish('log');
    await subscriber.hears(2);
    expect(subscriber.told[0]).toMatchObject({ kind: 'gap', reason: 'RETENTION' });
    expect(subscriber.numbers()).toEqual([3]);
  });

  test('whose filter fails ends alone, and the others hear everything once', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    await using broken = subscribe(running.tail, accountId, { accepts: brokenFilter });
    await using other = subscribe(running.tail, accountId);
    await append(open.pool, ...numbered(accountId, 0, 3));
    running.bus.publish('log');
    await expect(broken.ended).rejects.toThrow('a broken filter');
    await append(open.pool, ...numbered(accountId, 3, 4));
    running.bus.publish('log');
    await waitFor(() => other.numbers().includes(3));
    expect(other.numbers()).toEqual([0, 1, 2, 3]);
  });

  test('costs one abort listener, however often it falls behind', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool, { mailboxMax: 1 });
    const { signal } = new AbortController();
    let listeners = 0;
    const counted = new Proxy(signal, {
      get(target, name) {
        if (name === 'addEventListener')
          return (...parameters: Parameters<AbortSignal['addEventListener']>) => (
            (listeners += 1), target.addEventListener(...parameters)
          );
        if (name === 'removeEventListener')
          return (...parameters: Parameters<AbortSignal['removeEventListener']>) => (
            (listeners -= 1), target.removeEventListener(...parameters)
          );
        const value: unknown = Reflect.get(target, name);
        return value;
      },
    });
    const slow = await openStream(running.tail, subscription(accountId, { signal: counted }));
    await using fast = subscribe(running.tail, accountId, {});
    let pending = next(slow);
    for (let round = 0; round < 12; round += 1) {
      await append(open.pool, ...numbered(accountId, round * 4, round * 4 + 4));
      running.bus.publish('log');
      await pending;
      await waitFor(() => fast.numbers().length === round * 4 + 4);
      await take(slow, 3);
      pending = next(slow);
    }
    expect(listeners).toBeLessThanOrEqual(1);
    await append(open.pool, ...numbered(accountId, 48, 49));
    running.bus.publish('log');
    await pending;
    await slow.return();
    expect(listeners).toBe(0);
  });
});

describe('a cursor', () => {
  test('of a heartbeat moves on with the log although nothing concerned its subscriber, so retention leaves no gap after it', async () => {
    await using own = await fixtures.openTestPool(4);
    const [idleAccount, busyAccount] = [randomUUID(), randomUUID()];
    await using running = await startTail(own.pool);
    await using idle = subscribe(running.tail, idleAccount);
    await using busy = subscribe(running.tail, busyAccount);
    await append(own.pool, ...numbered(busyAccount, 0, 3));
    running.bus.publish('log');
    await busy.hears(3);
    const { rows } = await own.pool.query<{ xid: string }>('SELECT max(xid)::text AS xid FROM events');
    const newest = BigInt(rows[0]?.xid ?? 0);
    // A snapshot is only past the events once every transaction of the server that was open beside them has ended, those of other tests too.
    await waitFor(() => {
      running.bus.publish('log');
      running.clock.advance(heartbeatIntervalMs);
      return idle.told.length > 0 && decodeCursor(idle.lastCursor()).base.xmin > newest;
    });
    await pruneAll(own.pool, 3);
    await append(own.pool, ...numbered(idleAccount, 0, 1));
    await using resumed = subscribe(running.tail, idleAccount, { after: idle.lastCursor() });
    await resumed.hears(1);
    expect(resumed.told.map(({ kind }) => kind)).toEqual(['event']);
  });

  test('older than the log is answered with a gap that says where the log goes on', async () => {
    await using own = await fixtures.openTestPool(4);
    const accountId = randomUUID();
    await using running = await startTail(own.pool);
    const after = await running.tail.oldestCursor();
    await append(own.pool, ...numbered(accountId, 0, 5));
    await pruneAll(own.pool, 5);
    await append(own.pool, ...numbered(accountId, 5, 7));
    await using subscriber = subscribe(running.tail, accountId, { after });
    await subscriber.hears(3);
    const to = await running.tail.oldestCursor();
    expect(subscriber.told[0]).toEqual({ kind: 'gap', from: after, to, reason: 'RETENTION' });
    expect(subscriber.numbers()).toEqual([5, 6]);
    await using oldest = subscribe(running.tail, accountId, { after: to });
    await oldest.hears(2);
    expect(oldest.told.map(({ kind }) => kind)).toEqual(['event', 'event']);
  });

  test('of a log that was replaced is answered with a gap, and the stream goes on with what is new', async () => {
    await using own = await fixtures.openTestPool(4);
    const accountId = randomUUID();
    const before = await startTail(own.pool);
    const after = await before.tail.oldestCursor();
    await before.tail.stop();
    await append(own.pool, ...numbered(accountId, 0, 2));
    await own.pool.query(
      `UPDATE events SET xid = (pg_current_xact_id()::text::bigint + 1000000)::text::xid8`,
    );
    await using running = await startTail(own.pool);
    await using subscriber = subscribe(running.tail, accountId, { after });
    await subscriber.hears(1);
    await append(own.pool, ...numbered(accountId, 2, 3));
    running.bus.publish('log');
    await subscriber.hears(2);
    expect(subscriber.told[0]).toMatchObject({ kind: 'gap', from: after, reason: 'LOG_REPLACED' });
    expect(subscriber.numbers()).toEqual([2]);
  });

  test('from the future, as a restore to an earlier state leaves it with clients, is answered with the same gap', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    const after = encodeCursor(positionAt(1, parseSnapshot('900000000:900000000:')));
    await using subscriber = subscribe(running.tail, accountId, { after });
    await subscriber.hears(1);
    await append(open.pool, ...numbered(accountId, 0, 1));
    running.bus.publish('log');
    await subscriber.hears(2);
    expect(subscriber.told[0]).toMatchObject({ kind: 'gap', from: after, reason: 'LOG_REPLACED' });
    expect(subscriber.numbers()).toEqual([0]);
  });

  test.each([
    'nonsense',
    '',
    Buffer.from('1 9:3:').toString('base64url'),
    Buffer.from('7 3:9:').toString('base64url'),
  ])('%j that this server never made ends the stream with the error that says so', async (after) => {
    await using running = await startTail(open.pool);
    await using subscriber = subscribe(running.tail, randomUUID(), { after });
    await expect(subscriber.ended).rejects.toThrow(InvalidCursorError);
  });
});

/** A subscriber's filter shows whether the tail still serves its mailbox. */
async function served(leave: (stream: Stream, abort: AbortController) => Promise<unknown>): Promise<number> {
  const accountId = randomUUID();
  await using running = await startTail(open.pool);
  const abort = new AbortController();
  let asked = 0;
  const accepts = (): boolean => (asked += 1) > 0;
  const stream = await openStream(running.tail, subscription(accountId, { accepts, signal: abort.signal }));
  const first = next(stream);
  await append(open.pool, ...numbered(accountId, 0, 1));
  running.bus.publish('log');
  await first;
  await leave(stream, abort);
  asked = 0;
  await using witness = subscribe(running.tail, accountId);
  await append(open.pool, ...numbered(accountId, 1, 3));
  running.bus.publish('log');
  await witness.hears(2);
  return asked;
}

describe('leaving', () => {
  test('frees the mailbox', async () => {
    expect(await served(() => Promise.resolve())).toBe(2);
    expect(await served((stream) => stream.return())).toBe(0);
  });

  test('by the signal ends the stream while it waits, and frees the mailbox', async () => {
    const asked = await served(async (stream, abort) => {
      const waiting = stream.next();
      abort.abort();
      expect(await waiting).toEqual({ done: true, value: undefined });
    });
    expect(asked).toBe(0);
  });

  test('by a signal that was given before ends the stream at once', async () => {
    await using running = await startTail(open.pool);
    const stream = running.tail.subscribe(subscription(randomUUID(), { signal: AbortSignal.abort() }));
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test('in the middle of a replay ends it there', async () => {
    const accountId = randomUUID();
    await using running = await startTail(open.pool);
    await append(open.pool, ...numbered(accountId, 0, 10));
    const abort = new AbortController();
    const after = await running.tail.oldestCursor();
    const stream = running.tail.subscribe(subscription(accountId, { after, signal: abort.signal }));
    expect(await take(stream, 2)).toEqual([0, 1]);
    abort.abort();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});

test('a tail outlives a database that is away, tells the error, and misses nothing', async () => {
  await using own = await fixtures.openTestPool(4);
  const away = fixtures.openPool(`${own.url}?application_name=tail`, 2);
  const errors: unknown[] = [];
  const accountId = randomUUID();
  const bus = createLocalBus();
  const running = await startTail(away, { bus, onError: (error) => void errors.push(error) });
  await using subscriber = subscribe(running.tail, accountId);
  const database = new URL(own.url).pathname.slice(1);
  const allowConnections = (allowed: boolean): Promise<unknown> =>
    open.pool.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS ${allowed}`);
  await append(own.pool, ...numbered(randomUUID(), 0, 1));
  await allowConnections(false);
  await own.pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tail'`,
  );
  await append(own.pool, ...numbered(accountId, 0, 2));
  bus.publish('log');
  await waitFor(() => errors.length > 0);
  await allowConnections(true);
  await waitFor(() => {
    running.clock.advance(lookIntervalMs);
    return subscriber.numbers().length === 2;
  });
  expect(subscriber.numbers()).toEqual([0, 1]);
  await running.tail.stop();
  await away.end();
});
