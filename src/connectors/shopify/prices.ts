/** Reads and sets the price of the variant behind an inventory item, in the shop's own currency; nothing else of the variant is named. */

import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import type { ListingAddress, Money, PriceReading, PriceWrite, PriceWriteResult } from '../connector.ts';
import { decimalFromMoney } from '../money.ts';
import { moneyOrNull, precedingCall, priceWriteFailure, refusedPrice, wrongCurrency } from '../wire.ts';
import { isTooExpensive, type ShopifyApi } from './graphql.ts';
import { plainId, stockIds } from './ids.ts';

const idsPerCall = 100;
const readsInFlight = 2;
const writesInFlight = 4;
/** Lists are limited to 250 entries (Shopify, API limits). */
const variantsPerCall = 250;

const pricesSchema = z.object({
  shop: z.looseObject({ currencyCode: z.string() }),
  nodes: z.array(
    z
      .looseObject({
        id: z.string(),
        variants: z
          .looseObject({
            nodes: z.array(
              z.looseObject({
                id: z.string(),
                price: z.string(),
                product: z.looseObject({ id: z.string() }),
              }),
            ),
          })
          .nullish(),
      })
      .nullable(),
  ),
});

type Priced = {
  readonly variantId: string;
  readonly productId: string;
  readonly price: Money | null;
  readonly currency: string;
};

/** By inventory item, as a plain number. An item that stands for several variants has no one price, and is left out. */
async function findPriced(
  api: ShopifyApi,
  addresses: readonly ListingAddress[],
): Promise<ReadonlyMap<string, Priced>> {
  const ids = new Set(addresses.flatMap((address) => stockIds(address)?.inventoryItemId ?? []));
  const pages = await mapBounded(chunks([...ids], idsPerCall), readsInFlight, (some) => readPage(api, some));
  return new Map(pages.flat());
}

async function readPage(
  api: ShopifyApi,
  ids: readonly string[],
): Promise<[inventoryItem: string, priced: Priced][]> {
  try {
    const { shop, nodes } = await api.run({
      operation: 'prices',
      variables: { ids },
      schema: pricesSchema,
      retry: 'safe',
    });
    return nodes.flatMap((node): [string, Priced][] => {
      const [variant, another] = node?.variants?.nodes ?? [];
      if (node === null || variant === undefined || another !== undefined) return [];
      const { currencyCode: currency } = shop;
      const price = moneyOrNull(variant.price, currency);
      return [[plainId(node.id), { variantId: variant.id, productId: variant.product.id, price, currency }]];
    });
  } catch (error) {
    if (!isTooExpensive(error) || ids.length === 1) throw error;
    const halves = chunks(ids, Math.ceil(ids.length / 2));
    const pages = await mapBounded(halves, 1, (half) => readPage(api, half));
    return pages.flat();
  }
}

const itemOf = (address: ListingAddress): string => address.unitId.split('/')[0] ?? '';

export async function readShopifyPrices(
  api: ShopifyApi,
  addresses: readonly ListingAddress[],
): Promise<PriceReading[]> {
  const found = await findPriced(api, addresses);
  return addresses.map((address) => {
    const price = found.get(itemOf(address))?.price ?? null;
    return price === null
      ? { kind: 'unknown', reason: 'Shopify does not know one price of this inventory item' }
      : { kind: 'price', price };
  });
}

type Slot = { readonly write: PriceWrite; readonly index: number; readonly priced: Priced };

/** One call per product: its variants are changed together, and each stands or falls by itself. */
export async function setShopifyPrices(
  api: ShopifyApi,
  writes: readonly PriceWrite[],
): Promise<PriceWriteResult[]> {
  const results: PriceWriteResult[] = Array.from({ length: writes.length });
  let found: ReadonlyMap<string, Priced>;
  try {
    found = await precedingCall(
      findPriced(
        api,
        writes.map(({ address }) => address),
      ),
    );
  } catch (error) {
    return writes.map(() => priceWriteFailure(error));
  }
  const slots = writes.flatMap((write, index): readonly Slot[] => {
    const priced = found.get(itemOf(write.address));
    if (priced === undefined)
      results[index] = refusedPrice('other', 'not_found', 'No one variant stands behind this inventory item');
    else if (priced.currency !== write.price.currency)
      results[index] = wrongCurrency(write.price, priced.currency);
    else return [{ write, index, priced }];
    return [];
  });
  const groups = [...Map.groupBy(slots, ({ priced }) => priced.productId)].flatMap(([productId, group]) =>
    chunks(group, variantsPerCall).map((some) => ({ productId, some })),
  );
  await mapBounded(groups, writesInFlight, ({ productId, some }) =>
    updateProduct(api, productId, some, results),
  );
  return results;
}

const updateSchema = z.object({
  productVariantsBulkUpdate: z.looseObject({
    productVariants: z.array(z.looseObject({ id: z.string(), price: z.string() })).nullish(),
    userErrors: z.array(
      z.looseObject({
        code: z.string().nullish(),
        field: z.array(z.string()).nullish(),
        message: z.string(),
      }),
    ),
  }),
});
type Update = z.output<typeof updateSchema>['productVariantsBulkUpdate'];

async function updateProduct(
  api: ShopifyApi,
  productId: string,
  slots: readonly Slot[],
  results: PriceWriteResult[],
): Promise<void> {
  try {
    const { productVariantsBulkUpdate: answer } = await api.run({
      operation: 'setPrices',
      variables: {
        productId,
        variants: slots.map(({ write, priced }) => ({
          id: priced.variantId,
          price: decimalFromMoney(write.price),
        })),
      },
      schema: updateSchema,
      // A second copy could land after a price that somebody has set since.
      retry: 'never',
    });
    for (const [place, slot] of slots.entries()) results[slot.index] = resultOf(answer, slot, place);
  } catch (error) {
    const failure = priceWriteFailure(error);
    for (const { index } of slots) results[index] = failure;
  }
}

const priceErrors = new Set([
  'GREATER_THAN_OR_EQUAL_TO',
  'NEGATIVE_PRICE_VALUE',
  'LOCAL_CURRENCY_GIFT_CARD_PRICE_MUST_BE_ZERO',
]);

/** An error names its variant by the place in the list; one that names none is about all of them. */
function resultOf({ productVariants, userErrors }: Update, slot: Slot, place: number): PriceWriteResult {
  const error = userErrors.find(({ field }) => field?.[0] !== 'variants' || field[1] === String(place));
  if (error !== undefined) {
    const code = error.code ?? 'userError';
    return refusedPrice(priceErrors.has(code) ? 'price_not_allowed' : 'other', code, error.message);
  }
  const shown = productVariants?.find(({ id }) => plainId(id) === plainId(slot.priced.variantId));
  const { price } = slot.write;
  return moneyOrNull(shown?.price, price.currency)?.minor === price.minor
    ? { kind: 'effective' }
    : { kind: 'unknown', reason: 'Shopify did not answer with the price that was set' };
}
