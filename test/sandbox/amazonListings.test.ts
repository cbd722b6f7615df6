/** Reads of Amazon listings: data sets, searches, pages. */

import { describe, expect, it } from 'vitest';
import { type AmazonBench, itemPath, marketplaceId, sellerId, withAmazon } from './amazonBench.ts';

const searchPath = `/listings/2021-08-01/items/${sellerId}`;

type Item = {
  readonly sku: string;
  readonly fulfillmentAvailability: readonly {
    readonly fulfillmentChannelCode: string;
    readonly quantity?: number;
  }[];
};
type Page = {
  readonly numberOfResults: number;
  readonly items: readonly Item[];
  readonly pagination?: { readonly nextToken?: string; readonly previousToken?: string };
};

async function search({ call }: AmazonBench, query: Record<string, string> = {}): Promise<Page> {
  const answer = await call('GET', searchPath, { query: { marketplaceIds: marketplaceId, ...query } });
  expect(answer.status).toBe(200);
  return answer.body as Page;
}

const getItem = ({ call }: AmazonBench, sku: string, includedData?: string) =>
  call('GET', itemPath(sku), {
    query: { marketplaceIds: marketplaceId, ...(includedData === undefined ? {} : { includedData }) },
  });

function addMugs({ shop }: AmazonBench, count: number): void {
  for (let index = 0; index < count; index++) {
    const sku = `MUG-${String(index).padStart(3, '0')}`;
    shop.addListing({ title: sku, variants: [{ sku, quantity: 1, price: { minor: 100, currency: 'USD' } }] });
  }
}

describe('getListingsItem', () => {
  it('answers only summaries unless other data sets are asked for', () =>
    withAmazon(async (bench) => {
      const { body } = await getItem(bench, 'MUG-BLUE');
      expect(body).toEqual({
        sku: 'MUG-BLUE',
        summaries: [expect.objectContaining({ asin: 'B0DEMO0001', productType: 'MUG' })],
      });
    }));

  it('answers every data set that is asked for, and the numbers agree', () =>
    withAmazon(async (bench) => {
      const all =
        'summaries,attributes,issues,offers,fulfillmentAvailability,procurement,relationships,productTypes';
      const { body } = await getItem(bench, 'MUG-BLUE', all);
      expect(Object.keys(body as object)).toEqual(['sku', ...all.split(',')]);
      expect(body).toMatchObject({
        offers: [{ price: { amount: '24.50', currencyCode: 'USD' } }],
        fulfillmentAvailability: [{ fulfillmentChannelCode: 'DEFAULT', quantity: 5 }],
        attributes: { fulfillment_availability: [{ fulfillment_channel_code: 'DEFAULT', quantity: 5 }] },
      });
    }));

  it('names the channel of an offer that Amazon fulfils', () =>
    withAmazon(async (bench) => {
      const { body } = await getItem(bench, 'MUG-RED', 'fulfillmentAvailability');
      expect(body).toMatchObject({
        fulfillmentAvailability: [{ fulfillmentChannelCode: 'AMAZON_NA', quantity: 9 }],
      });
    }));

  it('gives no quantity for a listing that is not counted', () =>
    withAmazon(async (bench) => {
      bench.variant('MUG-BLUE').tracked = false;
      const { body } = await getItem(bench, 'MUG-BLUE', 'fulfillmentAvailability');
      expect((body as Item).fulfillmentAvailability).toEqual([{ fulfillmentChannelCode: 'DEFAULT' }]);
    }));

  it('decodes a SKU that needs encoding, and answers 404 for an unknown one', () =>
    withAmazon(async (bench) => {
      const price = { minor: 100, currency: 'USD' };
      bench.shop.addListing({ title: 'Odd', variants: [{ sku: 'A/B ü', quantity: 1, price }] });
      expect((await getItem(bench, 'A/B ü')).body).toMatchObject({ sku: 'A/B ü' });
      expect(await getItem(bench, 'NONE')).toMatchObject({
        status: 404,
        body: { errors: [{ code: 'NotFound' }] },
      });
    }));

  it('refuses a missing marketplace, an unknown data set, and another seller', () =>
    withAmazon(async ({ call }) => {
      const invalid = { status: 400, body: { errors: [{ code: 'InvalidInput' }] } };
      const query = { marketplaceIds: marketplaceId };
      expect(await call('GET', itemPath('MUG-BLUE'))).toMatchObject(invalid);
      expect(
        await call('GET', itemPath('MUG-BLUE'), { query: { ...query, includedData: 'stock' } }),
      ).toMatchObject(invalid);
      const other = '/listings/2021-08-01/items/A1OTHER/MUG-BLUE';
      expect((await call('GET', other, { query })).status).toBe(403);
      expect(
        (await call('GET', itemPath('MUG-BLUE'), { query: { marketplaceIds: 'A1PA6795UKMFR9' } })).status,
      ).toBe(403);
    }));

  it('answers from an older snapshot when reads are stale', () =>
    withAmazon(
      async (bench) => {
        bench.clock.advance(10_000);
        bench.shop.editOutside(bench.variant('MUG-BLUE').id, 2);
        const before = await getItem(bench, 'MUG-BLUE', 'fulfillmentAvailability');
        expect(before.body).toMatchObject({ fulfillmentAvailability: [{ quantity: 5 }] });
        bench.clock.advance(5_000);
        const after = await getItem(bench, 'MUG-BLUE', 'fulfillmentAvailability');
        expect(after.body).toMatchObject({ fulfillmentAvailability: [{ quantity: 2 }] });
      },
      {},
      { readStaleMs: { min: 5_000, max: 5_000 } },
    ));
});

describe('searchListingsItems', () => {
  it('finds up to twenty SKUs by name and leaves unknown ones out', () =>
    withAmazon(async (bench) => {
      const found = await search(bench, { identifiersType: 'SKU', identifiers: 'MUG-BLUE,NONE' });
      expect(found.items.map(({ sku }) => sku)).toEqual(['MUG-BLUE']);
      const many = Array.from({ length: 21 }, (_, index) => `S${index}`).join(',');
      const query = { marketplaceIds: marketplaceId, identifiersType: 'SKU', identifiers: many };
      expect((await bench.call('GET', searchPath, { query })).status).toBe(400);
    }));

  it('needs identifiers and their type together', () =>
    withAmazon(async ({ call }) => {
      const query = { marketplaceIds: marketplaceId, identifiers: 'MUG-BLUE' };
      expect((await call('GET', searchPath, { query })).status).toBe(400);
    }));

  it('pages through everything exactly once', () =>
    withAmazon(async (bench) => {
      addMugs(bench, 43);
      const seen: string[] = [];
      let token: string | undefined;
      let pages = 0;
      do {
        const page = await search(bench, {
          pageSize: '20',
          ...(token === undefined ? {} : { pageToken: token }),
        });
        expect(page.numberOfResults).toBe(45);
        seen.push(...page.items.map(({ sku }) => sku));
        token = page.pagination?.nextToken;
        pages++;
      } while (token !== undefined);
      expect(pages).toBe(3);
      expect(new Set(seen).size).toBe(45);
      expect(seen).toHaveLength(45);
    }));

  it('takes 10 rows by default, at most 20, and refuses a token it did not give', () =>
    withAmazon(async (bench) => {
      addMugs(bench, 20);
      expect((await search(bench)).items).toHaveLength(10);
      const query = { marketplaceIds: marketplaceId };
      expect((await bench.call('GET', searchPath, { query: { ...query, pageSize: '21' } })).status).toBe(400);
      expect((await bench.call('GET', searchPath, { query: { ...query, pageToken: 'x' } })).status).toBe(400);
    }));

  it('filters by the time of the last update, which a sale does not move', () =>
    withAmazon(async (bench) => {
      bench.clock.advance(60_000);
      const since = { lastUpdatedAfter: new Date(bench.clock.now()).toISOString() };
      bench.shop.orders.place({ lines: [{ variantId: bench.variant('MUG-BLUE').id, quantity: 1 }] });
      expect((await search(bench, since)).items).toEqual([]);
      addMugs(bench, 1);
      expect((await search(bench, since)).items.map(({ sku }) => sku)).toEqual(['MUG-000']);
    }));

  it('stops at the cap on deep paging, as if there were no more', () =>
    withAmazon(
      async (bench) => {
        addMugs(bench, 20);
        const page = await search(bench, { pageSize: '20' });
        expect(page.numberOfResults).toBe(22);
        expect(page.items).toHaveLength(12);
        expect(page.pagination?.nextToken).toBeUndefined();
      },
      { searchResultsMax: 12 },
    ));

  it('ends early when a fault cuts the page', () =>
    withAmazon(async (bench) => {
      addMugs(bench, 30);
      bench.faults.add({
        kind: 'truncatedPage',
        platform: 'amazon',
        operation: 'searchListingsItems',
        keep: 3,
        count: 1,
      });
      const page = await search(bench, { pageSize: '20' });
      expect(page.items).toHaveLength(3);
      expect(page.pagination?.nextToken).toBeUndefined();
    }));
});
