/** Proves that each kind of alert is raised, brought up to date and closed by what is true, once for any number of workers, with a message that shows the way out. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { settleItemAlerts, sweepAlerts } from '../../src/sync/alerts.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let accountId: string;
let etsy: fixtures.TestConnection;
let ebay: fixtures.TestConnection;
let item: fixtures.TestItem;

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  await open.pool.query('TRUNCATE accounts CASCADE');
  accountId = await fixtures.insertAccount(open.pool);
  etsy = await fixtures.insertConnection(open.pool, accountId, 'etsy');
  ebay = await fixtures.insertConnection(open.pool, accountId, 'ebay');
  item = await fixtures.insertItem(open.pool, accountId, { sku: 'MUG', onHand: 0 });
});

const sql = (text: string, values: unknown[] = []) => open.pool.query(text, values);

async function offer(
  connection: fixtures.TestConnection,
  shownMax: number,
  more: object = {},
): Promise<string> {
  const listing = await fixtures.insertListing(open.pool, connection, { itemId: item.id, ...more });
  await sql(
    `INSERT INTO shadows (listing_id, account_id, connection_id, item_id, state, shown_min, shown_max) VALUES ($1, $2, $3, $4, '{}', 0, $5)`,
    [listing, accountId, connection.id, item.id, shownMax],
  );
  return listing;
}

const shows = (listing: string, shownMax: number) =>
  sql('UPDATE shadows SET shown_max = $2 WHERE listing_id = $1', [listing, shownMax]);

type Told = { kind: string; status: string; units: number; message: string | null };

async function alerts(): Promise<Told[]> {
  const { rows } = await sql(`SELECT kind::text, status::text, units, message FROM alerts ORDER BY id`);
  return rows as Told[];
}

async function current(): Promise<string[]> {
  return (await alerts())
    .filter(({ status }) => status !== 'resolved')
    .map(({ kind, status, units }) => `${kind} ${status} ${units}`)
    .toSorted();
}

async function events(): Promise<string[]> {
  const { rows } = await sql(
    `SELECT payload->>'kind' AS kind, payload->>'status' AS status FROM events WHERE topic = 'alert' AND account_id = $1 ORDER BY id`,
    [accountId],
  );
  return (rows as { kind: string; status: string }[]).map(({ kind, status }) => `${kind} ${status}`);
}

const ages = (kind: string, seconds: number) =>
  sql(`UPDATE alerts SET created_at = created_at - $2 * interval '1 s' WHERE kind = $1::alert_kind`, [
    kind,
    seconds,
  ]);

describe('what is sold out and may still be seen', () => {
  test('is told with the channels and the units they may still show, and closed once all show 0', async () => {
    const [one, two] = [await offer(etsy, 2), await offer(ebay, 1)];
    expect(await sweepAlerts(open.pool)).toBe(1);
    expect(await alerts()).toEqual([
      {
        kind: 'oversell_risk',
        status: 'open',
        units: 3,
        message:
          'MUG is sold out, and buyers may still see it: Etsy (My etsy, up to 2), eBay (My ebay, up to 1). A zero is on its way; until it is confirmed more can be sold than there is. To keep this from happening again, put it under escrow.',
      },
    ]);
    await shows(one, 0);
    expect(await sweepAlerts(open.pool)).toBe(1);
    expect(await current()).toEqual(['oversell_risk open 1']);
    await shows(two, 0);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual([]);
    expect(await events()).toEqual(['oversell_risk open', 'oversell_risk open', 'oversell_risk resolved']);
  });

  test('is told with escrow as the way out only where the item could be put under it', async () => {
    const wayOut = 'To keep this from happening again, put it under escrow.';
    const one = await offer(etsy, 2);
    const told = async () => {
      await sweepAlerts(open.pool);
      return (await alerts()).some(({ message }) => message?.includes(wayOut));
    };
    expect(await told()).toBe(false);
    await offer(ebay, 1);
    expect(await told()).toBe(true);
    await sql('UPDATE listings SET sells_beyond = true WHERE id = $1', [one]);
    expect(await told()).toBe(false);
    await sql('UPDATE listings SET sells_beyond = false WHERE id = $1', [one]);
    await sql(`UPDATE inventory_items SET protection = 'automatic'`);
    expect(await told()).toBe(false);
  });

  test('is no risk while units are left, nor where the channel owns the number or is no longer connected', async () => {
    await offer(etsy, 2, { writable: false });
    await offer(ebay, 2);
    await sql(`UPDATE connections SET status = 'disconnected' WHERE id = $1`, [ebay.id]);
    const stocked = await fixtures.insertItem(open.pool, accountId, { onHand: 1 });
    const listing = await offer(etsy, 1);
    await sql('UPDATE shadows SET item_id = $2 WHERE listing_id = $1', [listing, stocked.id]);
    expect(await sweepAlerts(open.pool)).toBe(0);
  });

  test('closes when stock comes in, whatever channels show', async () => {
    await offer(etsy, 2);
    await sweepAlerts(open.pool);
    await support.moveStock(open.pool, item, 1);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual([]);
  });

  test('is told again as still on sale after the set time, and both close together', async () => {
    const listing = await offer(etsy, 1);
    await sweepAlerts(open.pool);
    await ages('oversell_risk', 299);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual(['oversell_risk open 1']);
    await ages('oversell_risk', 2);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual(['oversell_risk open 1', 'still_on_sale open 1']);
    expect((await alerts()).at(-1)?.message).toMatch(
      /^MUG is sold out since \d{4}-\d\d-\d\d \d\d:\d\d UTC and still on sale: Etsy \(My etsy, up to 1\)\. Set it to 0 there by hand/,
    );
    expect(await sweepAlerts(open.pool)).toBe(0);
    await shows(listing, 0);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual([]);
  });

  test('is told sooner where the account says so, and says where sync is off', async () => {
    await offer(etsy, 1, { syncEnabled: false });
    await sql('UPDATE accounts SET still_on_sale_after_s = 10');
    await sweepAlerts(open.pool);
    await ages('oversell_risk', 11);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual(['oversell_risk open 1', 'still_on_sale open 1']);
    expect((await alerts()).at(-1)?.message).toContain('Etsy (My etsy, up to 1, sync is off)');
  });

  test('concerns people again who had seen it when more is on sale, and not when less is', async () => {
    const listing = await offer(etsy, 2);
    await sweepAlerts(open.pool);
    await sql(`UPDATE alerts SET status = 'acknowledged'`);
    await shows(listing, 1);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual(['oversell_risk acknowledged 1']);
    await shows(listing, 3);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual(['oversell_risk open 3']);
  });

  test('is found once a minute also where only a reading has changed, long after the last sale', async () => {
    await offer(etsy, 1);
    await sql(`UPDATE inventory_items SET updated_at = now() - interval '1 day'`);
    await sweepAlerts(open.pool);
    await sql('DELETE FROM alerts');
    expect(await sweepAlerts(open.pool)).toBe(0);
    expect(await sweepAlerts(open.pool, { everythingMs: 0 })).toBe(1);
  });

  test('is looked at for given items alone, right after they were settled', async () => {
    await offer(etsy, 1);
    expect(await settleItemAlerts(open.pool, [])).toBe(0);
    expect(await settleItemAlerts(open.pool, [item.id])).toBe(1);
    expect(await settleItemAlerts(open.pool, [item.id])).toBe(0);
  });
});

describe('low stock', () => {
  beforeEach(async () => {
    await offer(etsy, 0);
    await support.moveStock(open.pool, item, 11);
    await sql('UPDATE accounts SET low_stock_units = 10, updated_at = now()');
  });

  test('is told at the mark, kept up to date, and closed only clearly above it', async () => {
    expect(await sweepAlerts(open.pool)).toBe(0);
    await support.moveStock(open.pool, item, -1);
    await sweepAlerts(open.pool);
    expect((await alerts()).map(({ kind, units, message }) => [kind, units, message])).toEqual([
      [
        'low_stock',
        10,
        'MUG: 10 left to sell; 10 or fewer is low. Restock it, or change what counts as low.',
      ],
    ]);
    await support.moveStock(open.pool, item, 2);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual(['low_stock open 12']);
    await support.moveStock(open.pool, item, 1);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual([]);
    await support.moveStock(open.pool, item, -2);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual([]);
  });

  test('is told of items that are offered somewhere only', async () => {
    await fixtures.insertItem(open.pool, accountId, { onHand: 1 });
    expect(await sweepAlerts(open.pool)).toBe(0);
  });

  test('follows the account when that changes what counts as low, also for items that did not change for long', async () => {
    await sweepAlerts(open.pool);
    await sql(`UPDATE inventory_items SET updated_at = now() - interval '1 day'`);
    await sql('UPDATE accounts SET low_stock_units = 20, updated_at = now()');
    await sweepAlerts(open.pool);
    expect(await current()).toEqual(['low_stock open 11']);
    expect((await alerts())[0]?.message).toContain('20 or fewer is low');
    await sql('UPDATE accounts SET low_stock_units = 15, updated_at = now()');
    await sweepAlerts(open.pool);
    expect((await alerts())[0]?.message).toContain('15 or fewer is low');
    await sql('UPDATE accounts SET low_stock_units = NULL, updated_at = now()');
    await sweepAlerts(open.pool);
    expect(await current()).toEqual([]);
  });

  test('of more items than one page holds is told of each', async () => {
    await sql(
      `WITH item AS (INSERT INTO inventory_items (account_id, sku, title, quantity) SELECT $1, 'S' || n, 't', 3 FROM generate_series(1, 2100) n RETURNING id)
       INSERT INTO listings (account_id, connection_id, item_id, platform, unit_id) SELECT $1, $2, id, 'etsy', id::text FROM item`,
      [accountId, etsy.id],
    );
    expect(await sweepAlerts(open.pool)).toBe(2_100);
    expect(await sweepAlerts(open.pool)).toBe(0);
  });

  test('a change that began before the last look and ended after it is not missed', async () => {
    const client = await open.pool.connect();
    try {
      await client.query('BEGIN');
      await support.moveStock(client, item, -5);
      await sweepAlerts(open.pool);
      await client.query('COMMIT');
    } finally {
      client.release();
    }
    await sweepAlerts(open.pool);
    expect(await current()).toEqual(['low_stock open 6']);
  });
});

describe('a broken connection', () => {
  test('is one that waits for the seller; the alert names the way out and closes when access is back', async () => {
    await sql(`UPDATE connections SET status = 'needs_authorization' WHERE id = $1`, [etsy.id]);
    await sweepAlerts(open.pool);
    expect(await alerts()).toEqual([
      {
        kind: 'broken_connection',
        status: 'open',
        units: 0,
        message:
          'Etsy (My etsy) refuses our access. Authorise it again; until then its orders are not seen and its numbers not written.',
      },
    ]);
    const { rows } = await sql('SELECT item_id, connection_id FROM alerts');
    expect(rows).toEqual([{ item_id: null, connection_id: etsy.id }]);
    await sql(`UPDATE connections SET status = 'active' WHERE id = $1`, [etsy.id]);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual([]);
  });

  test('is one that answered with errors for ten minutes, and not one that did for less', async () => {
    const fails = (minutes: number) =>
      sql(
        `UPDATE connections SET last_error = 'unavailable: 503', failing_since = now() - $2 * interval '1 min' WHERE id = $1`,
        [etsy.id, minutes],
      );
    await fails(9);
    expect(await sweepAlerts(open.pool)).toBe(0);
    await fails(11);
    await sweepAlerts(open.pool);
    expect((await alerts())[0]?.message).toMatch(
      /^Etsy \(My etsy\) has answered with errors since .* \(unavailable\)\. It is tried on/,
    );
    await sql(`UPDATE connections SET status = 'paused'`);
    await sweepAlerts(open.pool);
    expect(await current()).toEqual([]);
  });
});

test('six workers that look at once raise each alert once and tell it once', async () => {
  const listing = await offer(etsy, 1);
  await sql(`UPDATE connections SET status = 'needs_authorization' WHERE id = $1`, [ebay.id]);
  const raised = await Promise.all(Array.from({ length: 6 }, () => sweepAlerts(open.pool)));
  expect(raised.reduce((sum, each) => sum + each, 0)).toBe(2);
  await shows(listing, 0);
  const closed = await Promise.all(Array.from({ length: 6 }, () => sweepAlerts(open.pool)));
  expect(closed.reduce((sum, each) => sum + each, 0)).toBe(1);
  expect((await events()).toSorted()).toEqual([
    'broken_connection open',
    'oversell_risk open',
    'oversell_risk resolved',
  ]);
});

const changed = async (call: string, values: unknown[]) =>
  (await sql(`SELECT ${call} AS changed`, values)).rows[0]?.changed as boolean;

const raise = (message: string) =>
  changed(`raise_alert($1, 'blast_stopped', NULL, $2, 0, $3)`, [accountId, etsy.id, message]);
const resolve = () => changed(`resolve_alert('blast_stopped', NULL, $1)`, [etsy.id]);

test('an alert that another part raises is told once, changed in place and closed once', async () => {
  expect([await raise('Look.'), await raise('Look.')]).toEqual([true, false]);
  expect(await raise('Look again.')).toBe(true);
  expect(await sweepAlerts(open.pool)).toBe(0);
  expect([await resolve(), await resolve()]).toEqual([true, false]);
  expect(await alerts()).toEqual([
    { kind: 'blast_stopped', status: 'resolved', units: 0, message: 'Look again.' },
  ]);
  expect(await events()).toEqual(['blast_stopped open', 'blast_stopped open', 'blast_stopped resolved']);
});
