/** Proves I5: an order for bundles moves all its components or none, in any order of arrival, in a rush, beside changing recipes and across crashes. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { applyOrder } from '../../src/sync/orders.ts';
import { arrivals, finalLevels, orderHistory, type Snapshot, snapshots } from '../support/arbitraries.ts';
import { insertBundle, type Recipe, setRecipe } from '../support/bundles.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';
import { repeatUntil } from '../support/repetition.ts';

const clients = 8;
const onHand = 100;
let open: fixtures.TestPool;
let connection: fixtures.TestConnection;

beforeAll(async () => {
  open = await fixtures.openTestPool(clients + 4);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
});

type Shop = {
  /** A, B and C: what is on the shelf. */
  readonly components: readonly fixtures.TestItem[];
  /** What orders name: two bundles, then A and B by themselves. */
  readonly offers: readonly { readonly item: fixtures.TestItem; readonly units: readonly number[] }[];
};

const newItem = () => fixtures.insertItem(open.pool, connection.accountId, { onHand });
const newBundle = (recipe: Recipe) => insertBundle(open.pool, connection.accountId, recipe);

async function newShop(): Promise<Shop> {
  const [a, b, c] = [await newItem(), await newItem(), await newItem()];
  const first = await newBundle([
    [a, 2],
    [b, 1],
  ]);
  const second = await newBundle([
    [c, 1],
    [b, 3],
  ]);
  for (const { id } of [a, b, c, first, second])
    await fixtures.insertListing(open.pool, connection, { itemId: id });
  return {
    components: [a, b, c],
    offers: [
      { item: first, units: [2, 1, 0] },
      { item: second, units: [0, 3, 1] },
      { item: a, units: [1, 0, 0] },
      { item: b, units: [0, 1, 0] },
    ],
  };
}

async function receive(snapshot: Snapshot): Promise<void> {
  await applyOrder(open.pool, fixtures.source(connection, snapshot), snapshot.order);
}

const cases = orderHistory(4).chain((history) =>
  fc.record({
    history: fc.constant(history),
    arrival: arrivals(history.versions.length),
    atOnce: fc.constantFrom(1, 4, clients),
  }),
);

test('I5: under any arrival each component ends at what the newest snapshot of the order makes of it', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ history, arrival, atOnce }) => {
      const { components, offers } = await newShop();
      const all = snapshots(
        history,
        fixtures.unique('order'),
        offers.map(({ item }) => item.sku),
      );
      const queue = arrival.flatMap((index) => all[index] ?? []);
      while (queue.length > 0) await Promise.all(queue.splice(0, atOnce).map(receive));
      const levels = finalLevels(history, offers.length);
      for (const [index, component] of components.entries()) {
        const sum = (of: 'reserved' | 'shipped'): number =>
          offers.reduce(
            (total, { units }, offer) => total + (units[index] ?? 0) * (levels[offer]?.[of] ?? 0),
            0,
          );
        expect(await readStock(open.pool, component.id)).toMatchObject({
          quantity: onHand - sum('shipped'),
          reserved: sum('reserved'),
        });
      }
      expect(await ledgerBreaches(open.pool)).toEqual([]);
    }),
    { numRuns: 25, endOnFailure: true },
  );
});

test('I5: an order for a bundle moves all its components or none: in a rush, while recipes change and workers are killed, no commit shows a part moved', async () => {
  const { components, offers } = await newShop();
  const [a, b, c] = components;
  const [first, second] = offers;
  if (!a || !b || !c || !first || !second) throw new Error('the shop is empty');
  const breakable = fixtures.openPool(`${open.url}?application_name=breakable`, clients);
  const queue = Array.from({ length: 200 }, (_, index) => {
    const lines = [first, second, offers[2 + (index % 2)]].flatMap((offer, line) =>
      offer === undefined || (index + line) % 4 === 0
        ? []
        : [fixtures.orderLine({ lineId: `${line}`, sku: offer.item.sku, reserved: 1 + (index % 3) })],
    );
    return fixtures.order({ lines: index % 2 === 0 ? lines : lines.toReversed() });
  });
  const orders = queue.length;
  const recipes: Recipe[] = [
    [
      [a, 1],
      [c, 2],
    ],
    [],
    [
      [c, 4],
      [b, 1],
      [a, 1],
    ],
  ];
  let deaths = 0;
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const taken = next;
      await applyOrder(breakable, fixtures.source(connection), taken).catch(() => {
        deaths += 1;
        queue.push(taken);
      });
    }
  };
  let change = 0;
  const working = Promise.all(Array.from({ length: clients }, worker));
  await repeatUntil(working, async () => {
    change += 1;
    await setRecipe(open.pool, first.item, recipes[change % recipes.length] ?? []);
    if (deaths < 30)
      await open.pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'breakable' AND state = 'active' LIMIT 2`,
      );
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });
  await breakable.end();
  expect(deaths).toBeGreaterThan(3);
  expect(change).toBeGreaterThan(3);
  expect(await ledgerBreaches(open.pool)).toEqual([]);
  const { rows } = await open.pool.query(
    `SELECT count(*)::int AS orders FROM orders WHERE account_id = $1 AND NOT EXISTS (
       SELECT FROM order_lines WHERE order_id = orders.id AND held_reserved <> reserved)`,
    [connection.accountId],
  );
  expect(rows).toEqual([{ orders }]);
});

async function inOpenRecipeChange(bundle: fixtures.TestItem, component: fixtures.TestItem) {
  const client = await open.pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM inventory_items WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE', [
    [bundle.id, component.id],
  ]);
  await client.query(
    'INSERT INTO bundle_components (account_id, bundle_id, component_id, quantity) VALUES ($1, $2, $3, 2)',
    [bundle.accountId, bundle.id, component.id],
  );
  return async () => {
    await client.query('COMMIT');
    client.release();
  };
}

test('an order that waited for a recipe to change makes the new bundle’s listings dirty', async () => {
  const [bundle, component] = [
    await fixtures.insertItem(open.pool, connection.accountId),
    await fixtures.insertItem(open.pool, connection.accountId, { onHand }),
  ];
  const listing = await fixtures.insertListing(open.pool, connection, { itemId: bundle.id });
  const commit = await inOpenRecipeChange(bundle, component);
  const order = fixtures.order({ lines: [fixtures.orderLine({ sku: component.sku })] });
  const waiting = applyOrder(open.pool, fixtures.source(connection), order);
  await fixtures.waitForBlocked(open.pool, 1);
  await commit();
  await waiting;
  const { rows } = await open.pool.query('SELECT listing_id FROM dirty_listings WHERE account_id = $1', [
    connection.accountId,
  ]);
  expect(rows).toEqual([{ listing_id: listing }]);
});

test('an order for an item that becomes a bundle at that moment takes the components', async () => {
  const [bundle, component] = [
    await fixtures.insertItem(open.pool, connection.accountId),
    await fixtures.insertItem(open.pool, connection.accountId, { onHand }),
  ];
  const commit = await inOpenRecipeChange(bundle, component);
  const order = fixtures.order({ lines: [fixtures.orderLine({ sku: bundle.sku, reserved: 3 })] });
  const waiting = applyOrder(open.pool, fixtures.source(connection), order);
  await fixtures.waitForBlocked(open.pool, 1);
  await commit();
  await waiting;
  expect(await readStock(open.pool, component.id)).toMatchObject({ quantity: onHand, reserved: 6 });
  expect(await readStock(open.pool, bundle.id)).toMatchObject({ quantity: 0, reserved: 0 });
  expect(await ledgerBreaches(open.pool)).toEqual([]);
});
