/** Etsy: a write for one variant puts the others back as they were read, but never above what is known of them. */
import { expect, test } from 'vitest';
import type { StockWrite } from '../../src/connectors/connector.ts';
import { connectEtsy, createShop } from './etsyShop.ts';

const twoVariants = () => ({
  state: 'active',
  products: [
    { id: 1, sku: 'X', quantity: 5 },
    { id: 2, sku: 'Y', quantity: 7 },
  ],
});

/** Writes X; Y may show `most` at most. */
const writeX = (unitId: number, quantity: number, most: number): StockWrite => ({
  address: { unitId: String(unitId), variantId: 'X' },
  quantity,
  expected: null,
  key: '00000000-0000-4000-8000-000000000001',
  others: [{ address: { unitId: String(unitId), variantId: 'Y' }, quantity: most }],
});

test('T10: a variant that is known to show less than the read says is put back no higher than what is known', async () => {
  const shop = createShop({ 11: twoVariants(), 12: twoVariants(), 13: { ...twoVariants(), shared: true } });
  const { connector } = await connectEtsy(shop.handle);
  const results = await connector.setStock([writeX(11, 4, 6), writeX(12, 4, 8), writeX(13, 5, 3)]);
  expect([11, 12, 13].map((id) => shop.listings.get(id)?.products.map(({ quantity }) => quantity))).toEqual([
    [4, 6],
    [4, 7],
    [3, 3],
  ]);
  const along = results.map((result) =>
    'companions' in result ? result.companions?.map(({ quantity, shown }) => [quantity, shown]) : undefined,
  );
  expect(along).toEqual([[[6, 7]], [[7, 7]], [[3, 7]]]);
});

test('T10: a listing of which nothing is left by what is known is taken down, whatever a stale read says', async () => {
  const shop = createShop({ 11: twoVariants() });
  const { connector } = await connectEtsy(shop.handle);
  await connector.setStock([writeX(11, 0, 0)]);
  expect(shop.listings.get(11)?.state).toBe('inactive');
});
