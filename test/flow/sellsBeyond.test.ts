/** A Shopify variant that continues selling when out of stock, from the marketplace's own word to the refusal that a person reads. */
import { expect, test } from 'vitest';
import { graphql } from '../../.generated/gql/gql.ts';
import { soldBeyond } from '../../src/sandbox/demoShop.ts';
import { importCatalogue } from '../../src/sync/catalogue.ts';
import { type Product, startProduct, tinyCatalogue } from '../support/product.ts';

const offered = graphql(`
  query FlowSellsBeyond($sku: String!) {
    inventoryItemBySku(sku: $sku) {
      id
      protection
      listings(first: 10) { nodes { platform sellsBeyond explanation { summary } } }
    }
  }
`);

const protect = graphql(`
  mutation FlowProtect($input: InventoryItemProtectionSetInput!) {
    inventoryItemProtectionSet(input: $input) {
      item { protection }
      userErrors { code message field }
    }
  }
`);

async function protectionOf(product: Product, sku: string) {
  const { inventoryItemBySku: item } = await product.graphql(offered, { sku });
  const input = { itemId: item?.id ?? '', protection: 'ESCROW' as const };
  return (await product.graphql(protect, { input })).inventoryItemProtectionSet;
}

test('a variant that Shopify sells beyond its number is told apart, and its item is protected only after Shopify refuses', async () => {
  const catalogue = [...tinyCatalogue({ MUG: 1 }).map(soldBeyond), ...tinyCatalogue({ CUP: 1 })];
  await using product = await startProduct({ sandbox: { catalogue } });
  await product.inStep();
  const { inventoryItemBySku: mug } = await product.graphql(offered, { sku: 'MUG' });
  const beyond = mug?.listings.nodes.filter(({ sellsBeyond }) => sellsBeyond) ?? [];
  expect(beyond.map(({ platform }) => platform)).toEqual(['SHOPIFY']);
  expect(beyond[0]?.explanation?.summary).toContain('Shopify goes on selling it beyond its number.');

  expect(await protectionOf(product, 'MUG')).toMatchObject({
    item: { protection: 'SHARED' },
    userErrors: [{ code: 'INVALID_INPUT', message: expect.stringContaining('these sell on: shopify MUG.') }],
  });
  expect(await protectionOf(product, 'CUP')).toMatchObject({ item: { protection: 'ESCROW' } });

  const variant = product.sandbox.shops.shopify.variantBySku('MUG');
  if (variant !== undefined) variant.sellsBeyond = false;
  const channel = await product.app.connections.open(product.connections.shopify);
  if (channel !== null) await importCatalogue(product.app.database.pool, channel);
  expect(await protectionOf(product, 'MUG')).toEqual({ item: { protection: 'ESCROW' }, userErrors: [] });
});
