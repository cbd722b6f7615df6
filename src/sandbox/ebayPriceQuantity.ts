/** eBay's bulkUpdatePriceQuantity: every entry judged and answered for itself, under the daily limit of revisions. */
import { z } from 'zod';
import type { Call, Route } from './channel.ts';
import { type EbayAccess, ebayRefusal } from './ebayAccess.ts';
import type { EbayCatalogue } from './ebayCatalogue.ts';
import { type EbayErrorEntry, type EbayErrorId, ebayErrorEntry, ebayErrorStatus } from './ebayErrors.ts';
import { isQuantity, revisionsUsedUp } from './ebayItems.ts';
import { priceIn } from './ebayOffers.ts';
import type { Money, Variant } from './goods.ts';
import { jsonBody, type Reply } from './http.ts';
import { uuidText } from './uuid.ts';
import type { Amounts } from './world.ts';

const offerUpdate = z.object({
  offerId: z.string(),
  availableQuantity: z.number().optional(),
  price: z.object({ value: z.string(), currency: z.string() }).optional(),
});
const update = z.object({
  sku: z.string().optional(),
  shipToLocationAvailability: z.object({ quantity: z.number().optional() }).optional(),
  offers: z.array(offerUpdate).optional(),
});
const bulkUpdate = z.object({ requests: z.array(update).min(1) });

type Update = z.infer<typeof update>;
type OfferUpdate = z.infer<typeof offerUpdate>;

type Entry = {
  readonly statusCode: number;
  readonly sku?: string;
  readonly offerId?: string;
  readonly errors: readonly EbayErrorEntry[];
  readonly warnings: readonly EbayErrorEntry[];
};

/** Thrown by a check of one entry; the other entries go on. */
class EntryError extends Error {
  readonly errorId: EbayErrorId;
  readonly details: string;

  constructor(errorId: EbayErrorId, details = '') {
    super(`${errorId}`);
    this.errorId = errorId;
    this.details = details;
  }
}

type Change = { readonly variant: Variant; readonly amounts: Amounts; readonly price: Money | null };

function readStock(catalogue: EbayCatalogue, { sku, shipToLocationAvailability }: Update): Change | null {
  if (shipToLocationAvailability === undefined) return null;
  const variant = sku === undefined ? undefined : catalogue.shop.variantBySku(sku);
  if (variant === undefined) throw new EntryError(25702);
  const { quantity } = shipToLocationAvailability;
  if (!isQuantity(quantity)) throw new EntryError(25709, 'quantity must be a whole number of at least 0.');
  return { variant, amounts: { quantity }, price: null };
}

function readOffer(catalogue: EbayCatalogue, { sku, offers = [] }: Update, offer: OfferUpdate): Change {
  const { offerId, availableQuantity, price } = offer;
  const variant = catalogue.shop.variant(offerId);
  if (variant === undefined || !catalogue.hasOffer(variant)) throw new EntryError(25713);
  if (offers.filter((each) => each.offerId === offerId).length > 1)
    throw new EntryError(25002, `offerId ${offerId} is repeated.`);
  if (sku !== undefined && variant.sku !== sku)
    throw new EntryError(25002, `Offer ${offerId} belongs to another SKU.`);
  if (availableQuantity === undefined && price === undefined)
    throw new EntryError(25709, 'availableQuantity or price is required.');
  if (availableQuantity !== undefined && !isQuantity(availableQuantity))
    throw new EntryError(25709, 'availableQuantity must be a whole number of at least 0.');
  const money = price === undefined ? null : priceIn(catalogue, price);
  if (price !== undefined && money === null) throw new EntryError(25003);
  if (!catalogue.isPublished(variant)) throw new EntryError(25002, `Offer ${offerId} is not published.`);
  return {
    variant,
    amounts: availableQuantity === undefined ? {} : { offerQuantity: availableQuantity },
    price: money,
  };
}

/** Applies the changes of one SKU as one revision and one write, so that both quantities move together. */
function apply(catalogue: EbayCatalogue, changes: readonly Change[], lateMs: number): void {
  const { shop } = catalogue;
  for (const variant of new Set(changes.map((change) => change.variant))) {
    if (catalogue.isPublished(variant) && !catalogue.revise(variant))
      throw new EntryError(25002, revisionsUsedUp(catalogue.listingId(variant)));
    const own = changes.filter((change) => change.variant === variant);
    const price = own.findLast((change) => change.price !== null)?.price ?? null;
    if (price !== null) {
      variant.price = price;
      variant.updatedAt = shop.clock.now();
    }
    const amounts: Amounts = Object.assign({}, ...own.map((change) => change.amounts));
    if (Object.keys(amounts).length > 0) shop.write(variant.id, amounts, uuidText(shop.random), lateMs);
  }
}

const failed = (error: EntryError, names: Pick<Entry, 'sku' | 'offerId'>): Entry => ({
  statusCode: ebayErrorStatus(error.errorId),
  ...names,
  errors: [ebayErrorEntry(error.errorId, error.details)],
  warnings: [],
});

function attempt<T>(run: () => T): T | EntryError {
  try {
    return run();
  } catch (error) {
    if (error instanceof EntryError) return error;
    throw error;
  }
}

/** One entry per offer, or one for the SKU when no offer is named. A wrong quantity of the item stops its offers as well. */
function answer(catalogue: EbayCatalogue, request: Update, lateMs: number): readonly Entry[] {
  const named = request.sku === undefined ? {} : { sku: request.sku };
  const stock = attempt(() => readStock(catalogue, request));
  if (stock instanceof EntryError) return [failed(stock, named)];
  const offers = (request.offers ?? []).map((offer) => ({
    offer,
    change: attempt(() => readOffer(catalogue, request, offer)),
  }));
  if (stock === null && offers.length === 0)
    return [failed(new EntryError(25709, 'Nothing to update.'), named)];
  const good = offers.flatMap(({ change }) => (change instanceof EntryError ? [] : [change]));
  const applied = attempt(() => apply(catalogue, stock === null ? good : [stock, ...good], lateMs));
  const ok = (names: Pick<Entry, 'sku' | 'offerId'>): Entry =>
    applied instanceof EntryError
      ? failed(applied, names)
      : { statusCode: 200, ...names, errors: [], warnings: [] };
  if (offers.length === 0) return [ok(named)];
  return offers.map(({ offer, change }) => {
    if (change instanceof EntryError) return failed(change, { ...named, offerId: offer.offerId });
    return ok({ sku: change.variant.sku, offerId: offer.offerId });
  });
}

/** `skusMax`: 25 by the guide and the type, 1 by the text of the method. */
export function ebayPriceQuantityRoutes(
  catalogue: EbayCatalogue,
  access: EbayAccess,
  skusMax: number,
): readonly Route[] {
  const handle = (call: Call): Reply => {
    const read = bulkUpdate.safeParse(jsonBody(call.body));
    if (!read.success) return ebayRefusal(25709, read.error.issues[0]?.path.join('.') ?? 'requests');
    const { requests } = read.data;
    if (requests.length > skusMax) return ebayRefusal(25709, `requests may name at most ${skusMax} SKUs.`);
    const responses = requests.flatMap((request) => answer(catalogue, request, call.lateEffectMs));
    return {
      status: responses.every(({ statusCode }) => statusCode === 200) ? 200 : 207,
      body: { responses },
    };
  };
  return [access.route('inventory', 'POST /bulk_update_price_quantity', 'bulkUpdatePriceQuantity', handle)];
}
