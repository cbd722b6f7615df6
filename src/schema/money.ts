/** Amounts of money as exact decimals with their currency; the database keeps whole minor units. */
import { minorUnitDigits } from '../connectors/money.ts';
import { builder } from './builder.ts';

type MoneyShape = { readonly minor: bigint; readonly currency: string };

export const Money = builder.objectRef<MoneyShape>('Money').implement({
  description: 'An amount in one currency.',
  fields: (t) => ({
    amount: t.field({
      type: 'Decimal',
      description: 'Exact, with all digits of the currency: `"24.50"` (EUR), `"100"` (JPY).',
      resolve: decimalOf,
    }),
    currencyCode: t.exposeString('currency', { description: 'ISO 4217, e.g. `EUR`.' }),
  }),
});

export function moneyOf(minor: bigint | null, currency: string | null): MoneyShape | null {
  return minor === null || currency === null ? null : { minor, currency };
}

export function decimalOf({ minor, currency }: MoneyShape): string {
  const digits = minorUnitDigits(currency);
  const magnitude = (minor < 0n ? -minor : minor).toString().padStart(digits + 1, '0');
  const whole = digits === 0 ? magnitude : `${magnitude.slice(0, -digits)}.${magnitude.slice(-digits)}`;
  return minor < 0n ? `-${whole}` : whole;
}
