/** What tests of Etsy's stock writes share: a connected shop, a write, and a listing of two variants. */
import type { StockWrite } from '../../src/connectors/connector.ts';
import { connectEtsy, type TestShop } from './etsyShop.ts';

export async function connect(shop: TestShop) {
  const { connector, channel, context } = await connectEtsy(shop.handle);
  const sent = () =>
    channel.requests.map((call) => `${call.method} ${call.path.split('/').slice(-2).join('/')}`);
  return { connector, channel, context, sent };
}

export const write = (
  unitId: number,
  variantId: string,
  quantity: number,
  believed?: StockWrite['believed'],
): StockWrite => ({
  address: { unitId: String(unitId), variantId },
  quantity,
  expected: null,
  ...(believed === undefined ? {} : { believed }),
  key: '00000000-0000-4000-8000-000000000001',
});
export const quantitiesOf = (shop: TestShop, id: number) =>
  shop.listings.get(id)?.products.map((product) => product.quantity);
export const twoVariants = (state = 'active') => ({
  state,
  products: [
    { id: 1, sku: 'X', quantity: 5 },
    { id: 2, sku: 'Y', quantity: 7 },
  ],
});
