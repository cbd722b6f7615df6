/** eBay's inventory items. */

import { describe, expect, it } from 'vitest';
import { type EbayBench, ebayError, inventory, withEbay } from './ebayBench.ts';

const items = `${inventory}/inventory_item`;
const itemPath = (sku: string) => `${items}/${encodeURIComponent(sku)}`;

type Page = {
  readonly total: number;
  readonly size: number;
  readonly next?: string;
  readonly inventoryItems: readonly { readonly sku: string }[];
};

function addCups({ shop }: EbayBench, count: number): void {
  const price = { minor: 100, currency: 'USD' };
  for (let index = 0; index < count; index++)
    shop.addListing({
      title: 'Cup',
      variants: [{ sku: `CUP-${index}`, quantity: 1, offerQuantity: 1, price }],
    });
}

const mug = {
  condition: 'NEW',
  availability: { shipToLocationAvailability: { quantity: 3 } },
  product: { title: 'Green mug', description: 'Stoneware', aspects: { Color: ['Green'] } },
};

describe('getInventoryItems', () => {
  it('counts pages, not rows, with offset, and links to the next page', () =>
    withEbay(async (bench) => {
      addCups(bench, 9);
      const page = async (offset: string) =>
        (await bench.call('GET', items, { query: { limit: '4', offset } })).body as Page;
      const pages = [await page('0'), await page('1'), await page('2')];
      expect(pages.map(({ size }) => size)).toEqual([4, 4, 2]);
      expect(pages.map(({ total }) => total)).toEqual([10, 10, 10]);
      expect(new Set(pages.flatMap(({ inventoryItems }) => inventoryItems.map(({ sku }) => sku))).size).toBe(
        10,
      );
      expect(pages.map(({ next }) => next && new URL(next).searchParams.get('offset'))).toEqual([
        '1',
        '2',
        undefined,
      ]);
    }));

  it('takes 25 rows by default, at most 200', () =>
    withEbay(async (bench) => {
      addCups(bench, 30);
      expect((await bench.call('GET', items)).body).toMatchObject({ size: 25, limit: 25 });
      for (const query of [{ limit: '201' }, { limit: '0' }, { offset: '-1' }])
        expect(await bench.call('GET', items, { query })).toMatchObject(ebayError(400, 25706));
    }));

  it('claims to be the last page when a fault cuts it', () =>
    withEbay(async (bench) => {
      addCups(bench, 9);
      bench.faults.add({ kind: 'truncatedPage', platform: 'ebay', keep: 2, count: 1 });
      const { body } = await bench.call('GET', items, { query: { limit: '4' } });
      expect((body as Page).inventoryItems).toHaveLength(2);
      expect((body as Page).next).toBeUndefined();
    }));
});

describe('getInventoryItem', () => {
  it('answers the quantity, as old as reads are said to be', () =>
    withEbay(async (bench) => {
      expect((await bench.call('GET', itemPath('MUG-BLUE'))).body).toMatchObject({
        sku: 'MUG-BLUE',
        condition: 'NEW',
        availability: { shipToLocationAvailability: { quantity: 5 } },
        product: { title: 'Blue mug' },
      });
      bench.clock.advance(60_000);
      bench.buy(2);
      bench.faults.add({ kind: 'staleRead', platform: 'ebay', ageMs: 30_000, count: 1 });
      const quantity = async () =>
        (await bench.call('GET', itemPath('MUG-BLUE'))).body as { availability: unknown };
      expect((await quantity()).availability).toEqual({ shipToLocationAvailability: { quantity: 5 } });
      expect((await quantity()).availability).toEqual({ shipToLocationAvailability: { quantity: 3 } });
    }));

  it('gives no number for what is not counted, and 404 with error 25702 for an unknown SKU', () =>
    withEbay(async (bench) => {
      bench.variant('MUG-BLUE').tracked = false;
      const { body } = await bench.call('GET', itemPath('MUG-BLUE'));
      expect(body).toHaveProperty('availability', { shipToLocationAvailability: {} });
      expect(await bench.call('GET', itemPath('NONE'))).toMatchObject(ebayError(404, 25702));
    }));
});

describe('createOrReplaceInventoryItem', () => {
  it('creates with 201 and replaces with 204', () =>
    withEbay(async (bench) => {
      expect((await bench.call('PUT', itemPath('MUG-GREEN'), { body: mug })).status).toBe(201);
      expect((await bench.call('PUT', itemPath('MUG-GREEN'), { body: mug })).status).toBe(204);
      expect((await bench.call('GET', itemPath('MUG-GREEN'))).body).toMatchObject(mug);
    }));

  it('replaces completely: what is not repeated is gone', () =>
    withEbay(async (bench) => {
      const availability = { shipToLocationAvailability: { quantity: 4 } };
      await bench.call('PUT', itemPath('MUG-BLUE'), { body: { availability } });
      const { body } = await bench.call('GET', itemPath('MUG-BLUE'));
      expect(body).toEqual({ sku: 'MUG-BLUE', locale: 'en_US', availability });
      await bench.call('PUT', itemPath('MUG-BLUE'), { body: { condition: 'NEW' } });
      expect(bench.variant('MUG-BLUE').quantity).toBe(0);
    }));

  it('needs the content language, a SKU of at most 50 characters, and a quantity that is one', () =>
    withEbay(async (bench) => {
      const headers = { 'content-language': '' };
      expect(await bench.call('PUT', itemPath('MUG-BLUE'), { body: mug, headers })).toMatchObject(
        ebayError(400, 25709),
      );
      expect(await bench.call('PUT', itemPath('S'.repeat(51)), { body: mug })).toMatchObject(
        ebayError(400, 25708),
      );
      for (const quantity of [-1, 1.5]) {
        const body = { availability: { shipToLocationAvailability: { quantity } } };
        expect(await bench.call('PUT', itemPath('MUG-BLUE'), { body })).toMatchObject(ebayError(400, 25004));
      }
      expect(bench.variant('MUG-BLUE').quantity).toBe(5);
    }));
});

const bulk = ({ call }: EbayBench, skus: readonly string[]) =>
  call('POST', `${inventory}/bulk_get_inventory_item`, {
    body: { requests: skus.map((sku) => ({ sku })) },
  });

describe('bulkGetInventoryItem', () => {
  it('answers 200 when every SKU is known and 207 with an entry of its own for each that is not', () =>
    withEbay(async (bench) => {
      expect(await bulk(bench, ['MUG-BLUE'])).toMatchObject({
        status: 200,
        body: { responses: [{ sku: 'MUG-BLUE', statusCode: 200, inventoryItem: { sku: 'MUG-BLUE' } }] },
      });
      expect(await bulk(bench, ['MUG-BLUE', 'NONE'])).toMatchObject({
        status: 207,
        body: {
          responses: [{ statusCode: 200 }, { sku: 'NONE', statusCode: 404, errors: [{ errorId: 25702 }] }],
        },
      });
    }));

  it('takes at most 25 different SKUs', () =>
    withEbay(async (bench) => {
      const many = Array.from({ length: 26 }, (_, index) => `S${index}`);
      expect(await bulk(bench, many)).toMatchObject(ebayError(400, 25727));
      expect(await bulk(bench, ['A', 'A'])).toMatchObject(ebayError(400, 25734));
      expect(await bulk(bench, [])).toMatchObject(ebayError(400, 25709));
    }));
});
