/** eBay: item and offers carry one number, and every entry of a bulk answer is judged by itself. */
import { expect, test } from 'vitest';
import type { StockWrite } from '../../src/connectors/connector.ts';
import { connectEbay, createSeller, ebayError, type TestItem, type TestSeller } from './ebaySeller.ts';
import { collect, unclearAnswers } from './localChannel.ts';
import { recording } from './recordings.ts';

async function connect(seller: TestSeller, settings: Readonly<Record<string, unknown>> = {}) {
  const { connector, channel } = await connectEbay(seller.handle, { settings });
  const callsTo = (name: string) => channel.requests.filter((call) => call.path.endsWith(name));
  return { connector, callsTo };
}

const write = (sku: string, quantity: number): StockWrite => ({
  address: { unitId: sku, variantId: '' },
  quantity,
  expected: null,
  key: '00000000-0000-4000-8000-000000000001',
});
const address = (sku: string) => ({ unitId: sku, variantId: '' });
const item = (quantity: number, offerId: string, changes: Partial<TestItem> = {}): TestItem => ({
  quantity,
  offers: [{ offerId, available: quantity }],
  ...changes,
});

test('a write sets the item and its offer to the same number', async () => {
  const seller = createSeller({ 'MUG-BLUE': item(5, '9001') });
  const { connector, callsTo } = await connect(seller);
  expect(await connector.setStock([write('MUG-BLUE', 4)])).toEqual([{ kind: 'effective', quantity: 4 }]);
  expect(JSON.parse(callsTo('bulk_update_price_quantity')[0]?.body ?? '')).toEqual({
    requests: [
      {
        sku: 'MUG-BLUE',
        shipToLocationAvailability: { quantity: 4 },
        offers: [{ offerId: '9001', availableQuantity: 4 }],
      },
    ],
  });
});

test('the documented bodies of item, offers and update are understood', async () => {
  const [first] = (recording('ebay/inventoryItems') as { inventoryItems: readonly unknown[] }).inventoryItems;
  const seller = createSeller(
    {},
    {
      before: (call) => {
        if (call.path.endsWith('bulk_get_inventory_item')) {
          return {
            json: {
              responses: [
                { sku: 'MUG-BLUE', statusCode: 200, inventoryItem: first, errors: [], warnings: [] },
              ],
            },
          };
        }
        return { json: recording(call.path.endsWith('offer') ? 'ebay/offers' : 'ebay/bulkUpdateAnswer') };
      },
    },
  );
  const { connector } = await connect(seller);
  expect(await connector.readStock([address('MUG-BLUE')])).toEqual([{ kind: 'quantity', quantity: 5 }]);
  expect(await connector.setStock([write('MUG-BLUE', 4)])).toEqual([{ kind: 'effective', quantity: 4 }]);
});

test('of a 207 every entry is judged by itself', async () => {
  const seller = createSeller(
    { A: item(1, '1'), B: item(1, '2'), C: item(1, '3'), D: item(1, '4'), E: item(1, '5') },
    {
      refuse: (sku) => {
        if (sku === 'B') return { statusCode: 400, errors: [ebayError(25_004)] };
        if (sku === 'C') return { statusCode: 409, errors: [ebayError(25_025)] };
        return sku === 'D' ? { statusCode: 500, errors: [ebayError(25_001, 'APPLICATION')] } : null;
      },
    },
  );
  const { connector } = await connect(seller);
  const results = await connector.setStock(['A', 'B', 'C', 'D', 'E', 'GONE'].map((sku) => write(sku, 7)));
  expect(results).toMatchObject([
    { kind: 'effective', quantity: 7 },
    { kind: 'rejected', code: '25004' },
    { kind: 'deferred' },
    { kind: 'unknown' },
    { kind: 'effective', quantity: 7 },
    { kind: 'rejected', code: '25710' },
  ]);
});

test('an item that changed while its offer was refused is unknown, because two numbers differ now', async () => {
  const seller = createSeller(
    {
      A: {
        quantity: 5,
        offers: [
          { offerId: '1', available: 5 },
          { offerId: '2', available: 5 },
        ],
      },
    },
    {
      refuse: (_sku, offerId) => (offerId === '2' ? { statusCode: 400, errors: [ebayError(25_004)] } : null),
    },
  );
  const { connector } = await connect(seller);
  expect(await connector.setStock([write('A', 9)])).toMatchObject([{ kind: 'unknown' }]);
  expect(await connector.readStock([address('A')])).toEqual([{ kind: 'quantity', quantity: 9 }]);
});

test('a lost answer is unknown and is never sent a second time', async () => {
  const seller = createSeller(
    { A: item(1, '1') },
    { before: (call) => (call.path.endsWith('bulk_update_price_quantity') ? 'lost' : null) },
  );
  const { connector, callsTo } = await connect(seller);
  expect(await connector.setStock([write('A', 2)])).toMatchObject([{ kind: 'unknown' }]);
  expect(callsTo('bulk_update_price_quantity')).toHaveLength(1);
});

test('an answer that leaves out a SKU leaves that SKU unknown', async () => {
  const seller = createSeller(
    { A: item(1, '1') },
    {
      before: (call) =>
        call.path.endsWith('bulk_update_price_quantity') ? { json: { responses: [] } } : null,
    },
  );
  const { connector } = await connect(seller);
  expect(await connector.setStock([write('A', 2)])).toMatchObject([{ kind: 'unknown' }]);
});

test.each(
  ['/bulk_get_inventory_item', '/offer'].flatMap((path) =>
    unclearAnswers.map(([name, answer]) => [path, name, answer] as const),
  ),
)('a look-up at %s answered with %s is deferred, because nothing was sent', async (path, _name, answer) => {
  const seller = createSeller(
    { A: item(1, '1') },
    { before: (call) => (call.path.endsWith(path) ? answer : null) },
  );
  const { connector, callsTo } = await connect(seller);
  expect(await connector.setStock([write('A', 2)])).toMatchObject([{ kind: 'deferred' }]);
  expect(callsTo('bulk_update_price_quantity')).toHaveLength(0);
});

test('thirty SKUs travel in two calls of at most 25', async () => {
  const skus = Array.from({ length: 30 }, (_unused, index) => `S${index}`);
  const seller = createSeller(Object.fromEntries(skus.map((sku, index) => [sku, item(1, String(index))])));
  const { connector, callsTo } = await connect(seller);
  const results = await connector.setStock(skus.map((sku) => write(sku, 3)));
  expect(results.every((result) => result.kind === 'effective')).toBe(true);
  const sizes = callsTo('bulk_update_price_quantity').map((call) => JSON.parse(call.body).requests.length);
  expect(sizes).toEqual([25, 5]);
  expect([...seller.items.values()].every((each) => each.quantity === 3)).toBe(true);
});

test('a bulk call that is refused as a whole is sent SKU by SKU', async () => {
  const seller = createSeller(
    { A: item(1, '1'), B: item(1, '2') },
    {
      before: (call) => {
        if (!call.path.endsWith('bulk_update_price_quantity')) return null;
        return JSON.parse(call.body).requests.length > 1
          ? { status: 400, json: { errors: [ebayError(25_709)] } }
          : null;
      },
    },
  );
  const { connector, callsTo } = await connect(seller);
  expect(await connector.setStock([write('A', 2), write('B', 3)])).toMatchObject([
    { kind: 'effective', quantity: 2 },
    { kind: 'effective', quantity: 3 },
  ]);
  expect(callsTo('bulk_update_price_quantity')).toHaveLength(3);
});

test('skusPerUpdate 1 sends one SKU per call and says so', async () => {
  const seller = createSeller({ A: item(1, '1'), B: item(1, '2') });
  const { connector, callsTo } = await connect(seller, { skusPerUpdate: 1 });
  await connector.setStock([write('A', 2), write('B', 3)]);
  expect(callsTo('bulk_update_price_quantity')).toHaveLength(2);
  expect(connector.capabilities.writesPerCall).toBe(1);
});

test('offers are looked up once and again after a write that did not work', async () => {
  let refusals = 0;
  const seller = createSeller(
    { A: item(1, '1') },
    {
      refuse: () => {
        refusals += 1;
        return refusals === 3 ? { statusCode: 400, errors: [ebayError(25_002)] } : null;
      },
    },
  );
  const { connector, callsTo } = await connect(seller);
  await connector.setStock([write('A', 2)]);
  expect(callsTo('/offer')).toHaveLength(1);
  expect(await connector.setStock([write('A', 3)])).toMatchObject([{ kind: 'rejected' }]);
  expect(callsTo('/offer')).toHaveLength(1);
  await connector.setStock([write('A', 4)]);
  expect(callsTo('/offer')).toHaveLength(2);
});

test('a SKU without a live offer takes 0 and refuses more, because no buyer would see it', async () => {
  const seller = createSeller({
    NONE: item(5, '1', { offers: [] }),
    DRAFT: item(5, '1', { offers: [{ offerId: '1', available: 5, status: 'UNPUBLISHED' }] }),
    ENDED: item(5, '2', { offers: [{ offerId: '2', available: 5, listingStatus: 'ENDED' }] }),
  });
  const { connector } = await connect(seller);
  expect(await connector.setStock([write('NONE', 3), write('DRAFT', 3), write('ENDED', 0)])).toMatchObject([
    { kind: 'rejected', code: 'no_live_offer' },
    { kind: 'rejected', code: 'no_live_offer' },
    { kind: 'effective', quantity: 0 },
  ]);
  const shown = await connector.readStock(['NONE', 'DRAFT', 'ENDED'].map(address));
  expect(shown.map((reading) => reading.kind === 'quantity' && reading.quantity)).toEqual([0, 0, 0]);
});

test('warehouses are sent back, because eBay loses those left out', async () => {
  const distributions = [{ merchantLocationKey: 'main', quantity: 5 }];
  const two = [...distributions, { merchantLocationKey: 'shop', quantity: 2 }];
  const seller = createSeller({
    ONE: item(5, '1', { distributions }),
    TWO: item(7, '2', { distributions: two }),
  });
  const { connector } = await connect(seller);
  expect(await connector.setStock([write('ONE', 4), write('TWO', 4)])).toMatchObject([
    { kind: 'effective', quantity: 4 },
    { kind: 'rejected', code: 'several_warehouses' },
  ]);
  expect(seller.items.get('ONE')?.distributions).toEqual([{ merchantLocationKey: 'main', quantity: 4 }]);
  const named = await connect(seller, { merchantLocationKey: 'shop' });
  expect(await named.connector.setStock([write('TWO', 4)])).toMatchObject([{ kind: 'effective' }]);
  expect(seller.items.get('TWO')?.distributions).toEqual([
    { merchantLocationKey: 'main', quantity: 0 },
    { merchantLocationKey: 'shop', quantity: 4 },
  ]);
});

test('a reading is the smaller of item and offer, and unknown for a SKU that eBay does not know', async () => {
  const seller = createSeller({
    A: item(5, '1', { offers: [{ offerId: '1', available: 3 }] }),
    B: item(2, '2', { offers: [{ offerId: '2', available: 9 }] }),
  });
  const { connector } = await connect(seller);
  expect(await connector.readStock(['A', 'B', 'GONE', 'A'].map(address))).toMatchObject([
    { kind: 'quantity', quantity: 3 },
    { kind: 'quantity', quantity: 2 },
    { kind: 'unknown' },
    { kind: 'quantity', quantity: 3 },
  ]);
});

test('an item without a quantity is unknown and never 0', async () => {
  const seller = createSeller(
    { A: item(5, '1') },
    {
      before: (call) =>
        call.path.endsWith('bulk_get_inventory_item')
          ? {
              json: {
                responses: [{ sku: 'A', statusCode: 200, inventoryItem: { sku: 'A', condition: 'NEW' } }],
              },
            }
          : null,
    },
  );
  const { connector } = await connect(seller);
  expect(await connector.readStock([address('A')])).toMatchObject([{ kind: 'unknown' }]);
});

// -------------------------------------------------------------------------------------------------------------- catalogue

test('the catalogue holds every SKU with price, link and what buyers see', async () => {
  const seller = createSeller({ 'MUG-BLUE': item(5, '9001'), DRAFT: item(4, '1', { offers: [] }) });
  const { connector } = await connect(seller);
  const entries = await collect(connector.catalogue());
  expect(entries).toEqual([
    {
      address: { unitId: 'MUG-BLUE', variantId: '' },
      sku: 'MUG-BLUE',
      title: 'Title MUG-BLUE',
      url: 'https://www.ebay.com/itm/2556',
      price: { minor: 2450, currency: 'USD' },
      stock: { kind: 'quantity', quantity: 5 },
      writable: true,
      sellsBeyond: false,
    },
    expect.objectContaining({
      sku: 'DRAFT',
      url: null,
      price: null,
      stock: { kind: 'quantity', quantity: 0 },
    }),
  ]);
});

test('an item that disappears between two pages makes the scan start over and miss none', async () => {
  const skus = Array.from({ length: 250 }, (_unused, index) => `S${index}`);
  let pages = 0;
  const seller = createSeller(Object.fromEntries(skus.map((sku, index) => [sku, item(1, String(index))])), {
    before: (call) => {
      if (!call.path.endsWith('/inventory_item')) return null;
      pages += 1;
      if (pages === 2) seller.items.delete('S0');
      return null;
    },
  });
  const { connector, callsTo } = await connect(seller);
  const entries = await collect(connector.catalogue());
  expect(new Set(entries.map((entry) => entry.sku)).size).toBe(250);
  expect(entries).toHaveLength(250);
  expect(callsTo('/inventory_item').map((call) => call.query.get('offset'))).toEqual(['0', '1', '0', '1']);
});

test('a page that ends before the promised total is an error and never the end', async () => {
  const seller = createSeller({}, { before: () => ({ json: { total: 3, inventoryItems: [] } }) });
  const { connector } = await connect(seller);
  await expect(collect(connector.catalogue())).rejects.toMatchObject({ code: 'invalid_response' });
});
