/** Money: decimals become minor units exactly, or not at all. */
import { assert as check, constantFrom, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelError } from '../../src/connectors/connector.ts';
import {
  decimalFromMoney,
  minorUnitDigits,
  moneyFromDecimal,
  moneyFromFraction,
  moneyPerUnit,
} from '../../src/connectors/money.ts';

const currencies = constantFrom('USD', 'EUR', 'JPY', 'KWD', 'CLF', 'HUF');
const minors = integer({ min: -9_000_000_000_000, max: 9_000_000_000_000 });

describe('money', () => {
  test('every amount survives the way to a decimal string and back', () => {
    check(
      property(minors, currencies, (minor, currency) => {
        const money = { minor, currency };
        expect(moneyFromDecimal(decimalFromMoney(money), currency)).toEqual({ minor: minor + 0, currency });
      }),
    );
  });

  test('trailing zeros never change an amount', () => {
    check(
      property(minors, currencies, integer({ min: 1, max: 5 }), (minor, currency, zeros) => {
        const text = decimalFromMoney({ minor, currency });
        const longer = (text.includes('.') ? text : `${text}.`) + '0'.repeat(zeros);
        expect(moneyFromDecimal(longer, currency).minor).toBe(minor);
      }),
    );
  });

  test('an amount over its own power of ten is the amount in minor units', () => {
    check(
      property(minors, currencies, (minor, currency) => {
        expect(moneyFromFraction(minor, 10 ** minorUnitDigits(currency), currency).minor).toBe(minor);
      }),
    );
  });

  test('a unit price times its quantity is off by at most half a minor unit per unit', () => {
    check(
      property(minors, integer({ min: 1, max: 999 }), (minor, quantity) => {
        const unit = moneyPerUnit({ minor, currency: 'USD' }, quantity);
        expect(Math.abs((unit?.minor ?? Number.NaN) * quantity - minor)).toBeLessThanOrEqual(quantity / 2);
      }),
    );
  });

  test.each([
    ['24.5', 'USD', 2450],
    ['24.50', 'USD', 2450],
    ['0.29', 'USD', 29],
    ['19940', 'JPY', 19940],
    ['100.0', 'JPY', 100],
    ['1.5', 'KWD', 1500],
    ['0.125', 'USD', 13],
    ['-0.125', 'USD', -13],
    ['-3.10', 'EUR', -310],
  ])('reads %s %s as %i minor units', (amount, currency, minor) => {
    expect(moneyFromDecimal(amount, currency)).toEqual({ minor, currency });
  });

  test('reads the amount and divisor of Etsy without assuming a divisor of 100', () => {
    expect(moneyFromFraction(2450, 100, 'USD').minor).toBe(2450);
    expect(moneyFromFraction(245, 10, 'USD').minor).toBe(2450);
    expect(moneyFromFraction(3000, 1, 'JPY').minor).toBe(3000);
    expect(moneyFromFraction(300_000, 100, 'JPY').minor).toBe(3000);
  });

  test.each(['', '1,50', '1e3', 'NaN', '0x10', '1.2.3', '99999999999999999'])(
    'refuses the amount "%s"',
    (amount) => {
      expect(() => moneyFromDecimal(amount, 'USD')).toThrow(ChannelError);
    },
  );

  test('refuses what is no currency code, a divisor of zero, and a result too large to be exact', () => {
    expect(() => moneyFromDecimal('1', 'dollars')).toThrow(/ISO 4217/);
    expect(() => moneyFromFraction(1, 0, 'USD')).toThrow(ChannelError);
    expect(() => moneyFromFraction(0.5, 1, 'USD')).toThrow(ChannelError);
    expect(() => moneyFromDecimal('999999999999999', 'KWD')).toThrow(/too large/);
  });

  test('writes all digits of the currency', () => {
    expect(decimalFromMoney({ minor: 5, currency: 'USD' })).toBe('0.05');
    expect(decimalFromMoney({ minor: -5, currency: 'KWD' })).toBe('-0.005');
    expect(decimalFromMoney({ minor: 5, currency: 'JPY' })).toBe('5');
  });

  test('there is no unit price of nothing', () => {
    expect(moneyPerUnit({ minor: 100, currency: 'USD' }, 0)).toBeNull();
  });
});
