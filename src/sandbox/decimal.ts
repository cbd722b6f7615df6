/** Money as decimal text and back, by the currency's own number of digits (ISO 4217: two for USD, none for JPY). */
import type { Money } from './goods.ts';

const digitsOf = (currency: string): number =>
  new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;

/** `{minor: 2450, currency: 'USD'}` is `24.50`. */
export function decimalText({ minor, currency }: Money): string {
  const digits = digitsOf(currency);
  return (minor / 10 ** digits).toFixed(digits);
}

/** Null unless `amount` is a number of at least 0 with no more digits than the currency has. */
export function moneyOf(amount: string | number, currency: string): Money | null {
  if (!/^[A-Z]{3}$/.test(currency)) return null;
  const value =
    typeof amount === 'number' ? amount : /^\d+(\.\d+)?$/.test(amount) ? Number(amount) : Number.NaN;
  if (!Number.isFinite(value) || value < 0) return null;
  const exact = value * 10 ** digitsOf(currency);
  const minor = Math.round(exact);
  return Math.abs(exact - minor) < 1e-6 * Math.max(1, exact) ? { minor, currency } : null;
}
