/** eBay's bulkUpdatePriceQuantity: entries, limits, and what a zero does. */

import { describe, expect, it } from 'vitest';
import { type EbayBench, ebayError, inventory, withEbay } from './ebayBench.ts';

const path = `${inventory}/bulk_update_price_quantity`;

const update = ({ call }: EbayBench, ...requests: readonly unknown[]) =>
  call('POST', path, { body: { requests } });

const both = (bench: EbayBench, quantity: number, price?: string) => ({
  sku: 'MUG-BLUE',
  shipToLocationAvailability: { quantity },
  offers: [
    {
      offerId: bench.variant('MUG-BLUE').id,
      availableQuantity: quantity,
      ...(price === undefined ? {} : { price: { value: price, currency: 'USD' } }),
    },
  ],
});

async function listingOf(bench: EbayBench) {
  const { body } = await bench.call('GET', `${inventory}/offer/${bench.variant('MUG-BLUE').id}`);
  return body as { status: string; listing: { listingStatus: string } };
}

describe('bulkUpdatePriceQuantity', () => {
  it('sets both quantities and the price in one entry', () =>
    withEbay(async (bench) => {
      const offerId = bench.variant('MUG-BLUE').id;
      expect(await update(bench, both(bench, 4, '25.90'))).toMatchObject({
        status: 200,
        body: { responses: [{ statusCode: 200, sku: 'MUG-BLUE', offerId, errors: [], warnings: [] }] },
      });
      expect(bench.variant('MUG-BLUE')).toMatchObject({
        quantity: 4,
        offerQuantity: 4,
        price: { minor: 2590 },
      });
      const writes = bench.shop.journal.values().filter(({ cause }) => cause === 'write');
      expect(writes).toHaveLength(1);
    }));

  it('sets a price without touching a quantity, and refuses one that is none or in another currency', () =>
    withEbay(async (bench) => {
      const offerId = bench.variant('MUG-BLUE').id;
      const priced = (value: string, currency = 'USD') =>
        update(bench, { offers: [{ offerId, price: { value, currency } }] });
      expect(await priced('29.90')).toMatchObject({
        status: 200,
        body: { responses: [{ statusCode: 200, offerId }] },
      });
      const shown = { quantity: 5, offerQuantity: 5, price: { minor: 2990, currency: 'USD' } };
      expect(bench.variant('MUG-BLUE')).toMatchObject(shown);
      for (const answer of [await priced('0'), await priced('19.90', 'EUR')]) {
        expect(answer).toMatchObject({
          status: 207,
          body: { responses: [{ statusCode: 400, offerId, errors: [{ errorId: 25003 }] }] },
        });
      }
      expect(bench.variant('MUG-BLUE')).toMatchObject(shown);
      expect(bench.shop.journal.values().filter(({ cause }) => cause === 'write')).toEqual([]);
    }));

  it('shows the lower of the two quantities when only one is set', () =>
    withEbay(async (bench) => {
      await update(bench, { sku: 'MUG-BLUE', shipToLocationAvailability: { quantity: 2 } });
      expect(bench.variant('MUG-BLUE')).toMatchObject({ quantity: 2, offerQuantity: 5 });
      expect(bench.shop.displayed(bench.variant('MUG-BLUE'))).toBe(2);
      await update(bench, { sku: 'MUG-BLUE', shipToLocationAvailability: { quantity: 9 } });
      expect(bench.shop.displayed(bench.variant('MUG-BLUE'))).toBe(5);
    }));

  it('answers 207 with one entry for each, and the good ones are done', () =>
    withEbay(async (bench) => {
      const answer = await update(
        bench,
        { sku: 'NONE', shipToLocationAvailability: { quantity: 1 } },
        both(bench, 3),
        { sku: 'MUG-BLUE', shipToLocationAvailability: { quantity: -1 } },
      );
      expect(answer).toMatchObject({
        status: 207,
        body: {
          responses: [
            { sku: 'NONE', statusCode: 404, errors: [{ errorId: 25702 }] },
            { sku: 'MUG-BLUE', statusCode: 200 },
            { sku: 'MUG-BLUE', statusCode: 400, errors: [{ errorId: 25709 }] },
          ],
        },
      });
      expect(bench.variant('MUG-BLUE').quantity).toBe(3);
    }));

  it.each([
    ['an unknown offer', { offerId: '1', availableQuantity: 1 }, 404, 25713],
    ['no number', {}, 400, 25709],
    ['a broken quantity', { availableQuantity: 1.5 }, 400, 25709],
    ['a price of nothing', { price: { value: '0', currency: 'USD' } }, 400, 25003],
    ['a price in another currency', { price: { value: '1', currency: 'EUR' } }, 400, 25003],
  ])('refuses an offer entry with %s', (_, offer, statusCode, errorId) =>
    withEbay(async (bench) => {
      const offers = [{ offerId: bench.variant('MUG-BLUE').id, ...offer }];
      const answer = await update(bench, { sku: 'MUG-BLUE', offers });
      expect(answer).toMatchObject({
        status: 207,
        body: { responses: [{ statusCode, errors: [{ errorId }] }] },
      });
      expect(bench.variant('MUG-BLUE')).toMatchObject({
        quantity: 5,
        offerQuantity: 5,
        price: { minor: 2450 },
      });
    }),
  );

  it('refuses a repeated offer, an offer of another SKU, and one that is not published', () =>
    withEbay(async (bench) => {
      const price = { minor: 100, currency: 'USD' };
      bench.shop.addListing({
        title: 'Cup',
        variants: [{ sku: 'CUP', quantity: 1, offerQuantity: 1, price }],
      });
      const offer = { offerId: bench.variant('MUG-BLUE').id, availableQuantity: 1 };
      const userError = { status: 207, body: { responses: [{ errors: [{ errorId: 25002 }] }] } };
      const repeated = await update(bench, { sku: 'MUG-BLUE', offers: [offer, offer] });
      const entry = { statusCode: 400, errors: [{ errorId: 25002 }] };
      expect(repeated).toMatchObject({ status: 207, body: { responses: [entry, entry] } });
      expect(await update(bench, { sku: 'CUP', offers: [offer] })).toMatchObject(userError);
      bench.shop.setListingState(bench.variant('MUG-BLUE').listingId, 'ended');
      expect(await update(bench, { sku: 'MUG-BLUE', offers: [offer] })).toMatchObject(userError);
    }));

  it('takes 25 SKUs in one call, or as few as the setting says', async () => {
    await withEbay(async (bench) => {
      const many = Array.from({ length: 26 }, () => both(bench, 1));
      expect((await update(bench, ...many.slice(1))).status).toBe(200);
      expect(await update(bench, ...many)).toMatchObject(ebayError(400, 25709));
    });
    await withEbay(
      async (bench) => {
        expect(await update(bench, both(bench, 1), both(bench, 1))).toMatchObject(ebayError(400, 25709));
      },
      { skusPerUpdate: 1 },
    );
  });

  it('allows 250 revisions of a listing on one day and blocks the next until tomorrow', () =>
    withEbay(async (bench) => {
      for (let sent = 0; sent < 10; sent++) {
        const requests = Array.from({ length: 25 }, () => both(bench, 4));
        expect((await update(bench, ...requests)).status).toBe(200);
      }
      const blocked = await update(bench, both(bench, 1));
      expect(blocked).toMatchObject({
        status: 207,
        body: { responses: [{ statusCode: 400, errors: [{ errorId: 25002 }] }] },
      });
      expect(bench.variant('MUG-BLUE').quantity).toBe(4);
      const item = `${inventory}/inventory_item/MUG-BLUE`;
      expect(await bench.call('PUT', item, { body: { condition: 'NEW' } })).toMatchObject(
        ebayError(400, 25002),
      );
      bench.clock.advance(16 * 3_600_000);
      const renewed = await bench.tokens({ grant_type: 'refresh_token', refresh_token: bench.refreshToken });
      const { access_token: token } = renewed.body as { access_token: string };
      expect((await bench.call('POST', path, { token, body: { requests: [both(bench, 1)] } })).status).toBe(
        200,
      );
    }));

  it('keeps a listing alive at zero with out-of-stock control, and sells again after a raise', () =>
    withEbay(async (bench) => {
      await update(bench, both(bench, 0));
      expect(await listingOf(bench)).toMatchObject({
        status: 'PUBLISHED',
        listing: { listingStatus: 'OUT_OF_STOCK' },
      });
      expect(() => bench.buy()).toThrow('refused');
      await update(bench, both(bench, 2));
      expect(await listingOf(bench)).toMatchObject({ listing: { listingStatus: 'ACTIVE' } });
      expect(bench.buy(2).lines).toHaveLength(1);
    }));

  it('ends a listing at zero without out-of-stock control, whoever brought it there', async () => {
    const ended = { status: 'UNPUBLISHED', listing: { listingStatus: 'ENDED' } };
    const withoutControl = { atZero: 'end' } as const;
    await withEbay(
      async (bench) => {
        await update(bench, both(bench, 0));
        expect(await listingOf(bench)).toMatchObject(ended);
        expect((await update(bench, both(bench, 2))).status).toBe(207);
      },
      {},
      withoutControl,
    );
    await withEbay(
      async (bench) => {
        bench.buy(5);
        expect(await listingOf(bench)).toMatchObject(ended);
      },
      {},
      withoutControl,
    );
  });

  it('is in effect when it is answered', () =>
    withEbay(async (bench) => {
      await update(bench, both(bench, 1));
      expect(bench.buy(1).lines).toHaveLength(1);
      expect(() => bench.buy(1)).toThrow('0 left');
    }));
});
