/** What many listings need at once leaves in the few calls that a marketplace takes it in. */
import { expect, test } from 'vitest';
import { startProduct, tinyCatalogue } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { adjust, allAtOnce, calls, effects } from './pushSteps.ts';

test('seventy numbers that fall together are one call to Shopify', async () => {
  const skus = Array.from({ length: 70 }, (_unused, index) => `SKU-${index}`);
  await using product = await startProduct({ skus: Object.fromEntries(skus.map((sku) => [sku, 5])) });
  await allAtOnce(product, skus.length, async () => {
    for (const sku of skus) product.buy('etsy', sku, 2);
  });
  await waitFor(() => Object.values(product.sandbox.displayed('shopify')).every((shown) => shown === 3));
  expect(calls(product, 'shopify', 'inventorySetQuantities')).toBe(1);
});

test('where more raises wait than patches can carry soon, they reach Amazon as one feed, and a sale meanwhile goes down at once', async () => {
  const skus = Array.from({ length: 130 }, (_unused, index) => `SKU-${index}`);
  const catalogue = tinyCatalogue(Object.fromEntries(skus.map((sku) => [sku, 5])), ['amazon', 'shopify']);
  await using product = await startProduct({
    sandbox: { catalogue },
    // Two workers would share them out.
    environment: { SEND_WITHIN_MS: '5000', PUSH_BATCH_MAX: '60' },
  });
  await product.inStep();
  await product.db.query(
    `UPDATE connections SET settings = settings || '{"stockFeedMin":60}' WHERE id = $1`,
    [product.connections.amazon],
  );
  product.sandbox.faults.add({
    platform: 'amazon',
    kind: 'lateEffect',
    operation: 'createFeed',
    count: 1,
    delayMs: { min: 1_500, max: 1_500 },
  });
  const patched = calls(product, 'amazon', 'patchListingsItem');
  const [sold = '', ...raised] = skus.slice(0, 60);
  await allAtOnce(
    product,
    60,
    async () => {
      for (const sku of [sold, ...raised]) await adjust(product, sku, 2);
    },
    'amazon',
  );
  await waitFor(() => calls(product, 'amazon', 'createFeed') > 0);
  product.buy('shopify', sold, 4);
  await waitFor(() => effects(product, 'amazon').some(({ sku, to }) => sku === sold && to === 3));
  expect(product.sandbox.displayed('amazon')).toMatchObject({ [raised[0] ?? '']: 5 });
  await waitFor(
    () => {
      const shown = product.sandbox.displayed('amazon');
      return raised.every((sku) => shown[sku] === 7) && shown[sold] === 3;
    },
    { timeoutMs: 30_000, what: 'every number on Amazon' },
  );
  expect(calls(product, 'amazon', 'createFeed')).toBe(1);
  // At once, when the feed is worked off, and when it has landed on top of it.
  expect(calls(product, 'amazon', 'patchListingsItem') - patched).toBeLessThanOrEqual(3);
  await product.inStep({ timeoutMs: 30_000 });
  expect(product.sandbox.displayed('amazon')[sold]).toBe(3);
});
