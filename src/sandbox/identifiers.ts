/** Identifiers in the form each marketplace gives them: digits, except order ids on Amazon and eBay. */
import type { Platform } from './goods.ts';

export type IdentifierSource = {
  listing(): string;
  variant(): string;
  order(): string;
  line(): string;
  parcel(): string;
  refund(): string;
  /** Listings and variants count from the first again: for a shop that was emptied. */
  restartGoods(): void;
};

const firstListing: Record<Platform, number> = {
  etsy: 1_200_000_000,
  amazon: 1_000_000,
  ebay: 255_600_000_000,
  shopify: 880_000_000,
};
const firstVariant: Record<Platform, number> = {
  etsy: 9_000_000,
  amazon: 2_000_000,
  ebay: 9_001_000,
  shopify: 45_000_000,
};

function orderText(platform: Platform, serial: number): string {
  const digits = String(serial).padStart(14, '0');
  if (platform === 'amazon') return `113-${digits.slice(0, 7)}-${digits.slice(7)}`;
  if (platform === 'ebay') return `${digits.slice(2, 4)}-${digits.slice(4, 9)}-${digits.slice(9)}`;
  return String(serial);
}

/**
 * Counting identifiers. Listings and variants always start at the same numbers, so that a restarted sandbox offers the same shop; orders,
 * lines, parcels and refunds count from `startMs` (milliseconds since the epoch), so that a restarted sandbox never reuses one.
 */
export function createIdentifiers(platform: Platform, startMs: number): IdentifierSource {
  const base = Math.floor(startMs / 1000) * 1000;
  const counters = { listing: 0, variant: 0, order: 0, line: 0, parcel: 0, refund: 0 };
  const next = (name: keyof typeof counters) => ++counters[name];
  return {
    listing: () => String(firstListing[platform] + next('listing')),
    variant: () => String(firstVariant[platform] + next('variant')),
    order: () => orderText(platform, base + next('order')),
    line: () => String(base + next('line')),
    parcel: () => String(base + next('parcel')),
    refund: () => String(base + next('refund')),
    restartGoods() {
      counters.listing = 0;
      counters.variant = 0;
    },
  };
}
