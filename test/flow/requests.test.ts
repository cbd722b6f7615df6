/** What people and partners ask for reaches the marketplaces and comes back: mapping, shipping, bringing one item or all items in step. */
import { expect, test } from 'vitest';
import { platforms } from '../../src/connectors/connector.ts';
import { demoCatalogue } from '../../src/sandbox/demoShop.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { outOfStep, type Product, startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import {
  everyOrder,
  itemBySku,
  jobStream,
  mapSkuTo,
  operationState,
  syncAll,
  syncItem,
  unmatched,
  updateStatus,
} from './operations.ts';

async function itemId(product: Product, sku: string): Promise<string> {
  const { inventoryItemBySku: item } = await product.graphql(itemBySku, { sku });
  return item?.id ?? '';
}

/** Resolves with the operation when it has ended. */
async function endOf(
  product: Product,
  operationId: string,
): Promise<{ readonly status: string; readonly error: string | null }> {
  return waitFor(
    async () => {
      const { node } = await product.graphql(operationState, { id: operationId });
      if (node === null || node === undefined || !('status' in node) || node.status === 'PROCESSING')
        return null;
      return { status: node.status, error: node.error ?? null };
    },
    { timeoutMs: 15_000, what: 'the operation to end' },
  );
}

test.each(platforms)(
  'an unknown SKU sold on %s waits, is listed, and holds stock as soon as somebody says what it is',
  async (platform) => {
    await using product = await startProduct();
    const price = { minor: 2_450, currency: 'USD' };
    const variant = {
      sku: 'MUG-OLD-NAME',
      price,
      quantity: 5,
      ...(platform === 'ebay' ? { offerQuantity: 5 } : {}),
    };
    product.sandbox.shops[platform].addListing({ title: 'An old listing', variants: [variant] });
    product.buy(platform, 'MUG-OLD-NAME', 2);

    await waitFor(async () => (await product.graphql(unmatched, {})).unmatchedSkus.nodes.length === 1);
    expect((await product.graphql(unmatched, {})).unmatchedSkus.nodes).toEqual([{ sku: 'MUG-OLD-NAME' }]);
    expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 0 });

    const input = { sku: 'MUG-OLD-NAME', itemId: await itemId(product, 'MUG') };
    const { skuMap } = await product.graphql(mapSkuTo, { input });
    expect(skuMap).toMatchObject({ linesApplied: 1, userErrors: [] });
    expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 2 });
    expect((await product.graphql(unmatched, {})).unmatchedSkus.nodes).toEqual([]);
    // Saying it again holds nothing more.
    expect((await product.graphql(mapSkuTo, { input })).skuMap.linesApplied).toBe(0);
    expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 2 });
    await product.inStep();
    expect(product.sandbox.displayed('etsy')['MUG']).toBe(8);
  },
);

test.each(platforms)(
  'SHIPPED reaches %s with its tracking number, and moves stock once',
  async (platform) => {
    await using product = await startProduct();
    const order = product.buy(platform, 'MUG', 3);
    const known = await waitFor(
      async () => (await product.graphql(everyOrder, { platform: null })).orders.nodes[0],
    );
    expect(known.platformOrderId).toBe(order.id);
    await product.inStep();

    const input = {
      orderId: known.id,
      status: 'SHIPPED' as const,
      carrier: 'USPS',
      trackingNumber: '9400111899223100000001',
      idempotencyKey: 'parcel 1',
    };
    const { orderStatusUpdate } = await product.graphql(updateStatus, { input });
    expect(orderStatusUpdate).toMatchObject({ userErrors: [], order: { status: 'SHIPPED' } });
    const shipped = product.sandbox.shops[platform].orders.require(order.id);
    expect(shipped.parcels).toHaveLength(1);
    expect(shipped.parcels[0]?.trackingNumber).toBe('9400111899223100000001');
    expect(shipped.lines[0]?.shipped).toBe(3);
    expect(await product.stock('MUG')).toMatchObject({ quantity: 7, reserved: 0, seq: 3 });

    // The channel's own word on it comes by webhook and by poll, and the caller repeats itself.
    await product.sandbox.webhooks[platform].idle();
    await waitFor(
      async () => {
        await product.poll(platform);
        return (
          (await product.graphql(everyOrder, { platform: null })).orders.nodes[0]?.channelStatus === 'SHIPPED'
        );
      },
      { what: "the channel's own snapshot" },
    );
    expect((await product.graphql(updateStatus, { input })).orderStatusUpdate.userErrors).toEqual([]);
    expect(product.sandbox.shops[platform].orders.require(order.id).parcels).toHaveLength(1);
    expect(await product.stock('MUG')).toMatchObject({ quantity: 7, reserved: 0, seq: 3 });
    expect(await ledgerBreaches(product.db)).toEqual([]);
    await product.inStep();
  },
);

test('a marketplace that refuses the parcel leaves the order and the stock as they were', async () => {
  await using product = await startProduct();
  product.buy('etsy', 'MUG', 1);
  const known = await waitFor(
    async () => (await product.graphql(everyOrder, { platform: null })).orders.nodes[0],
  );
  product.sandbox.faults.add({ platform: 'etsy', kind: 'serverError', operation: 'createReceiptShipment' });
  const input = {
    orderId: known.id,
    status: 'SHIPPED' as const,
    carrier: 'usps',
    trackingNumber: '1',
    idempotencyKey: 'a',
  };
  const { orderStatusUpdate } = await product.graphql(updateStatus, { input });
  expect(orderStatusUpdate.userErrors).toMatchObject([{ code: 'CHANNEL_REJECTED' }]);
  expect(orderStatusUpdate.order?.status).not.toBe('SHIPPED');
  expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 1 });

  product.sandbox.faults.clear();
  const again = await product.graphql(updateStatus, { input: { ...input, idempotencyKey: 'b' } });
  expect(again.orderStatusUpdate).toMatchObject({ userErrors: [], order: { status: 'SHIPPED' } });
  expect(await product.stock('MUG')).toMatchObject({ quantity: 9, reserved: 0 });
});

test('bringing all items in step tells its progress and ends with every channel at the number of the ledger', async () => {
  await using product = await startProduct({ sandbox: { catalogue: demoCatalogue } });
  const { shops } = product.sandbox;
  // Somebody has changed things in the marketplaces' own pages, and no webhook told of it.
  for (const platform of platforms) product.sandbox.faults.add({ platform, kind: 'webhookLost' });
  const spoiled = platforms.flatMap((platform) => {
    const variant = shops[platform]
      .variants()
      .find(({ attributes }) => attributes['fulfillmentChannelCode'] === undefined);
    if (variant === undefined) return [];
    shops[platform].editOutside(variant.id, variant.quantity + 7);
    return [variant.sku];
  });
  expect(spoiled).toHaveLength(4);
  expect((await outOfStep(product.db, product.sandbox, product.accountId)).length).toBeGreaterThanOrEqual(4);

  const { rows } = await product.db.query<{ items: number }>(
    'SELECT count(DISTINCT item_id)::int AS items FROM listings WHERE writable',
  );
  const total = rows[0]?.items ?? 0;
  // One item is only in Amazon's own warehouse, and its number is Amazon's.
  expect(total).toBe(demoCatalogue.length - 1);
  const { inventorySyncAll } = await product.graphql(syncAll, {});
  const { job } = inventorySyncAll;
  expect(job?.total).toBe(total);
  // Asked again while it runs, it is the same job.
  expect((await product.graphql(syncAll, {})).inventorySyncAll.job?.id).toBe(job?.id);
  await using progress = await product.subscribe(jobStream, { id: job?.id ?? '' });
  const end = await progress.find(
    ({ status }) => status === 'COMPLETED' || status === 'FAILED',
    'the job to end',
    40_000,
  );
  expect(end).toMatchObject({ status: 'COMPLETED', completed: total, failed: 0, total });
  const steps = progress.events().map(({ completed, failed }) => completed + failed);
  expect(steps).toEqual(steps.toSorted((one, other) => one - other));
  await waitFor(() => progress.completed);
  await product.inStep();
}, 40_000);

test.each(platforms)(
  'a number changed by somebody on %s is put right by syncing the item',
  async (platform) => {
    await using product = await startProduct();
    const shop = product.sandbox.shops[platform];
    const { id = '' } = shop.variantBySku('MUG') ?? {};
    await keepOurs(product);
    for (const outside of [17, 2]) {
      shop.editOutside(id, outside);
      expect(product.sandbox.displayed(platform)).toEqual({ MUG: outside });
      const { inventoryItemSync } = await product.graphql(syncItem, {
        input: { itemId: await itemId(product, 'MUG') },
      });
      expect(inventoryItemSync.userErrors).toEqual([]);
      expect(await endOf(product, inventoryItemSync.operation?.id ?? '')).toEqual({
        status: 'COMPLETED',
        error: null,
      });
      await product.inStep({ timeoutMs: 40_000 });
      expect(product.sandbox.displayed(platform)).toEqual({ MUG: 10 });
    }
    // A reading never moves the ledger.
    expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 0, seq: 1 });
  },
  150_000,
);

/** What somebody else does to a channel's number is to be undone, however large it is. */
async function keepOurs({ db }: Product): Promise<void> {
  await db.query(`UPDATE accounts SET auto_resolution = 'keep_ours', auto_resolution_units_max = 1000`);
}

test('an operation whose channel does not take the number fails and says why, while the other channels follow', async () => {
  await using product = await startProduct();
  const { ebay } = product.sandbox.shops;
  await keepOurs(product);
  for (const { id } of ebay.listings()) ebay.removeListing(id);
  product.sandbox.shops.shopify.editOutside(product.sandbox.shops.shopify.variantBySku('MUG')?.id ?? '', 4);
  const { inventoryItemSync } = await product.graphql(syncItem, {
    input: { itemId: await itemId(product, 'MUG') },
  });
  const end = await endOf(product, inventoryItemSync.operation?.id ?? '');
  expect(end.status).toBe('FAILED');
  expect(end.error).toMatch(/^ebay: /);
  await waitFor(() => product.sandbox.displayed('shopify')['MUG'] === 10, {
    timeoutMs: 40_000,
    what: 'what was taken away on Shopify to be put back',
  });
  const { inventoryItemBySku: item } = await product.graphql(itemBySku, { sku: 'MUG' });
  expect(item?.syncStatus).toBe('ERROR');
  expect(item?.listings.nodes.filter(({ lastError }) => lastError !== null)).toMatchObject([
    { platform: 'EBAY' },
  ]);
}, 90_000);
