/** Etsy: a raise is written over nothing that nobody knew of; what is read just before it decides. */
import { expect, test } from 'vitest';
import { createShop } from './etsyShop.ts';
import { connect, quantitiesOf, twoVariants, write } from './etsyWrites.ts';

test.each([
  ['below the least believed, a sale,', { least: 6, most: 8 }],
  ['above the most believed, somebody else’s edit,', { least: 2, most: 4 }],
])('a raise is not written over a number %s but answered with what was read', async (_what, believed) => {
  const shop = createShop({ 11: twoVariants() });
  const { connector, sent } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 9, believed)])).toEqual([
    { kind: 'stale', actual: 5, read: true },
  ]);
  expect(sent()).toEqual(['GET 11/inventory']);
  expect(quantitiesOf(shop, 11)).toEqual([5, 7]);
  expect(connector.capabilities.compareAndSet).toBe(false);
});

test.each([
  ['5 alone', { least: 5, most: 5 }],
  ['at least 5', { least: 5, most: 9 }],
  ['at most 5', { least: 0, most: 5 }],
  ['nothing', undefined],
])('a raise over the 5 that is read goes through where %s was believed', async (_what, believed) => {
  const shop = createShop({ 11: twoVariants() });
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 9, believed)])).toMatchObject([{ kind: 'effective' }]);
  expect(quantitiesOf(shop, 11)).toEqual([9, 7]);
});

test('a lowering write goes through whatever is read', async () => {
  const shop = createShop({ 11: twoVariants() });
  const { connector } = await connect(shop);
  const results = await connector.setStock([
    write(11, 'X', 0, { least: 6, most: 8 }),
    write(11, 'Y', 3, { least: 9, most: 9 }),
  ]);
  expect(results).toMatchObject([{ kind: 'effective', quantity: 0 }, { kind: 'effective' }]);
  expect(quantitiesOf(shop, 11)).toEqual([0, 3]);
});

test('a listing that was taken down unknown to us is not put up again by a raise', async () => {
  const shop = createShop({ 11: twoVariants('inactive') });
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 9, { least: 5, most: 5 })])).toEqual([
    { kind: 'stale', actual: 0, read: true },
  ]);
  expect(shop.listings.get(11)?.state).toBe('inactive');
});

test('beside a refused raise the other variants are written, and it is told that the refused one was put back as it was read', async () => {
  const shop = createShop({ 11: twoVariants() });
  const { connector } = await connect(shop);
  const results = await connector.setStock([
    write(11, 'X', 9, { least: 6, most: 6 }),
    write(11, 'Y', 8, { least: 7, most: 7 }),
  ]);
  expect(results).toMatchObject([
    { kind: 'stale', actual: 5, read: true },
    {
      kind: 'effective',
      quantity: 8,
      companions: [{ address: { unitId: '11', variantId: 'X' }, quantity: 5, shown: 5 }],
    },
  ]);
  expect(quantitiesOf(shop, 11)).toEqual([5, 8]);
});

test('where Etsy shows one number for all variants, all of their raises are decided again with the refused one', async () => {
  const shop = createShop({ 11: { ...twoVariants(), shared: true } });
  const { connector } = await connect(shop);
  const raises = [write(11, 'X', 9, { least: 6, most: 6 }), write(11, 'Y', 9)];
  expect(await connector.setStock(raises)).toMatchObject([
    { kind: 'stale', actual: 5, read: true },
    { kind: 'stale', read: true },
  ]);
  const lowering = [write(11, 'X', 9, { least: 6, most: 6 }), write(11, 'Y', 4)];
  expect(await connector.setStock(lowering)).toMatchObject([
    { kind: 'stale', actual: 5, read: true },
    { kind: 'effective', quantity: 4 },
  ]);
});
