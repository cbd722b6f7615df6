/** When two buyers take the last unit on two marketplaces, everybody who should know does, whoever is listening and whoever sleeps. */
import { expect, test } from 'vitest';
import { soldBeyond } from '../../src/sandbox/demoShop.ts';
import { type Product, startProduct, tinyCatalogue } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { adjustStock, alertStream, itemBySku, openAlerts, stockStream } from './operations.ts';

/** Two buyers at the same moment, before anybody could have told the other marketplace. */
function sellLastUnitTwice(product: Product): string[] {
  return [product.buy('etsy', 'LAST').id, product.buy('shopify', 'LAST').id].toSorted();
}

async function receive(product: Product, sku: string, delta: number): Promise<void> {
  const { inventoryItemBySku: item } = await product.graphql(itemBySku, { sku });
  const { stockAdjust } = await product.graphql(adjustStock, {
    input: { itemId: item?.id ?? '', delta, reason: 'RECEIVED', idempotencyKey: `delivery ${sku} ${delta}` },
  });
  expect(stockAdjust.userErrors).toEqual([]);
}

test('the alert names both orders and reaches every open socket of the account, and none of another', async () => {
  await using product = await startProduct({ skus: { LAST: 1 } });
  const stranger = await product.strangerKey();
  await using first = await product.subscribe(alertStream);
  await using second = await product.subscribe(alertStream);
  await using foreign = await product.subscribe(alertStream, {}, stranger);
  await using foreignStock = await product.subscribe(stockStream, {}, stranger);

  const sold = sellLastUnitTwice(product);
  for (const dashboard of [first, second]) {
    const event = await dashboard.find(({ status }) => status === 'OPEN', 'the oversell alert');
    expect(event).toMatchObject({ units: 1, alert: { item: { sku: 'LAST' } } });
    expect(event.alert?.orders.map(({ platformOrderId }) => platformOrderId).toSorted()).toEqual(sold);
    expect(event.orderIds).toHaveLength(2);
  }
  const { alerts } = await product.graphql(openAlerts, {});
  expect(alerts.nodes).toMatchObject([{ status: 'OPEN', units: 1, item: { sku: 'LAST' } }]);
  expect(alerts.nodes[0]?.orders.map(({ platformOrderId }) => platformOrderId).toSorted()).toEqual(sold);
  expect(await product.stock('LAST')).toMatchObject({ quantity: 1, reserved: 2, available: -1 });
  await product.inStep();

  await receive(product, 'LAST', 1);
  for (const dashboard of [first, second]) {
    await dashboard.find(({ status }) => status === 'RESOLVED', 'the alert to be resolved');
    expect(dashboard.events().map(({ status }) => status)).toEqual(['OPEN', 'RESOLVED']);
  }
  expect((await product.graphql(openAlerts, {})).alerts.nodes).toEqual([]);

  // The stranger's streams have read as far, and have nothing.
  const { length } = foreign.envelopes;
  await waitFor(() => foreign.envelopes.length > length + 1 && foreignStock.envelopes.length > 1);
  expect(foreign.events()).toEqual([]);
  expect(foreignStock.events()).toEqual([]);
});

test('a dashboard that slept finds the open alert when it wakes, and hears when it is settled', async () => {
  await using product = await startProduct({ skus: { LAST: 1 } });
  await using early = await product.subscribe(alertStream);
  const { cursor } = early;
  early.cut();
  sellLastUnitTwice(product);
  await waitFor(async () => (await product.graphql(openAlerts, {})).alerts.nodes.length === 1);

  await using dashboard = await product.subscribe(alertStream, { status: ['OPEN'] });
  const [found, ...again] = dashboard.events();
  expect(found).toMatchObject({ status: 'OPEN', units: 1, alert: { item: { sku: 'LAST' } } });
  // What was told a moment ago may be told by the live stream too, once: never by neither.
  expect(again).toEqual(again.map(() => ({ ...found, cursor: again[0]?.cursor })));
  expect(again.length).toBeLessThan(2);
  expect(cursor).not.toBeNull();
  await early.resume();
  await early.find(({ status }) => status === 'OPEN', 'the alert missed while cut');

  await receive(product, 'LAST', 5);
  await early.find(({ status }) => status === 'RESOLVED', 'the alert to be resolved');
  await product.inStep();
  expect(await product.stock('LAST')).toMatchObject({ quantity: 6, reserved: 2, available: 4 });
});

test('while more is sold than there is, no marketplace offers the item', async () => {
  await using product = await startProduct({ skus: { LAST: 2 } });
  product.buy('amazon', 'LAST', 2);
  product.buy('ebay', 'LAST', 2);
  product.buy('etsy', 'LAST', 1);
  await waitFor(async () => (await product.stock('LAST')).available === -3);
  await product.inStep();
  const shown = (['etsy', 'amazon', 'ebay', 'shopify'] as const).map(
    (platform) => product.sandbox.displayed(platform)['LAST'],
  );
  expect(shown).toEqual([0, 0, 0, 0]);
  const { alerts } = await product.graphql(openAlerts, {});
  expect(alerts.nodes).toMatchObject([{ units: 3 }]);
  expect(alerts.nodes[0]?.orders).toHaveLength(3);
});

test('a unit that Shopify sells beyond its stock is its order’s and nobody’s edit, and what arrives is shown there again', async () => {
  const catalogue = tinyCatalogue({ LAST: 1 }).map(soldBeyond);
  // Read all the time, so that what a reading could prove would be proved.
  const environment = { RECONCILE_INTERVAL_MS: '100', POLL_INTERVAL_MS: '200' };
  await using product = await startProduct({ sandbox: { catalogue }, environment });
  const counted = () => product.sandbox.shops.shopify.variantBySku('LAST')?.quantity;
  const reads = () =>
    product.sandbox.requests('shopify').filter(({ operation }) => operation === 'nodes').length;
  product.buy('shopify', 'LAST');
  product.buy('shopify', 'LAST');
  await waitFor(async () => (await product.stock('LAST')).available === -1);
  await product.inStep();
  expect(counted()).toBe(-1);
  const before = reads();
  await waitFor(() => reads() > before + 8, {
    timeoutMs: 15_000,
    what: 'Shopify to be read again and again',
  });
  const { rows } = await product.db.query(
    `SELECT (SELECT array_agg(kind::text ORDER BY seq) FROM stock_movements) AS movements, (SELECT count(*)::int FROM sync_conflicts) AS conflicts`,
  );
  expect(rows).toEqual([{ movements: ['opening', 'order', 'order'], conflicts: 0 }]);
  expect(await product.stock('LAST')).toMatchObject({ quantity: 1, reserved: 2, available: -1 });

  await receive(product, 'LAST', 5);
  await product.inStep();
  expect(counted()).toBe(4);
  expect(await product.stock('LAST')).toMatchObject({ quantity: 6, reserved: 2, available: 4 });
});
