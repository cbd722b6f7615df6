/** Proves that bundles get their alerts by what their components allow, found without looking at the bundles that lack nothing. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sweepAlerts } from '../../src/sync/alerts.ts';
import { insertBundle, setRecipe } from '../support/bundles.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { startRecording, statementsOf } from '../support/queryPlans.ts';

let open: fixtures.TestPool;
let etsy: fixtures.TestConnection;
/** Five are left of it. */
let component: fixtures.TestItem;

beforeAll(async () => {
  open = await fixtures.openTestPool(4);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  await open.pool.query('TRUNCATE accounts CASCADE');
  etsy = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool), 'etsy');
  component = await fixtures.insertItem(open.pool, etsy.accountId, { onHand: 5 });
});

const sql = (text: string, values: unknown[] = []) => open.pool.query(text, values);

/** A bundle of so many units of the component, of which a listing shows one. */
async function offered(units: number): Promise<fixtures.TestItem> {
  const bundle = await insertBundle(open.pool, etsy.accountId, [[component, units]]);
  await show(bundle);
  return bundle;
}

async function show(item: fixtures.TestItem, hold = 0): Promise<void> {
  const listing = await fixtures.insertListing(open.pool, etsy, { itemId: item.id });
  await sql(
    `INSERT INTO shadows (listing_id, account_id, connection_id, item_id, state, hold, shown_min, shown_max) VALUES ($1, $2, $3, $4, '{}', $5, 0, 1)`,
    [listing, etsy.accountId, etsy.id, item.id, hold],
  );
}

/** Nobody has changed an item for long. */
const timePasses = () => sql(`UPDATE inventory_items SET updated_at = now() - interval '1 day'`);
const lookAtEverything = () => sweepAlerts(open.pool, { everythingMs: 0 });

async function alerted(kind: string): Promise<string[]> {
  const { rows } = await sql(
    `SELECT item_id AS id FROM alerts WHERE kind = $1::alert_kind AND status <> 'resolved' ORDER BY id`,
    [kind],
  );
  return (rows as { id: string }[]).map(({ id }) => id);
}

describe('a bundle that is sold out and still shown', () => {
  test('is told once a minute although nothing of its own ever changes, and one that still can be made is not', async () => {
    const [, six] = [await offered(5), await offered(6)];
    await timePasses();
    expect(await lookAtEverything()).toBe(1);
    expect(await alerted('oversell_risk')).toEqual([six.id]);
    await support.moveStock(open.pool, component, 1);
    expect(await lookAtEverything()).toBe(1);
    expect(await alerted('oversell_risk')).toEqual([]);
  });

  test('is told as well where a component is held back, in doubt or oversold', async () => {
    const bundle = await offered(1);
    await timePasses();
    expect(await lookAtEverything()).toBe(0);
    await show(component, 5);
    await lookAtEverything();
    expect(await alerted('oversell_risk')).toEqual([bundle.id]);

    await sql('DELETE FROM shadows WHERE item_id = $1', [component.id]);
    await lookAtEverything();
    expect(await alerted('oversell_risk')).toEqual([]);
    await sql(
      `INSERT INTO sync_conflicts (account_id, item_id, conflict_type, conflict_data, suggested_resolution, delta)
       VALUES ($1, $2, 'quantity_mismatch', '{}', 'use_lowest', -5)`,
      [etsy.accountId, component.id],
    );
    await lookAtEverything();
    expect(await alerted('oversell_risk')).toEqual([bundle.id]);

    await sql('DELETE FROM sync_conflicts');
    await sql('DELETE FROM alerts');
    await support.moveStock(open.pool, component, -8);
    await timePasses();
    await lookAtEverything();
    expect(await alerted('oversell_risk')).toEqual([bundle.id]);
  });

  test('is found among those that lack something: no other is looked at', async () => {
    for (let units = 1; units <= 5; units += 1) await offered(units);
    const lacking = await offered(6);
    await timePasses();
    const recording = startRecording();
    const statements = await statementsOf(lookAtEverything);
    recording[Symbol.dispose]();
    const settled = statements.filter(({ text }) => text.includes('item.id = ANY($1)'));
    expect(settled.map(({ values }) => values)).toEqual([[[lacking.id]]]);
  });
});

describe('a bundle that is low on stock', () => {
  test('is told when the account changes what counts as low, by how many its components allow', async () => {
    const [one, two] = [await offered(1), await offered(2)];
    await timePasses();
    await sql('UPDATE accounts SET low_stock_units = 1, updated_at = now()');
    await sweepAlerts(open.pool);
    expect(await alerted('low_stock')).toEqual([]);
    await sql('UPDATE accounts SET low_stock_units = 2, updated_at = now()');
    await sweepAlerts(open.pool);
    expect(await alerted('low_stock')).toEqual([two.id]);
    await sql('UPDATE accounts SET low_stock_units = 5, updated_at = now()');
    await sweepAlerts(open.pool);
    // The component itself is offered nowhere.
    expect((await alerted('low_stock')).toSorted()).toEqual([one.id, two.id].toSorted());
  });
});

test('of every component it is known how much the bundle takes that takes most of it, whatever becomes of the recipes', async () => {
  const known = async (): Promise<number> => {
    const { rows } = await sql('SELECT part_max FROM inventory_items WHERE id = $1', [component.id]);
    return (rows as { part_max: number }[])[0]?.part_max ?? Number.NaN;
  };
  const seen = [await known()];
  const small = await insertBundle(open.pool, etsy.accountId, [[component, 2]]);
  seen.push(await known());
  const large = await insertBundle(open.pool, etsy.accountId, [[component, 9]]);
  seen.push(await known());
  await setRecipe(open.pool, large, [[component, 1]]);
  seen.push(await known());
  await sql('UPDATE bundle_components SET quantity = 7 WHERE bundle_id = $1', [large.id]);
  seen.push(await known());
  await sql('DELETE FROM inventory_items WHERE id = $1', [large.id]);
  seen.push(await known());
  await setRecipe(open.pool, small, []);
  seen.push(await known());
  expect(seen).toEqual([0, 2, 9, 2, 7, 2, 0]);
});
