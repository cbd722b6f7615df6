/** Converts marketplace amounts to minor units and back in whole-number arithmetic, so that no float ever rounds a price. */

import { ChannelError, type Money } from './connector.ts';

/** ISO 4217, table A.1: the currencies whose exponent is not 2. */
const exponents: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'.split(' ').map((code) => [code, 0]),
  ),
  ...Object.fromEntries('BHD IQD JOD KWD LYD OMR TND'.split(' ').map((code) => [code, 3])),
  CLF: 4,
  UYW: 4,
};

/** Digits after the decimal point in `currency` (ISO 4217): 2 for most, 0 for JPY, 3 for KWD. */
export function minorUnitDigits(currency: string): number {
  if (!/^[A-Z]{3}$/.test(currency)) {
    throw new ChannelError('invalid_response', `"${currency.slice(0, 20)}" is not an ISO 4217 currency code`);
  }
  return exponents[currency] ?? 2;
}

/**
 * A decimal string such as "24.5" in `currency`. Digits beyond the minor unit are rounded half away from zero.
 * Throws `ChannelError` (`invalid_response`) on anything that is not a plain decimal number.
 */
export function moneyFromDecimal(amount: string, currency: string): Money {
  const parts = /^(-?)(\d{1,15})(?:\.(\d{1,15}))?$/.exec(amount.trim());
  if (parts === null) {
    throw new ChannelError('invalid_response', `"${amount.slice(0, 40)}" is not a decimal amount`);
  }
  const [, sign, whole = '0', fraction = ''] = parts;
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  return moneyFromRatio(digits, 10n ** BigInt(fraction.length), currency);
}

/** Etsy's form: value = `amount / divisor`. Throws `ChannelError` (`invalid_response`) unless both are whole and the divisor positive. */
export function moneyFromFraction(amount: number, divisor: number, currency: string): Money {
  if (!Number.isSafeInteger(amount) || !Number.isSafeInteger(divisor) || divisor < 1) {
    throw new ChannelError(
      'invalid_response',
      `${amount}/${divisor} is not a whole amount over a positive divisor`,
    );
  }
  return moneyFromRatio(BigInt(amount), BigInt(divisor), currency);
}

/** The price of one of `quantity` equal units that cost `total` together, rounded half away from zero. Null when `quantity` is below 1. */
export function moneyPerUnit(total: Money, quantity: number): Money | null {
  if (!Number.isSafeInteger(quantity) || quantity < 1) return null;
  const minor = roundedQuotient(BigInt(total.minor), BigInt(quantity));
  return { minor: Number(minor), currency: total.currency };
}

/** The decimal string of `money`, always with all digits of its currency: "24.50", "100" (JPY), "1.500" (KWD). */
export function decimalFromMoney(money: Money): string {
  const digits = minorUnitDigits(money.currency);
  const sign = money.minor < 0 ? '-' : '';
  const text = BigInt(Math.abs(money.minor))
    .toString()
    .padStart(digits + 1, '0');
  if (digits === 0) return sign + text;
  return `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

function moneyFromRatio(numerator: bigint, denominator: bigint, currency: string): Money {
  const minor = Number(roundedQuotient(numerator * 10n ** BigInt(minorUnitDigits(currency)), denominator));
  if (!Number.isSafeInteger(minor)) {
    throw new ChannelError('invalid_response', `an amount in ${currency} is too large to be exact`);
  }
  return { minor, currency };
}

/** Half away from zero: the commercial rule, and the same for a refund as for the sale. */
function roundedQuotient(numerator: bigint, denominator: bigint): bigint {
  const magnitude = numerator < 0n ? -numerator : numerator;
  const rounded = (2n * magnitude + denominator) / (2n * denominator);
  return numerator < 0n ? -rounded : rounded;
}
