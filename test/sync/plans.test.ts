/** Proves that a plan says what a sync would do and why, writes nothing by itself, and survives the death of its worker. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError } from '../../src/connectors/connector.ts';
import { advanceJob, syncAll } from '../../src/sync/operations.ts';
import { createPlan, expirePlans } from '../../src/sync/plans.ts';
import { lookForWork } from '../../src/sync/supervisor.ts';
import { dyingPool, untilKilled } from '../support/dyingPool.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';
import { openPlanShop, type PlanShop, readEntries, readPlan } from '../support/planShop.ts';

let open: fixtures.TestPool;
let shop: PlanShop;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openPlanShop(open.pool);
});

/** Which listings of the waiting connection are written to, oldest first. */
async function switches(): Promise<readonly boolean[]> {
  const { rows } = await open.pool.query<{ sync_enabled: boolean }>(
    'SELECT sync_enabled FROM listings WHERE connection_id = $1 ORDER BY id',
    [shop.connection.id],
  );
  return rows.map((row) => row.sync_enabled);
}

describe('a plan', () => {
  test('says what would be raised, lowered, zeroed, unchanged or left out, and why', async () => {
    await shop.item('MORE', 9);
    await shop.item('FEWER', 2);
    await shop.item('NONE', 0);
    await shop.item('SAME', 4);
    await shop.item('FBA', 4);
    const units = {
      more: shop.offer('MORE', 3),
      fewer: shop.offer('FEWER', 5, { sellsBeyond: true }),
      none: shop.offer('NONE', 5),
      same: shop.offer('SAME', 4),
      fba: shop.offer('FBA', 7, { writable: false }),
      stranger: shop.offer('STRANGER', 7),
      nameless: shop.offer(null, 7),
      uncounted: shop.offer('SAME', 7, { stock: { kind: 'notTracked' } }),
      silent: shop.offer('MORE', 1),
    };
    const { onRead } = shop.channel;
    shop.channel.onRead = (address) => {
      if (address.unitId === units.uncounted) return { kind: 'notTracked' };
      return address.unitId === units.silent ? { kind: 'unknown', reason: 'no row' } : onRead(address);
    };
    const planId = await shop.planned();
    const entries = await readEntries(open.pool, planId);
    const said = (unit: string) => [entries[unit]?.action, entries[unit]?.reason, entries[unit]?.why];
    expect(said(units.more)).toEqual([
      'raise',
      'ledger_differs',
      'It shows 3. Of 9 available it should show 9. The item is on 2 listings of this connection.',
    ]);
    expect(said(units.fewer)).toEqual([
      'lower',
      'ledger_differs',
      'It shows 5. Of 2 available it should show 2. The marketplace goes on selling it beyond that number. Switch off "Continue selling when out of stock" in Shopify, then import the catalogue again.',
    ]);
    expect(said(units.none)).toEqual([
      'zero',
      'nothing_left',
      'It shows 5. Of 0 available it should show 0.',
    ]);
    expect(said(units.same).slice(0, 2)).toEqual(['unchanged', 'in_step']);
    expect(said(units.fba).slice(0, 2)).toEqual(['left_out', 'not_writable']);
    expect(said(units.stranger)).toEqual([
      'left_out',
      'no_item',
      'No item is known for its SKU "STRANGER": map the SKU or make the item, then plan again.',
    ]);
    expect(said(units.nameless).slice(0, 2)).toEqual(['left_out', 'no_item']);
    expect(said(units.uncounted).slice(0, 2)).toEqual(['left_out', 'not_tracked']);
    expect(said(units.silent)).toEqual([
      'left_out',
      'unreadable',
      'The marketplace did not say what it shows: no row.',
    ]);
    // A number that is absent is not zero.
    expect(entries[units.silent]?.shown).toBeNull();
    expect(await readPlan(open.pool, planId)).toMatchObject({
      status: 'ready',
      listings: 9,
      raising: 1,
      lowering: 1,
      zeroing: 1,
      unchanged: 1,
      left_out: 5,
      channel_wins: 0,
      skipped: 0,
    });
  });

  test('counts rules in and names them', async () => {
    const item = await shop.item('MUG', 9);
    const [capped, paused] = [shop.offer('MUG', 9), shop.offer('MUG', 9)];
    await shop.planned();
    const rules = { [capped]: { quantityMax: 3 }, [paused]: { paused: true } };
    for (const [unit, rule] of Object.entries(rules))
      await open.pool.query('UPDATE listings SET rule = $2 WHERE unit_id = $1', [unit, rule]);
    await open.pool.query(`UPDATE accounts SET rule = '{"buffer": 2}' WHERE id = $1`, [item.accountId]);
    const entries = await readEntries(open.pool, await shop.planned({ replace: true }));
    expect(entries[capped]).toMatchObject({ action: 'lower', reason: 'rule', target: 3 });
    expect(entries[capped]?.why).toContain(
      '2 kept as a buffer (rule of the account), at most 3 (rule of the listing)',
    );
    expect(entries[paused]).toMatchObject({ action: 'zero', reason: 'paused', target: 0 });
  });

  test('writes neither to the channel nor to the ledger, and makes nothing dirty', async () => {
    const item = await shop.item('MUG', 9);
    shop.offer('MUG', 3);
    await shop.planned();
    await shop.push();
    expect(shop.channel.writes).toEqual([]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 9, seq: 1 });
    const { rows } = await open.pool.query('SELECT 1 FROM dirty_listings WHERE account_id = $1', [
      item.accountId,
    ]);
    expect(rows).toEqual([]);
  });

  test('of a new connection leaves its listings switched off, also when an order comes for the item', async () => {
    const item = await shop.item('MUG', 9);
    const unit = shop.offer('MUG', 3);
    await shop.planned();
    shop.sell(unit, 'MUG', 1);
    await shop.poll();
    await shop.push();
    expect(shop.channel.writes).toEqual([]);
    expect(await readStock(open.pool, item.id)).toMatchObject({ reserved: 1 });
  });

  test('is one while it is open, however often and at once it is asked for', async () => {
    shop.offer('MUG', 3);
    const ids = await Promise.all(Array.from({ length: 6 }, () => shop.create()));
    expect(new Set(ids).size).toBe(1);
    await shop.finish(ids[0] ?? '');
    expect(await shop.create()).toBe(ids[0]);
    const next = await shop.create({ replace: true });
    expect(next).not.toBe(ids[0]);
    expect(await readPlan(open.pool, ids[0] ?? '')).toMatchObject({ status: 'expired' });
  });

  test('is answered again under its key, and only to the account that owns the connection', async () => {
    const input = {
      connectionId: shop.connection.id,
      winner: 'ledger',
      replace: false,
      idempotencyKey: 'k',
    } as const;
    const first = await createPlan(shop.options(), shop.caller, input);
    expect(await createPlan(shop.options(), shop.caller, input)).toEqual(first);
    const stranger = { ...shop.caller, accountId: await fixtures.insertAccount(open.pool) };
    expect(await createPlan(shop.options(), stranger, input)).toMatchObject({
      ok: false,
      problems: [{ code: 'NOT_FOUND' }],
    });
    await open.pool.query(`UPDATE connections SET status = 'paused' WHERE id = $1`, [shop.connection.id]);
    expect(await createPlan(shop.options(), shop.caller, { ...input, idempotencyKey: null })).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_INPUT', message: 'The connection is paused.' }],
    });
  });

  test('expires after a day', async () => {
    const planId = await shop.planned();
    await open.pool.query(`UPDATE sync_plans SET created_at = now() - interval '25 hours' WHERE id = $1`, [
      planId,
    ]);
    await expirePlans(open.pool);
    expect(await readPlan(open.pool, planId)).toMatchObject({ status: 'expired' });
  });
});

describe('a worker on a plan', () => {
  test('goes on where a killed one stopped, wherever that was, and reads no listing twice', async () => {
    for (let index = 0; index < 8; index += 1) {
      await shop.item(`SKU-${index}`, index);
      shop.offer(`SKU-${index}`, 5);
    }
    const planId = await shop.create();
    let kills = 0;
    for (let statements = 1; (await readPlan(open.pool, planId)).status === 'planning'; statements += 1) {
      await untilKilled(shop.work(planId, { pool: dyingPool(open.pool, statements) }));
      kills += 1;
      await shop.leasesEnd();
    }
    expect(kills).toBeGreaterThan(5);
    expect(Object.keys(await readEntries(open.pool, planId))).toHaveLength(8);
    expect(await readPlan(open.pool, planId)).toMatchObject({ status: 'ready', listings: 8 });
  });

  test('is one at a time, and its work is found when every wake-up is lost', async () => {
    const planId = await shop.create();
    const woken: string[] = [];
    const wakeUps = { ...shop.options().wakeUps, plan: (id: string) => void woken.push(id) };
    const look = () => lookForWork({ db: open.pool, wakeUps });
    await look();
    expect(woken).toContain(planId);
    await open.pool.query(`UPDATE sync_plans SET leased_until = now() + interval '1 minute' WHERE id = $1`, [
      planId,
    ]);
    woken.length = 0;
    await look();
    expect(woken).not.toContain(planId);
    await shop.work(planId);
    expect(await readPlan(open.pool, planId)).toMatchObject({ status: 'planning' });
    await shop.leasesEnd();
    await shop.finish(planId);
    woken.length = 0;
    await look();
    expect(woken).not.toContain(planId);
  });

  test('waits for a channel that does not answer, and gives a plan up after so many attempts', async () => {
    shop.offer('MUG', 3);
    const planId = await shop.create();
    const { cataloguePages } = shop.channel;
    shop.channel.cataloguePages = () => {
      throw new ChannelError('unavailable', 'try later');
    };
    await shop.work(planId);
    expect(await readPlan(open.pool, planId)).toMatchObject({
      status: 'planning',
      error: 'unavailable: try later',
    });
    shop.channel.cataloguePages = cataloguePages;
    await shop.finish(planId);
    expect(await readPlan(open.pool, planId)).toMatchObject({ status: 'ready', error: null });

    const second = await shop.create({ replace: true });
    // A page that comes before the one that never does is no progress.
    shop.channel.cataloguePages = async function* () {
      yield* cataloguePages();
      throw new ChannelError('unavailable', 'never again');
    };
    expect(await shop.finish(second)).toBe('failed');
    expect(await readPlan(open.pool, second)).toMatchObject({ error: 'unavailable: never again' });
  });
});

describe('a connection that waits for its first plan', () => {
  test('brings its listings in switched off; one that does not wait brings them in switched on', async () => {
    shop.offer('ONE', 1);
    await shop.planned();
    expect(await switches()).toEqual([false]);
    await open.pool.query('UPDATE connections SET awaiting_plan = false WHERE id = $1', [shop.connection.id]);
    shop.offer('TWO', 1);
    await shop.planned({ replace: true });
    expect(await switches()).toEqual([false, true]);
  });

  test('is left alone when everything is brought in step, unless somebody says to begin without a plan', async () => {
    await shop.item('MUG', 9);
    const mug = shop.offer('MUG', 3);
    await shop.planned();
    const operations = { ...shop.options(), jobBatch: 10, jobOpenMax: 10 };
    const syncEverything = async (withoutPlan: boolean): Promise<void> => {
      const outcome = await syncAll(operations, shop.caller, { withoutPlan });
      if (outcome.ok) await advanceJob(operations, outcome.value.jobId);
      await shop.push();
    };
    await syncEverything(false);
    expect([shop.shows(mug), await switches()]).toEqual([3, [false]]);
    await syncEverything(true);
    expect([shop.shows(mug), await switches()]).toEqual([9, [true]]);
  });
});
