/** Shopify's productVariantsBulkUpdate in the sandbox: prices of one product, with the official error codes. */
import { expect, test } from 'vitest';
import { at, openSandbox, type SandboxBench, shopifyClient, variantId } from './sandboxBench.ts';

const setPrices = `mutation SetPrices($productId: ID!, $variants: [ProductVariantsBulkInput!]!, $partial: Boolean) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants, allowPartialUpdates: $partial) {
    productVariants { id price } userErrors { code field message } } }`;

async function named({ sandbox }: SandboxBench, sku: string) {
  const shopify = shopifyClient(sandbox);
  const id = `gid://shopify/InventoryItem/${variantId(sandbox, 'shopify', sku)}`;
  const { body } = await shopify(
    'query Q($id: ID!) { inventoryItem(id: $id) { variants(first: 1) { nodes { id product { id } } } } }',
    { id },
  );
  const path = 'data.inventoryItem.variants.nodes.0';
  return { id: String(at(body, `${path}.id`)), productId: String(at(body, `${path}.product.id`)) };
}

const priceOf = ({ sandbox }: SandboxBench, sku: string) => sandbox.shops.shopify.variantBySku(sku)?.price;

test('A price is set in the shop’s currency, and nothing else of the variant changes', async () => {
  await using bench = await openSandbox();
  const { id, productId } = await named(bench, 'A');
  const before = bench.sandbox.displayed('shopify')['A'];
  const variants = [{ id, price: '31.5' }];
  const { body } = await shopifyClient(bench.sandbox)(setPrices, { productId, variants, partial: false });
  expect(at(body, 'data.productVariantsBulkUpdate')).toEqual({
    productVariants: [{ id, price: '31.50' }],
    userErrors: [],
  });
  expect(priceOf(bench, 'A')).toEqual({ minor: 3150, currency: 'USD' });
  expect(bench.sandbox.displayed('shopify')['A']).toBe(before);
});

test('A wrong variant stops all of them, or only itself when partial updates are allowed', async () => {
  await using bench = await openSandbox();
  const shopify = shopifyClient(bench.sandbox);
  const [own, other] = [await named(bench, 'A'), await named(bench, 'B')];
  const before = priceOf(bench, 'A');
  const variants = [
    { id: own.id, price: '31.50' },
    { id: own.id, price: '-1' },
    { id: own.id, price: 'much' },
    { price: '1' },
    { id: other.id, price: '1' },
  ];
  const wholly = await shopify(setPrices, { productId: own.productId, variants, partial: false });
  expect(at(wholly.body, 'data.productVariantsBulkUpdate.productVariants')).toBeNull();
  expect(priceOf(bench, 'A')).toEqual(before);
  const partly = await shopify(setPrices, { productId: own.productId, variants, partial: true });
  expect(at(partly.body, 'data.productVariantsBulkUpdate.userErrors')).toMatchObject([
    { code: 'GREATER_THAN_OR_EQUAL_TO', field: ['variants', '1', 'price'] },
    { code: 'INVALID_INPUT', field: ['variants', '2', 'price'] },
    { code: 'PRODUCT_VARIANT_ID_MISSING', field: ['variants', '3', 'id'] },
    { code: 'PRODUCT_VARIANT_DOES_NOT_EXIST', field: ['variants', '4', 'id'] },
  ]);
  expect(priceOf(bench, 'A')).toEqual({ minor: 3150, currency: 'USD' });
});

test('A product that does not exist is said so', async () => {
  await using bench = await openSandbox();
  const { id } = await named(bench, 'A');
  const { body } = await shopifyClient(bench.sandbox)(setPrices, {
    productId: 'gid://shopify/Product/1',
    variants: [{ id, price: '1' }],
  });
  expect(at(body, 'data.productVariantsBulkUpdate')).toMatchObject({
    productVariants: null,
    userErrors: [{ code: 'PRODUCT_DOES_NOT_EXIST', field: ['productId'] }],
  });
});
