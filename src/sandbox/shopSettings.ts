/** What a shop is made from, and how it behaves unless it is told otherwise. */
import type { Clock } from './clock.ts';
import type { Platform, ShopSettings } from './goods.ts';
import type { IdentifierSource } from './identifiers.ts';
import { instantly, type Random } from './random.ts';

/** Everything at once and nothing forgotten soon; sold-out listings on Etsy, as there. */
export function defaultShopSettings(platform: Platform): ShopSettings {
  return {
    writeEffectMs: instantly,
    readStaleMs: instantly,
    orderIndexLagMs: instantly,
    atZero: platform === 'etsy' ? 'soldOut' : 'stay',
    cancelRestocks: platform === 'shopify',
    historyMs: 600_000,
    journalSize: 20_000,
    ordersMax: 5000,
    closedOrdersKeptMs: 3_600_000,
  };
}

export type ShopParts = {
  readonly platform: Platform;
  readonly clock: Clock;
  readonly random: Random;
  readonly identifiers: IdentifierSource;
  readonly settings?: Partial<ShopSettings>;
};

/** Both numbers of a variant; a missing `offerQuantity` leaves the offer's number as it is. */
export type Amounts = { readonly quantity?: number; readonly offerQuantity?: number | null };
