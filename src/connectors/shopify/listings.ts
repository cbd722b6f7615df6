/** Scans a shop's whole catalogue variant by variant, also beyond the 25 000 objects that one cursor can reach. */

import { z } from 'zod';
import type { CatalogueEntry } from '../connector.ts';
import { moneyOrNull } from '../wire.ts';
import { connectionSchema, isTooExpensive, nextCursor, type ShopifyApi } from './graphql.ts';
import { globalId, plainId, stockAddress } from './ids.ts';
import { inventoryItemSchema, stockReading } from './stock.ts';

/** Paging ends at 25 000 objects (Shopify, API limits): well before that the scan starts anew behind the last id. */
const objectsPerCursorMax = 20_000;
const pageSizeFirst = 100;

export const shopSchema = z.object({
  shop: z.looseObject({ id: z.string(), myshopifyDomain: z.string(), currencyCode: z.string() }),
});

const variantSchema = z.looseObject({
  id: z.string(),
  sku: z.string().nullish(),
  title: z.string(),
  displayName: z.string().nullish(),
  price: z.string().nullish(),
  inventoryPolicy: z.string(),
  product: z.looseObject({ title: z.string(), onlineStoreUrl: z.string().nullish() }).nullish(),
  inventoryItem: inventoryItemSchema,
});

const catalogueSchema = z.object({ productVariants: connectionSchema(variantSchema) });

export async function* shopifyCatalogue(
  api: ShopifyApi,
  locationId: string,
): AsyncGenerator<CatalogueEntry[]> {
  const { shop } = await api.run({ operation: 'shop', variables: {}, schema: shopSchema, retry: 'safe' });
  let first = pageSizeFirst;
  let after: string | null = null;
  let query: string | null = null;
  let seen = 0;
  for (;;) {
    let page: z.output<typeof catalogueSchema>['productVariants'];
    try {
      const variables = { first, after, query, locationId: globalId('Location', locationId) };
      const answer = await api.run({
        operation: 'catalogue',
        variables,
        schema: catalogueSchema,
        retry: 'safe',
      });
      page = answer.productVariants;
    } catch (error) {
      if (!isTooExpensive(error) || first === 1) throw error;
      first = Math.ceil(first / 2);
      continue;
    }
    if (page.nodes.length > 0)
      yield page.nodes.map((variant) => entryOf(variant, locationId, shop.currencyCode));
    after = nextCursor(page.pageInfo);
    if (after === null) return;
    seen += page.nodes.length;
    const last = page.nodes.at(-1);
    if (seen >= objectsPerCursorMax && last !== undefined) {
      query = `id:>${plainId(last.id)}`;
      after = null;
      seen = 0;
    }
  }
}

function entryOf(
  variant: z.output<typeof variantSchema>,
  locationId: string,
  currency: string,
): CatalogueEntry {
  return {
    address: stockAddress(variant.inventoryItem.id, locationId),
    sku: variant.sku === '' ? null : (variant.sku ?? null),
    title: variant.displayName ?? variant.product?.title ?? variant.title,
    url: variant.product?.onlineStoreUrl ?? null,
    price: moneyOrNull(variant.price, currency),
    stock: stockReading(variant.inventoryItem),
    writable: true,
    // Only a word that it refuses is one.
    sellsBeyond: variant.inventoryPolicy !== 'DENY',
  };
}
