/** A price that is set reaches every channel in its currency; an edit from outside is a conflict, and keeping ours brings it back. No unit is touched by it. */
import { expect, test } from 'vitest';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import type { CatalogueItem } from '../../src/sandbox/demoShop.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { type Product, startProduct, tinyCatalogue } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { decideConflicts, openConflicts, pricesBySku, setPrice } from './priceOperations.ts';

async function mean(product: Product, sku: string, amount: string, currencyCode = 'USD'): Promise<void> {
  const { inventoryItemBySku: item } = await product.graphql(pricesBySku, { sku });
  const input = { itemId: item?.id ?? '', price: { amount, currencyCode } };
  const { itemPriceSet } = await product.graphql(setPrice, { input });
  expect(itemPriceSet.userErrors).toEqual([]);
}

const shownOn = (product: Product, platform: Platform, sku: string) =>
  product.sandbox.shops[platform].variantBySku(sku)?.price.minor;

/** Every channel shows this price, and the product knows it. */
async function untilShown(product: Product, sku: string, minor: number): Promise<void> {
  await waitFor(
    async () => {
      const { inventoryItemBySku: item } = await product.graphql(pricesBySku, { sku });
      const listings = item?.listings.nodes ?? [];
      const wrong = platforms.filter((platform) => shownOn(product, platform, sku) !== minor);
      const unsure = listings.filter(({ pricePending }) => pricePending).map(({ platform }) => platform);
      if (wrong.length + unsure.length > 0)
        throw new Error(`wrong on ${wrong.join()}, unsure of ${unsure.join()}: ${JSON.stringify(listings)}`);
      return true;
    },
    { timeoutMs: 15_000, intervalMs: 50, what: `${sku} at ${minor}` },
  );
}

/** Calls that wrote a price, by marketplace. */
function priceWrites(product: Product, platform: Platform): number {
  const operations: Readonly<Record<Platform, string>> = {
    etsy: 'updateListingInventory',
    amazon: 'patchListingsItem',
    ebay: 'bulkUpdatePriceQuantity',
    shopify: 'productVariantsBulkUpdate',
  };
  return product.sandbox.requests(platform).filter(({ operation }) => operation === operations[platform])
    .length;
}

test('a price that is set is shown by all four channels, once, with every quantity as it was', async () => {
  await using product = await startProduct();
  await product.inStep();
  const before = platforms.map((platform) => priceWrites(product, platform));
  await mean(product, 'MUG', '29.90');
  await untilShown(product, 'MUG', 2_990);
  const { inventoryItemBySku: item } = await product.graphql(pricesBySku, { sku: 'MUG' });
  expect(item?.listings.nodes).toHaveLength(4);
  for (const listing of item?.listings.nodes ?? []) {
    expect(listing).toMatchObject({
      price: { amount: '29.90', currencyCode: 'USD' },
      intendedPrice: { amount: '29.90' },
      priceRefusal: null,
      priceExplanation: 'It shows 29.90 USD, as it should.',
    });
  }
  expect(item?.operations.nodes.map(({ action, status }) => [action, status])).toEqual(
    platforms.map(() => ['UPDATE_PRICE', 'COMPLETED']),
  );
  await mean(product, 'MUG', '29.90');
  await product.inStep();
  expect(
    platforms.map((platform) => priceWrites(product, platform) - (before[platforms.indexOf(platform)] ?? 0)),
  ).toEqual([1, 1, 1, 1]);
  expect(platforms.map((platform) => product.sandbox.displayed(platform)['MUG'])).toEqual([10, 10, 10, 10]);
});

test('a price in another currency is written nowhere and explained', async () => {
  await using product = await startProduct();
  await mean(product, 'MUG', '29.90', 'EUR');
  await product.inStep();
  const { inventoryItemBySku: item } = await product.graphql(pricesBySku, { sku: 'MUG' });
  for (const listing of item?.listings.nodes ?? []) {
    expect(listing).toMatchObject({
      intendedPrice: null,
      pricePending: false,
      priceExplanation:
        'It shows 24.50 USD and the item should cost 29.90 EUR: a price is never converted, so none is written.',
    });
  }
  expect(platforms.map((platform) => shownOn(product, platform, 'MUG'))).toEqual([
    2_450, 2_450, 2_450, 2_450,
  ]);
});

test.each(platforms)(
  'an edit on %s is a conflict, and keeping ours brings the price back',
  async (platform) => {
    await using product = await startProduct({ environment: { PRICE_LOOK_INTERVAL_MS: '1000' } });
    await mean(product, 'MUG', '29.90');
    await untilShown(product, 'MUG', 2_990);
    const variant = product.sandbox.shops[platform].variantBySku('MUG');
    if (variant === undefined) throw new Error(`${platform} does not sell it`);
    variant.price = { minor: 1_990, currency: 'USD' };
    const { conflicts } = await waitFor(
      async () => {
        const open = await product.graphql(openConflicts, {});
        return open.conflicts.nodes.length > 0 && open;
      },
      { timeoutMs: 15_000, what: `a conflict about the price on ${platform}` },
    );
    expect(conflicts.nodes).toMatchObject([
      {
        conflictType: 'PRICE_MISMATCH',
        platforms: [platform.toUpperCase()],
        priceDelta: { amount: '-10.00' },
      },
    ]);
    const [conflict] = conflicts.nodes;
    const { conflictResolve } = await product.graphql(decideConflicts, {
      input: {
        conflicts: [{ id: conflict?.id ?? '', expectedVersion: conflict?.version ?? 0 }],
        resolution: 'KEEP_OURS',
        idempotencyKey: 'keep',
      },
    });
    expect(conflictResolve).toMatchObject({ conflicts: [{ status: 'RESOLVED' }], userErrors: [] });
    await untilShown(product, 'MUG', 2_990);
    expect((await product.graphql(openConflicts, {})).conflicts.nodes).toEqual([]);
  },
);

test('a price that a channel refuses is told with the reason, and stands as a conflict', async () => {
  await using product = await startProduct();
  await mean(product, 'MUG', '0.10');
  await waitFor(async () => {
    const { conflicts } = await product.graphql(openConflicts, {});
    return conflicts.nodes.length === 1;
  });
  const { inventoryItemBySku: item } = await product.graphql(pricesBySku, { sku: 'MUG' });
  const etsy = item?.listings.nodes.find(({ platform }) => platform === 'ETSY');
  expect(etsy).toMatchObject({
    price: { amount: '24.50' },
    priceRefusal: 'PRICE_NOT_ALLOWED',
    pricePending: false,
  });
  expect(etsy?.priceExplanation).toContain('The price must be between 0.20 and 50000.00');
  expect(item?.operations.nodes.filter(({ status }) => status === 'FAILED')).toMatchObject([
    { action: 'UPDATE_PRICE', targetPlatforms: ['ETSY'] },
  ]);
});

test.each(['etsy', 'ebay', 'shopify'] as const)(
  'a lost answer on %s is read back, and the price is not written twice',
  async (platform) => {
    await using product = await startProduct();
    await product.inStep();
    const before = priceWrites(product, platform);
    product.sandbox.faults.add({
      platform,
      kind: 'lostAnswer',
      operation: {
        etsy: 'updateListingInventory',
        ebay: 'bulkUpdatePriceQuantity',
        shopify: 'productVariantsBulkUpdate',
      }[platform],
      count: 1,
    });
    await mean(product, 'MUG', '29.90');
    await untilShown(product, 'MUG', 2_990);
    expect(priceWrites(product, platform) - before).toBe(1);
  },
);

test('more than fifty prices reach Amazon as one feed, and the one that it refuses is told', async () => {
  const skus = Array.from({ length: 110 }, (_unused, index) => `SKU-${index + 1}`);
  const catalogue = tinyCatalogue(Object.fromEntries(skus.map((sku) => [sku, 5])), ['amazon']);
  await using product = await startProduct({
    sandbox: { catalogue },
    environment: { SEND_WITHIN_MS: '5000' },
  });
  await product.inStep();
  const patched = priceWrites(product, 'amazon');
  const [refused = '', ...changed] = skus.slice(0, 52);
  const switchTo = (status: string) =>
    product.db.query(`UPDATE connections SET status = $2 WHERE id = $1`, [
      product.connections.amazon,
      status,
    ]);
  await switchTo('paused');
  for (const sku of changed) await mean(product, sku, '29.90');
  await mean(product, refused, '0.00');
  await switchTo('active');
  const listingOf = async (sku: string) => {
    const { inventoryItemBySku: item } = await product.graphql(pricesBySku, { sku });
    return item?.listings.nodes[0];
  };
  await waitFor(
    async () => {
      const listings = await Promise.all(skus.slice(0, 52).map(listingOf));
      return listings.every((listing) => listing?.pricePending === false);
    },
    { timeoutMs: 20_000, intervalMs: 100, what: 'the end of all prices' },
  );
  expect(changed.map((sku) => shownOn(product, 'amazon', sku))).toEqual(changed.map(() => 2_990));
  expect(await listingOf(changed[0] ?? '')).toMatchObject({
    price: { amount: '29.90' },
    priceExplanation: 'It shows 29.90 USD, as it should.',
  });
  expect(await listingOf(refused)).toMatchObject({
    price: { amount: '24.50' },
    priceRefusal: 'PRICE_NOT_ALLOWED',
    priceExplanation: expect.stringContaining('The channel refused 0.00 USD'),
  });
  const feeds = product.sandbox.requests('amazon').filter(({ operation }) => operation === 'createFeed');
  expect([...feeds]).toHaveLength(1);
  expect(priceWrites(product, 'amazon')).toBe(patched);
});

/** RED and BLUE are variants of one Etsy listing, each with a price of its own. */
function variantsOnEtsy(): readonly CatalogueItem[] {
  return tinyCatalogue({ RED: 40, BLUE: 40 }).map((item, index) => {
    const color = { propertyId: 200, propertyName: 'Primary color', scaleId: null };
    const shared = {
      price: { minor: 2_450 + index, currency: 'USD' },
      sharedListing: 'Mugs',
      properties: [Object.assign({ valueIds: [index + 1], values: [item.sku] }, color)],
    };
    const placements = item.placements.map((placement) =>
      placement.platform === 'etsy' ? Object.assign({}, placement, shared) : placement,
    );
    return Object.assign({}, item, { placements });
  });
}

test('S9: Etsy variants end with their true quantities while prices are written and everything sells', async () => {
  await using product = await startProduct({ sandbox: { catalogue: variantsOnEtsy() } });
  await product.inStep();
  const operation = 'updateListingInventory';
  product.sandbox.faults.add({
    platform: 'etsy',
    kind: 'latency',
    operation,
    delayMs: { min: 50, max: 150 },
  });
  const before = priceWrites(product, 'etsy');
  for (let round = 1; round <= 6; round += 1) {
    await mean(product, 'RED', `${30 + round}.00`);
    await waitFor(async () => priceWrites(product, 'etsy') > before + round - 1);
    product.buy('etsy', 'BLUE');
    product.buy('shopify', 'BLUE', 2);
    product.buy('etsy', 'RED');
    product.buy('ebay', 'RED');
  }
  await untilShown(product, 'RED', 3_600);
  await product.inStep({ timeoutMs: 30_000 });
  expect(await product.stock('BLUE')).toMatchObject({ available: 40 - 18 });
  expect(await product.stock('RED')).toMatchObject({ available: 40 - 12 });
  expect(shownOn(product, 'etsy', 'BLUE')).toBe(2_451);
  expect((await product.graphql(openConflicts, {})).conflicts.nodes).toEqual([]);
  expect(await ledgerBreaches(product.db)).toEqual([]);
});
