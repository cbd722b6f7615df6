/** A write that meets a refused access says so on every channel: the seller is to hear of it now, and not at the next order poll. */
import { expect, test } from 'vitest';
import type { Connector } from '../../src/connectors/connector.ts';
import { connectSeller, startSeller } from './amazonSeller.ts';
import { connectEbay } from './ebaySeller.ts';
import { connectEtsy } from './etsyShop.ts';
import type { Answer } from './localChannel.ts';
import { connectShop, startShop } from './shopifyShop.ts';

/** A token that is given is refused by every other call. */
const refusing = (path: string): Answer =>
  path.endsWith('/token')
    ? { json: { access_token: '82000001.new', expires_in: 3_600, refresh_token: '82000001.next' } }
    : { status: 401, json: { errors: [{ code: 'Unauthorized', message: 'no' }], error: 'invalid_token' } };

const connectors: Readonly<Record<string, () => Promise<{ connector: Connector; unitId: string }>>> = {
  etsy: async () => ({ ...(await connectEtsy(({ path }) => refusing(path))), unitId: '11' }),
  ebay: async () => ({ ...(await connectEbay(({ path }) => refusing(path))), unitId: 'MUG' }),
  amazon: async () => ({ ...connectSeller(await startSeller(({ path }) => refusing(path))), unitId: 'MUG' }),
  shopify: async () => ({
    ...connectShop(await startShop(() => ({ status: 401, json: { errors: 'Invalid API key' } }))),
    unitId: '1/65000001',
  }),
};

test.each(Object.entries(connectors))('%s', async (_platform, connect) => {
  const { connector, unitId } = await connect();
  const key = '0198aaaa-0000-7000-8000-000000000001';
  const address = { unitId, variantId: 'X' };
  expect(await connector.setStock([{ address, quantity: 3, expected: null, key }])).toMatchObject([
    { kind: 'deferred', error: 'unauthorized' },
  ]);
});
