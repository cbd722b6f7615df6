/** Proves that with every wake-up lost all due work is found, nothing that is not due is woken, and old records go. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lookForWork, type SupervisorOptions, startSupervisor } from '../../src/sync/supervisor.ts';
import type { WakeUps } from '../../src/sync/wakeUps.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { createManualClock, type ManualClock } from '../support/manualClock.ts';
import { waitFor } from '../support/waiting.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let woken: string[];

beforeAll(async () => {
  open = await fixtures.openTestPool(4);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  await open.pool.query('TRUNCATE accounts CASCADE');
  woken = [];
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  await sql(
    `UPDATE connections SET next_poll_at = now() + interval '1 hour', next_price_look_at = now() + interval '1 hour',
            next_observation_at = now() + interval '1 hour'`,
  );
});

const sql = async (text: string): Promise<void> => void (await open.pool.query(text));

async function databaseTime(): Promise<number | undefined> {
  const { rows } = await open.pool.query<{ now: Date }>('SELECT now()');
  return rows[0]?.now.getTime();
}

const wakeUps: WakeUps = {
  push: (ids) => void woken.push(...ids.map((id) => `push ${id}`)),
  read: (ids) => void woken.push(...ids.map((id) => `read ${id}`)),
  prices: (ids) => void woken.push(...ids.map((id) => `prices ${id}`)),
  observe: (ids) => void woken.push(...ids.map((id) => `observe ${id}`)),
  poll: (ids) => void woken.push(...ids.map((id) => `poll ${id}`)),
  inbox: () => void woken.push('inbox'),
  job: (id) => void woken.push(`job ${id}`),
  plan: (id) => void woken.push(`plan ${id}`),
  flush: async () => undefined,
};

async function look(): Promise<string[]> {
  woken = [];
  const count = await lookForWork({ db: open.pool, wakeUps });
  expect(woken).toHaveLength(count);
  return woken.map((each) => each.replace(connection.id, 'here'));
}

async function dirtyListing(): Promise<string> {
  const item = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 3 });
  const listingId = await fixtures.insertListing(open.pool, connection, { itemId: item.id });
  await support.markDirty(open.pool, listingId);
  return listingId;
}

async function write(state: string): Promise<void> {
  const listingId = await fixtures.insertListing(open.pool, connection, { itemId: null });
  await open.pool.query(
    `INSERT INTO listing_writes (account_id, connection_id, listing_id, quantity, target_seq, state, sent_at)
     VALUES ($1, $2, $3, 1, 1, $4::write_state, now() - interval '1 minute')`,
    [connection.accountId, connection.id, listingId, state],
  );
}

/** A listing that is to be read from then on. */
async function readBy(when: string): Promise<void> {
  const item = await fixtures.insertItem(open.pool, connection.accountId);
  const listingId = await fixtures.insertListing(open.pool, connection, { itemId: item.id });
  await support.insertShadow(open.pool, support.createChannel(), listingId, 1);
  await sql(`UPDATE shadows SET read_due_at = ${when}`);
}

describe('a look', () => {
  test('finds nothing where nothing is due', async () => {
    expect(await look()).toEqual([]);
  });

  test('finds a listing that is dirty, also one whose worker died, but not one that waits or is being written', async () => {
    await dirtyListing();
    expect(await look()).toEqual(['push here']);
    await sql(`UPDATE dirty_listings SET leased_until = now() + interval '1 minute'`);
    expect(await look()).toEqual([]);
    await sql(`UPDATE dirty_listings SET leased_until = now() - interval '1 s'`);
    expect(await look()).toEqual(['push here']);
    await sql(`UPDATE dirty_listings SET not_before = now() + interval '1 minute'`);
    expect(await look()).toEqual([]);
  });

  test('finds a listing that is due to be read, and none that was read of late', async () => {
    // The column keeps milliseconds, and rounding up would make it due a moment after the look.
    await readBy(`now() - interval '1 ms'`);
    expect(await look()).toEqual(['read here']);
    await readBy(`now() + interval '1 minute'`);
    expect(await look()).toEqual([]);
  });

  test('finds a connection whose prices are due to be looked at, and none that waits for its first plan', async () => {
    await sql(`UPDATE connections SET next_price_look_at = now() - interval '1 s'`);
    expect(await look()).toEqual(['prices here']);
    await sql('UPDATE connections SET awaiting_plan = true');
    expect(await look()).toEqual([]);
  });

  test('finds a connection of which something is to be observed, also one that is switched off or waits for its first plan, and none that must not be called', async () => {
    await sql(
      `UPDATE connections SET next_observation_at = now() - interval '1 s', sync_enabled = false, awaiting_plan = true`,
    );
    expect(await look()).toEqual(['observe here']);
    await sql(`UPDATE connections SET status = 'needs_authorization'`);
    expect(await look()).toEqual([]);
  });

  test('finds a poll that is due, also one whose worker died, and one that is to find out whether access is back', async () => {
    await sql(`UPDATE connections SET next_poll_at = now() - interval '1 s'`);
    expect(await look()).toEqual(['poll here']);
    await sql(`UPDATE connections SET poll_lease_until = now() + interval '1 minute'`);
    expect(await look()).toEqual([]);
    await sql(
      `UPDATE connections SET poll_lease_until = now() - interval '1 s', status = 'needs_authorization'`,
    );
    expect(await look()).toEqual(['poll here']);
  });

  test('finds a delivery, also one whose worker died, but none that waits, is held or has ended', async () => {
    await fixtures.insertDelivery(open.pool, connection, Buffer.from('[]'));
    expect(await look()).toEqual(['inbox']);
    await sql(`UPDATE webhook_deliveries SET leased_until = now() + interval '1 minute'`);
    expect(await look()).toEqual([]);
    await sql(`UPDATE webhook_deliveries SET leased_until = now() - interval '1 s'`);
    expect(await look()).toEqual(['inbox']);
    await sql(`UPDATE webhook_deliveries SET status = 'failed'`);
    expect(await look()).toEqual([]);
  });

  test('wakes nobody for a connection that is paused, switched off or without access, except to poll', async () => {
    await dirtyListing();
    await sql(`UPDATE connections SET sync_enabled = false`);
    expect(await look()).toEqual([]);
    for (const status of ['paused', 'disconnected', 'needs_authorization']) {
      await sql(`UPDATE connections SET sync_enabled = true, status = '${status}'`);
      expect(await look()).toEqual([]);
    }
  });

  test('finds everything of everybody at once', async () => {
    const other = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool), 'etsy');
    await sql(
      `UPDATE connections SET next_price_look_at = now() + interval '1 hour', next_observation_at = now() + interval '1 hour'`,
    );
    await dirtyListing();
    await readBy('now()');
    await fixtures.insertDelivery(open.pool, connection, Buffer.from('[]'));
    expect((await look()).toSorted()).toEqual(['inbox', `poll ${other.id}`, 'push here', 'read here']);
  });
});

const sweep = (): Promise<never> => Promise.reject(new Error('the sweep failed'));

describe('the supervisor', () => {
  const dayMs = 86_400_000;

  function options(clock: ManualClock, more: Partial<SupervisorOptions> = {}): SupervisorOptions {
    return {
      db: open.pool,
      clock,
      wakeUps,
      lookIntervalMs: 1_000,
      housekeepingIntervalMs: 60_000,
      eventRetentionMs: dayMs,
      recordRetentionMs: dayMs,
      sweep: async () => undefined,
      expire: async () => undefined,
      onError: (error) => {
        throw error;
      },
      ...more,
    };
  }

  test('looks at once and again after each interval, and stops without waiting for one', async () => {
    await dirtyListing();
    const clock = createManualClock();
    const supervisor = startSupervisor(options(clock));
    await waitFor(() => clock.waiting() === 2);
    expect(woken).toHaveLength(1);
    clock.advance(1_000);
    await waitFor(() => woken.length === 2);
    await waitFor(() => clock.waiting() === 2);
    await supervisor.stop();
    clock.advance(5_000);
    expect(woken).toHaveLength(2);
  });

  test('patrols at intervals of their own, beside everything else', async () => {
    let patrolled = 0;
    const clock = createManualClock();
    const patrols = [{ intervalMs: 5_000, work: async () => void (patrolled += 1) }];
    const supervisor = startSupervisor(options(clock, { patrols }));
    await waitFor(() => clock.waiting() === 3);
    clock.advance(4_999);
    await waitFor(() => clock.waiting() === 3);
    expect(patrolled).toBe(1);
    clock.advance(1);
    await waitFor(() => patrolled === 2);
    await supervisor.stop();
  });

  test('reports a look that failed and looks again', async () => {
    const errors: unknown[] = [];
    let fails = true;
    const db = {
      query: async (...args: [never]) => {
        if (fails) throw new Error('the database is away');
        return open.pool.query(...args);
      },
    };
    await dirtyListing();
    const clock = createManualClock();
    const supervisor = startSupervisor(options(clock, { db, onError: (error) => void errors.push(error) }));
    await waitFor(() => clock.waiting() === 2);
    expect(new Set(errors.map(String))).toEqual(new Set(['Error: the database is away']));
    fails = false;
    clock.advance(1_000);
    await waitFor(() => woken.length === 1);
    await supervisor.stop();
  });

  test('keeps the rest of the house although one chore fails', async () => {
    await sql(`INSERT INTO idempotency_keys (account_id, key, operation, input_hash, created_at)
               SELECT id, 'old', 'o', 'h', now() - interval '9 days' FROM accounts`);
    const errors: unknown[] = [];
    const clock = createManualClock(await databaseTime());
    const supervisor = startSupervisor(
      options(clock, { sweep, onError: (error) => void errors.push(error) }),
    );
    await waitFor(() => clock.waiting() === 2);
    await supervisor.stop();
    expect(errors).toEqual([new Error('the sweep failed')]);
    expect((await open.pool.query('SELECT 1 FROM idempotency_keys')).rows).toEqual([]);
  });

  test('keeps house: sweeps, and removes only what is old and over', async () => {
    const old = `now() - interval '2 days'`;
    for (const status of ['processed', 'pending', 'failed']) {
      await sql(`INSERT INTO webhook_deliveries (account_id, connection_id, delivery_id, topic, body, status, received_at)
                 SELECT account_id, id, '${status} ' || age, 't', '', '${status}', now() - age * interval '1 day' FROM connections, generate_series(0, 2, 2) age`);
    }
    await sql(
      `INSERT INTO idempotency_keys (account_id, key, operation, input_hash, created_at) SELECT id, 'old', 'o', 'h', ${old} FROM accounts`,
    );
    await sql(
      `INSERT INTO idempotency_keys (account_id, key, operation, input_hash) SELECT id, 'new', 'o', 'h' FROM accounts`,
    );
    await write('accepted');
    await write('effective');
    await sql(`UPDATE listing_writes SET settled_at = ${old} WHERE state = 'effective'`);
    const clock = createManualClock(await databaseTime());
    let sweeps = 0;
    const supervisor = startSupervisor(options(clock, { sweep: async () => void (sweeps += 1) }));
    await waitFor(() => clock.waiting() === 2);
    await supervisor.stop();
    expect(sweeps).toBe(1);
    const left = await open.pool.query<{ what: string }>(
      `SELECT delivery_id AS what FROM webhook_deliveries UNION ALL SELECT key FROM idempotency_keys UNION ALL SELECT state::text FROM listing_writes ORDER BY 1`,
    );
    expect(left.rows.map(({ what }) => what)).toEqual([
      'accepted',
      'failed 0',
      'failed 2',
      'new',
      'pending 0',
      'pending 2',
      'processed 0',
    ]);
  });
});
