/** eBay's offers and listings. */

import { describe, expect, it } from 'vitest';
import { type EbayBench, ebayError, inventory, withEbay } from './ebayBench.ts';

const offers = `${inventory}/offer`;

type Offer = {
  readonly offerId: string;
  readonly status: string;
  readonly availableQuantity?: number;
  readonly listing?: {
    readonly listingId: string;
    readonly listingStatus: string;
    readonly soldQuantity: number;
  };
};

async function offerOf({ call }: EbayBench, sku: string): Promise<Offer> {
  const { body } = await call('GET', offers, { query: { sku } });
  const [offer] = (body as { offers: Offer[] }).offers;
  if (offer === undefined) throw new Error('no offer');
  return offer;
}

const newOffer = {
  sku: 'MUG-GREEN',
  marketplaceId: 'EBAY_US',
  format: 'FIXED_PRICE',
  availableQuantity: 3,
  categoryId: '20695',
  listingDuration: 'GTC',
  listingDescription: 'Stoneware',
  merchantLocationKey: 'main',
  pricingSummary: { price: { value: '19.00', currency: 'USD' } },
  listingPolicies: { fulfillmentPolicyId: '61', paymentPolicyId: '62', returnPolicyId: '63' },
};

async function createItem({ call }: EbayBench, quantity = 3): Promise<void> {
  const body = {
    condition: 'NEW',
    availability: { shipToLocationAvailability: { quantity } },
    product: { title: 'Green mug' },
  };
  await call('PUT', `${inventory}/inventory_item/MUG-GREEN`, { body });
}

async function createOffer({ call }: EbayBench, changes: Record<string, unknown> = {}): Promise<string> {
  const answer = await call('POST', offers, { body: { ...newOffer, ...changes } });
  expect(answer.status).toBe(201);
  return (answer.body as { offerId: string }).offerId;
}

describe('an offer', () => {
  it('is found by its SKU and by its id, with its listing', () =>
    withEbay(async (bench) => {
      bench.buy(2);
      const offer = await offerOf(bench, 'MUG-BLUE');
      expect(offer).toMatchObject({
        sku: 'MUG-BLUE',
        status: 'PUBLISHED',
        availableQuantity: 3,
        pricingSummary: { price: { value: '24.50', currency: 'USD' } },
        listing: { listingStatus: 'ACTIVE', soldQuantity: 2 },
      });
      expect((await bench.call('GET', `${offers}/${offer.offerId}`)).body).toEqual(offer);
    }));

  it('is 404 when the SKU has none or the id is unknown, and a list needs a SKU', () =>
    withEbay(async (bench) => {
      await createItem(bench);
      expect(await bench.call('GET', offers, { query: { sku: 'MUG-GREEN' } })).toMatchObject(
        ebayError(404, 25713),
      );
      expect(await bench.call('GET', `${offers}/1`)).toMatchObject(ebayError(404, 25713));
      expect(await bench.call('GET', offers)).toMatchObject(ebayError(400, 25709));
    }));

  it('is created unpublished, published as a listing, and then sells', () =>
    withEbay(async (bench) => {
      await createItem(bench);
      const offerId = await createOffer(bench);
      expect(await offerOf(bench, 'MUG-GREEN')).toMatchObject({
        offerId,
        status: 'UNPUBLISHED',
        availableQuantity: 3,
      });
      expect(() => bench.buy(1, { sku: 'MUG-GREEN' })).toThrow('refused');
      const { body } = await bench.call('POST', `${offers}/${offerId}/publish`);
      const { listingId } = body as { listingId: string };
      expect(await offerOf(bench, 'MUG-GREEN')).toMatchObject({
        status: 'PUBLISHED',
        listing: { listingId },
      });
      expect(bench.buy(1, { sku: 'MUG-GREEN' }).lines).toHaveLength(1);
    }));

  it('exists once per SKU and only for an inventory item', () =>
    withEbay(async (bench) => {
      const create = () => bench.call('POST', offers, { body: newOffer });
      expect(await create()).toMatchObject(ebayError(400, 25702));
      await createItem(bench);
      await createOffer(bench);
      expect(await create()).toMatchObject(ebayError(400, 25002));
    }));

  it('is replaced whole by a PUT', () =>
    withEbay(async (bench) => {
      await createItem(bench);
      const path = `${offers}/${await createOffer(bench)}`;
      const pricingSummary = { price: { value: '21.00', currency: 'USD' } };
      expect((await bench.call('PUT', path, { body: { pricingSummary, categoryId: '1' } })).status).toBe(204);
      const offer = await offerOf(bench, 'MUG-GREEN');
      expect(offer).toMatchObject({
        pricingSummary,
        categoryId: '1',
        format: 'FIXED_PRICE',
        marketplaceId: 'EBAY_US',
      });
      expect(offer).not.toHaveProperty('listingDescription');
      expect(bench.variant('MUG-GREEN').offerQuantity).toBeNull();
    }));

  it.each([
    ['price', { pricingSummary: { price: { value: '0.00', currency: 'USD' } } }, 25003],
    ['currency', { pricingSummary: { price: { value: '1.00', currency: 'EUR' } } }, 25003],
    ['quantity', { availableQuantity: -1 }, 25004],
    ['format', { format: 'RAFFLE' }, 25709],
  ])('is refused with a wrong %s', (_, change, errorId) =>
    withEbay(async (bench) => {
      await createItem(bench);
      expect(await bench.call('POST', offers, { body: { ...newOffer, ...change } })).toMatchObject(
        ebayError(400, errorId),
      );
    }),
  );

  it.each([
    ['a category', { categoryId: undefined }, 25002],
    ['a location', { merchantLocationKey: undefined }, 25002],
    ['policies', { listingPolicies: {} }, 25002],
    ['a price', { pricingSummary: undefined }, 25003],
    ['stock', { availableQuantity: 0 }, 25004],
  ])('cannot be published without %s', (_, change, errorId) =>
    withEbay(async (bench) => {
      await createItem(bench);
      const offerId = await createOffer(bench, change);
      expect(await bench.call('POST', `${offers}/${offerId}/publish`)).toMatchObject(ebayError(400, errorId));
    }),
  );
});

describe('a listing', () => {
  it('ends when its offer is withdrawn and gets a new id when it is published again', () =>
    withEbay(async (bench) => {
      const { offerId, listing } = await offerOf(bench, 'MUG-BLUE');
      const order = bench.buy(1);
      const withdraw = () => bench.call('POST', `${offers}/${offerId}/withdraw`);
      expect((await withdraw()).body).toMatchObject({ listingId: listing?.listingId });
      expect(await offerOf(bench, 'MUG-BLUE')).toMatchObject({
        status: 'UNPUBLISHED',
        listing: { listingStatus: 'ENDED' },
      });
      expect(() => bench.buy()).toThrow('refused');
      expect(await withdraw()).toMatchObject(ebayError(400, 25002));
      bench.clock.advance(1_000);
      await bench.call('POST', `${offers}/${offerId}/publish`);
      const relisted = await offerOf(bench, 'MUG-BLUE');
      expect(relisted.status).toBe('PUBLISHED');
      expect(relisted.listing?.listingId).not.toBe(listing?.listingId);
      const { body } = await bench.call('GET', `/sell/fulfillment/v1/order/${order.id}`);
      expect(body).toMatchObject({ lineItems: [{ legacyItemId: listing?.listingId }] });
    }));
});
