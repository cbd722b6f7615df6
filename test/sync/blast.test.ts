/** Proves the blast-radius guard (C4): people's changes of too many listings stop until somebody has looked, and nothing else does. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { acknowledgeAlert } from '../../src/sync/alerts.ts';
import { approveBlast } from '../../src/sync/blast.ts';
import { blastAlwaysAllowed } from '../../src/sync/core/sending.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { type Caller, systemActor } from '../../src/sync/outcome.ts';
import { type PushOptions, pushConnection } from '../../src/sync/push.ts';
import { setRule } from '../../src/sync/rules.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let other: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let caller: Caller;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  connection = await fixtures.insertConnection(open.pool, accountId);
  other = await fixtures.insertConnection(open.pool, accountId, 'etsy');
  channel = support.createChannel();
  // A batch is never less than fits one call.
  channel.capabilities.writesPerCall = 1;
});

/** Listings that show 5, as they should. */
async function listed(count: number): Promise<readonly support.Listed[]> {
  const all: support.Listed[] = [];
  for (let index = 0; index < count; index += 1)
    all.push(await support.insertListed(open.pool, { connection, channel }, 5, 5));
  await open.pool.query('DELETE FROM dirty_listings WHERE connection_id = $1', [connection.id]);
  return all;
}

/** By a process that has just been started, whatever the ones before it remembered. */
const push = (more: Partial<PushOptions> = {}): Promise<void> => {
  const connections = support.connectTo(open.pool, { shopify: channel });
  return pushConnection(support.pushOptions(open.pool, connections, more), connection.id);
};
const written = (): number[] => channel.writes.map(({ quantity }) => quantity);

/** Once more after so long that everything that waits may be tried again. */
async function later(more: Partial<PushOptions> = {}): Promise<void> {
  await support.letTimePass(open.pool, connection.id, 120_000);
  await push(more);
}

async function change(items: readonly support.Listed[], delta: number): Promise<void> {
  for (const { item } of items) await support.moveStock(open.pool, item, delta);
}

const rule = (buffer: number) =>
  setRule({ pool: open.pool, onDirty: () => undefined, onResumed: () => undefined }, caller, {
    place: { level: 'connection', id: connection.id },
    rule: { buffer },
  });

/** Sold on another channel. */
async function sell({ item }: support.Listed): Promise<void> {
  const at = new Date(support.clock.now());
  const lines = [fixtures.orderLine({ sku: item.sku })];
  const order = fixtures.order({ createdAt: at, updatedAt: at, lines });
  await applyOrder(open.pool, fixtures.source(other, { observedAt: at }), order);
}

type AlertRow = { kind: string; status: string; units: number; message: string };

async function alerts(): Promise<readonly AlertRow[]> {
  const { rows } = await open.pool.query<AlertRow>(
    'SELECT kind::text, status::text, units, message FROM alerts WHERE connection_id = $1',
    [connection.id],
  );
  return rows;
}

async function told(): Promise<readonly AlertRow[]> {
  const { rows } = await open.pool.query<{ payload: AlertRow }>(
    `SELECT payload FROM events WHERE account_id = $1 AND topic = 'alert' AND payload->>'kind' = 'blast_stopped' ORDER BY id`,
    [caller.accountId],
  );
  return rows.map(({ payload }) => payload);
}

const alertEvents = async (): Promise<readonly string[]> => (await told()).map(({ status }) => status);

describe('too many at once', () => {
  test('a rule that changes more than change_share_max stops as a whole, with an alert that says so and an event', async () => {
    await listed(30);
    await rule(1);
    await push();
    expect(written()).toEqual([]);
    const [alert, ...more] = await alerts();
    expect(alert).toMatchObject({ kind: 'blast_stopped', status: 'open', units: 30 });
    expect(alert?.message).toContain('Of 30 listings 30 would change and 0 would go to zero');
    expect(more).toEqual([]);
    expect(await told()).toMatchObject([{ status: 'open', units: 30, message: alert?.message }]);
  });

  test('a change of stock that zeroes more than zero_share_max stops, although fewer than change_share_max change', async () => {
    const all = await listed(30);
    await change(all.slice(0, 12), -5);
    await push();
    expect(written()).toEqual([]);
    expect(await alerts()).toMatchObject([{ units: 12 }]);
    expect((await alerts())[0]?.message).toContain('12 would change and 12 would go to zero');
  });

  test('an alert that somebody has seen is open again when more would change, and not when fewer would', async () => {
    const all = await listed(30);
    await change(all.slice(0, 20), -1);
    await push();
    const { rows } = await open.pool.query<{ id: string }>('SELECT id FROM alerts WHERE connection_id = $1', [
      connection.id,
    ]);
    await acknowledgeAlert(open.pool, caller, rows[0]?.id ?? '');
    await later({ batchMax: 17 });
    expect(await alerts()).toMatchObject([{ status: 'acknowledged', units: 20 }]);
    await change(all.slice(20), -1);
    await later();
    expect(written()).toEqual([]);
    expect(await alerts()).toMatchObject([{ status: 'open', units: 30 }]);
    expect(await told()).toMatchObject([
      { status: 'open', units: 20 },
      { status: 'acknowledged', units: 20 },
      { status: 'open', units: 30, message: expect.stringContaining('30 would change') as string },
    ]);
  });

  test('as many as the shares allow go out', async () => {
    const all = await listed(30);
    await change(all.slice(0, 15), -1);
    await push();
    expect(written()).toHaveLength(15);
    expect(await alerts()).toEqual([]);
  });

  test('a small connection, and a handful of a large one, is never stopped', async () => {
    const all = await listed(blastAlwaysAllowed);
    await change(all, -5);
    await push();
    expect(written()).toEqual(Array.from({ length: blastAlwaysAllowed }, () => 0));
    expect(await alerts()).toEqual([]);
  });
});

describe('the count', () => {
  test('C4: holds over batches, retries and restarts, and tells once', async () => {
    const all = await listed(30);
    await change(all, -5);
    await push({ batchMax: 4 });
    expect(written()).toHaveLength(8);
    for (let restart = 0; restart < 4; restart += 1) await later({ batchMax: 1 });
    expect(written()).toHaveLength(8);
    expect(await alertEvents()).toEqual(['open']);
  });

  test('C4: is one for several workers at once', async () => {
    const all = await listed(30);
    await change(all, -5);
    await Promise.all([push({ batchMax: 3 }), push({ batchMax: 3 }), push({ batchMax: 3 })]);
    expect(written().length).toBeLessThanOrEqual(blastAlwaysAllowed);
    expect(await alerts()).toHaveLength(1);
  });

  test('the harmless part of what was stopped waits too', async () => {
    const all = await listed(30);
    await change(all.slice(0, 12), -5);
    await change(all.slice(12, 14), 3);
    await push({ batchMax: 12 });
    await later();
    expect(written()).toEqual([]);
  });

  test('changes that are an hour apart are not one', async () => {
    const all = await listed(30);
    await change(all.slice(0, 15), -1);
    await push();
    await open.pool.query(`UPDATE blast_counts SET since = since - interval '61 minutes'`);
    await change(all.slice(15), -1);
    await push();
    expect(written()).toHaveLength(30);
  });
});

describe('a sale', () => {
  test('is no change of people: any number of them lowers its listings', async () => {
    const all = await listed(30);
    for (const one of all) await sell(one);
    await push();
    expect(written()).toEqual(all.map(() => 4));
    expect(await alerts()).toEqual([]);
  });

  test('lowers its listing while the connection is stopped, also one that was stopped itself', async () => {
    const all = await listed(30);
    const [free] = await listed(1);
    const [stopped] = all;
    await change(all.slice(0, 20), -2);
    await push();
    expect(written()).toEqual([]);
    for (const one of [free, stopped]) if (one !== undefined) await sell(one);
    await push();
    expect([free, stopped].map((one) => one && support.shownOn(channel, one))).toEqual([4, 2]);
    expect(written()).toHaveLength(2);
  });
});

describe('the approval', () => {
  test('lets it go on at once, resolves the alert and is told', async () => {
    const all = await listed(30);
    await change(all, -5);
    await push();
    expect(written()).toEqual([]);
    expect(await approveBlast(open.pool, caller, connection.id)).toMatchObject({ ok: true });
    await push({ batchMax: 7 });
    expect(written()).toEqual(all.map(() => 0));
    const [alert] = await alerts();
    expect(alert?.status).toBe('resolved');
    expect(await told()).toMatchObject([{ status: 'open' }, { status: 'resolved', message: alert?.message }]);
    expect(await approveBlast(open.pool, caller, connection.id)).toMatchObject({ ok: true });
    expect(await alertEvents()).toHaveLength(2);
  });

  test('is given again when a push has met it in a deadlock', async () => {
    await change(await listed(30), -5);
    await push();
    let asked = 0;
    const db = {
      query: (async (sql: string, values: unknown[]) => {
        asked += 1;
        if (asked === 1) throw Object.assign(new Error('deadlock detected'), { code: '40P01' });
        return open.pool.query(sql, values);
      }) as typeof open.pool.query,
    };
    expect(await approveBlast(db, caller, connection.id)).toMatchObject({ ok: true });
    await push();
    expect(written()).toHaveLength(30);
  });

  test('of another account is refused and changes nothing', async () => {
    const all = await listed(30);
    await change(all, -5);
    await push();
    const accountId = await fixtures.insertAccount(open.pool);
    const stranger: Caller = { accountId, actor: systemActor, correlationId: 'test' };
    expect(await approveBlast(open.pool, stranger, connection.id)).toMatchObject({
      ok: false,
      problems: [{ code: 'NOT_FOUND' }],
    });
    await later();
    expect(written()).toEqual([]);
    expect(await alerts()).toMatchObject([{ status: 'open' }]);
  });

  test('ends after an hour', async () => {
    const all = await listed(30);
    await change(all, -1);
    await push();
    await approveBlast(open.pool, caller, connection.id);
    await push();
    expect(written()).toHaveLength(30);
    await open.pool.query(
      `UPDATE blast_counts SET since = since - interval '61 minutes', approved_until = approved_until - interval '61 minutes'`,
    );
    await change(all, -1);
    await push();
    expect(written()).toHaveLength(30);
    expect((await alerts()).map(({ status }) => status).toSorted()).toEqual(['open', 'resolved']);
  });
});
