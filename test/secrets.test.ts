/** Proves that sealed secrets open only with the same key, for the same row and unchanged. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSecretBox } from '../src/secrets.ts';

const box = createSecretBox(Buffer.alloc(32, 1));

test('any text opens again for the row it was sealed for', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (plain, row) => {
      expect(box.open(box.seal(plain, row), row)).toBe(plain);
    }),
  );
});

test('sealing the same text twice gives different bytes, none of them the text', () => {
  const [first, second] = [box.seal('a refresh token', 'row'), box.seal('a refresh token', 'row')];
  expect(first.equals(second)).toBe(false);
  expect(first.includes('refresh')).toBe(false);
});

test('bytes of another row do not open', () => {
  expect(() => box.open(box.seal('secret', 'account-1 shopify shop'), 'account-2 shopify shop')).toThrow(
    'authenticate',
  );
});

test('another key does not open', () => {
  expect(() => createSecretBox(Buffer.alloc(32, 2)).open(box.seal('secret', 'row'), 'row')).toThrow(
    'authenticate',
  );
});

test('not one changed, added or missing byte goes unnoticed', () => {
  const sealed = box.seal('secret', 'row');
  for (let index = 0; index < sealed.length; index += 1) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
    expect(() => box.open(changed, 'row')).toThrow(/authenticate|unknown version/);
    expect(() => box.open(sealed.subarray(0, index), 'row')).toThrow(Error);
  }
  expect(() => box.open(Buffer.concat([sealed, Buffer.of(0)]), 'row')).toThrow('authenticate');
});

test('bytes of a later version of the program are told apart from damage', () => {
  const sealed = box.seal('secret', 'row');
  sealed.writeUInt8(2, 0);
  expect(() => box.open(sealed, 'row')).toThrow('unknown version');
});

test('a key that is too short is refused', () => {
  expect(() => createSecretBox(Buffer.alloc(31)).seal('secret', 'row')).toThrow('key length');
});
