/** Writes of Amazon listings: accepted now, in effect later, out of order as in life. */

import { describe, expect, it } from 'vitest';
import {
  type AmazonBench,
  itemPath,
  marketplaceId,
  pricePatch,
  quantityPatch,
  withAmazon,
} from './amazonBench.ts';

const query = { marketplaceIds: marketplaceId };

const patch = ({ call }: AmazonBench, sku: string, body: unknown, more: Record<string, string> = {}) =>
  call('PATCH', itemPath(sku), { query: { ...query, ...more }, body });

const invalid = (attribute: string) => ({
  status: 200,
  body: { status: 'INVALID', issues: [{ severity: 'ERROR', attributeNames: [attribute] }] },
});

const amount = (value: number) => [{ schedule: [{ value_with_tax: value }] }];

describe('patchListingsItem', () => {
  it('accepts a quantity at once and shows it only after the effect time', () =>
    withAmazon(
      async (bench) => {
        const answer = await patch(bench, 'MUG-BLUE', quantityPatch(2));
        expect(answer).toMatchObject({
          status: 200,
          body: { sku: 'MUG-BLUE', status: 'ACCEPTED', issues: [] },
        });
        bench.clock.advance(59_999);
        expect(bench.variant('MUG-BLUE').quantity).toBe(5);
        bench.clock.advance(1);
        expect(bench.variant('MUG-BLUE').quantity).toBe(2);
        const { submissionId } = answer.body as { submissionId: string };
        expect(bench.shop.journal.values().at(-1)).toMatchObject({
          cause: 'write',
          reference: submissionId,
          from: 5,
          to: 2,
        });
      },
      {},
      { writeEffectMs: { min: 60_000, max: 60_000 } },
    ));

  it('may apply the older of two writes last (race T4)', () =>
    withAmazon(async (bench) => {
      bench.shop.configure({ writeEffectMs: { min: 300_000, max: 300_000 } });
      await patch(bench, 'MUG-BLUE', quantityPatch(5));
      bench.shop.configure({ writeEffectMs: { min: 60_000, max: 60_000 } });
      await patch(bench, 'MUG-BLUE', quantityPatch(3));
      bench.clock.advance(60_000);
      expect(bench.variant('MUG-BLUE').quantity).toBe(3);
      bench.clock.advance(240_000);
      expect(bench.variant('MUG-BLUE').quantity).toBe(5);
    }));

  it('overwrites a sale that happened while the write was on its way', () =>
    withAmazon(
      async (bench) => {
        await patch(bench, 'MUG-BLUE', quantityPatch(5));
        bench.shop.orders.place({ lines: [{ variantId: bench.variant('MUG-BLUE').id, quantity: 2 }] });
        expect(bench.variant('MUG-BLUE').quantity).toBe(3);
        bench.clock.advance(1_000);
        expect(bench.variant('MUG-BLUE').quantity).toBe(5);
      },
      {},
      { writeEffectMs: { min: 1_000, max: 1_000 } },
    ));

  it('takes effect later still when a fault delays it', () =>
    withAmazon(async (bench) => {
      bench.faults.add({
        kind: 'lateEffect',
        platform: 'amazon',
        delayMs: { min: 5_000, max: 5_000 },
        count: 1,
      });
      await patch(bench, 'MUG-BLUE', quantityPatch(1));
      expect(bench.variant('MUG-BLUE').quantity).toBe(5);
      bench.clock.advance(5_000);
      expect(bench.variant('MUG-BLUE').quantity).toBe(1);
    }));

  it('sets quantity and price in one call', () =>
    withAmazon(async (bench) => {
      const both = {
        productType: 'PRODUCT',
        patches: [...quantityPatch(4).patches, ...pricePatch(25.9).patches],
      };
      expect(await patch(bench, 'MUG-BLUE', both)).toMatchObject({ body: { status: 'ACCEPTED' } });
      expect(bench.variant('MUG-BLUE')).toMatchObject({
        quantity: 4,
        price: { minor: 2590, currency: 'USD' },
      });
    }));

  it('merges a price into the offer for everybody: sale price, limits and the offer for businesses stay, and count', () =>
    withAmazon(async (bench) => {
      const offers = async () => {
        const { body } = await bench.call('GET', itemPath('MUG-BLUE'), {
          query: { ...query, includedData: 'attributes' },
        });
        return (body as { attributes: { purchasable_offer: unknown } }).attributes.purchasable_offer;
      };
      const own = { marketplace_id: marketplaceId, currency: 'USD' };
      const everybody = {
        ...own,
        audience: 'ALL',
        our_price: amount(24.5),
        discounted_price: amount(19.9),
        minimum_seller_allowed_price: amount(20),
      };
      const businesses = { ...own, audience: 'B2B', our_price: amount(22) };
      const path = '/attributes/purchasable_offer';
      const value = [businesses, everybody];
      await patch(bench, 'MUG-BLUE', { productType: 'MUG', patches: [{ op: 'replace', path, value }] });
      expect(bench.variant('MUG-BLUE').price).toEqual({ minor: 2450, currency: 'USD' });
      await patch(bench, 'MUG-BLUE', pricePatch(25.9));
      expect(bench.variant('MUG-BLUE').price).toEqual({ minor: 2590, currency: 'USD' });
      const now = [{ ...everybody, our_price: amount(25.9) }, businesses];
      expect(await offers()).toEqual(now);
      expect(await patch(bench, 'MUG-BLUE', pricePatch(19.99))).toMatchObject(invalid('purchasable_offer'));
      expect(await offers()).toEqual(now);
    }));

  it('keeps other details with merge and wipes them with replace', () =>
    withAmazon(async (bench) => {
      const availability = async () => {
        const { body } = await bench.call('GET', itemPath('MUG-BLUE'), {
          query: { ...query, includedData: 'attributes' },
        });
        return (body as { attributes: { fulfillment_availability: unknown } }).attributes
          .fulfillment_availability;
      };
      const details = { fulfillment_channel_code: 'DEFAULT', quantity: 5, lead_time_to_ship_max_days: 3 };
      const path = '/attributes/fulfillment_availability';
      await patch(bench, 'MUG-BLUE', {
        productType: 'MUG',
        patches: [{ op: 'merge', path, value: [details] }],
      });
      await patch(bench, 'MUG-BLUE', quantityPatch(2));
      expect(await availability()).toEqual([{ ...details, quantity: 2 }]);
      const bare = { fulfillment_channel_code: 'DEFAULT', quantity: 1 };
      await patch(bench, 'MUG-BLUE', {
        productType: 'MUG',
        patches: [{ op: 'replace', path, value: [bare] }],
      });
      expect(await availability()).toEqual([bare]);
    }));

  it('deletes the value that the selectors name, or the whole attribute', () =>
    withAmazon(async (bench) => {
      const path = '/attributes/bullet_point';
      const value = [
        { value: 'Stoneware', language_tag: 'en_US' },
        { value: 'Steinzeug', language_tag: 'de_DE' },
      ];
      const apply = async (op: string, values?: unknown) => {
        const patches = [{ op, path, ...(values === undefined ? {} : { value: values }) }];
        await patch(bench, 'MUG-BLUE', { productType: 'MUG', patches });
        const included = { ...query, includedData: 'attributes' };
        const { body } = await bench.call('GET', itemPath('MUG-BLUE'), { query: included });
        return (body as { attributes: Record<string, unknown> }).attributes['bullet_point'];
      };
      expect(await apply('add', value)).toEqual(value);
      expect(await apply('delete', [{ language_tag: 'de_DE' }])).toEqual([value[0]]);
      expect(await apply('delete')).toBeUndefined();
    }));

  it('leaves the quantity alone when a merge names other details only', () =>
    withAmazon(async (bench) => {
      const value = [{ fulfillment_channel_code: 'DEFAULT', lead_time_to_ship_max_days: 3 }];
      const path = '/attributes/fulfillment_availability';
      await patch(bench, 'MUG-BLUE', { productType: 'MUG', patches: [{ op: 'merge', path, value }] });
      expect(bench.variant('MUG-BLUE').quantity).toBe(5);
      await patch(bench, 'MUG-BLUE', { productType: 'MUG', patches: [{ op: 'replace', path, value }] });
      expect(bench.variant('MUG-BLUE').quantity).toBe(0);
    }));

  it.each([
    ['a negative quantity', 'MUG-BLUE', quantityPatch(-1), 'fulfillment_availability'],
    ['a broken quantity', 'MUG-BLUE', quantityPatch(1.5), 'fulfillment_availability'],
    ['a quantity of an offer that Amazon fulfils', 'MUG-RED', quantityPatch(1), 'fulfillment_availability'],
    ['a product type that is not the item’s', 'MUG-BLUE', quantityPatch(1, 'SHOES'), 'product_type'],
    ['a price of zero', 'MUG-BLUE', pricePatch(0), 'purchasable_offer'],
    ['an unknown SKU', 'NONE', quantityPatch(1, 'PRODUCT'), 'sku'],
  ])('answers 200 INVALID with an issue for %s and changes nothing', (_, sku, body, attribute) =>
    withAmazon(async (bench) => {
      const before = bench.shop.journal.total;
      expect(await patch(bench, sku, body)).toMatchObject(invalid(attribute));
      expect(bench.shop.journal.total).toBe(before);
    }),
  );

  it('refuses a foreign currency and a path below an attribute', () =>
    withAmazon(async (bench) => {
      const [operation] = pricePatch(10).patches;
      const value = [{ ...operation?.value[0], currency: 'EUR' }];
      const euro = { productType: 'PRODUCT', patches: [{ ...operation, value }] };
      expect(await patch(bench, 'MUG-BLUE', euro)).toMatchObject(invalid('purchasable_offer'));
      const deep = { op: 'replace', path: '/attributes/fulfillment_availability/0/quantity', value: [{}] };
      const body = { productType: 'MUG', patches: [deep] };
      expect(await patch(bench, 'MUG-BLUE', body)).toMatchObject(invalid('patches'));
    }));

  it('sets the price, but not the quantity, of an offer that Amazon fulfils', () =>
    withAmazon(async (bench) => {
      expect(await patch(bench, 'MUG-RED', pricePatch(30))).toMatchObject({ body: { status: 'ACCEPTED' } });
      expect(bench.variant('MUG-RED')).toMatchObject({ quantity: 9, price: { minor: 3000 } });
    }));

  it('only validates in preview', () =>
    withAmazon(async (bench) => {
      const more = { mode: 'VALIDATION_PREVIEW', includedData: 'identifiers,issues' };
      const good = await patch(bench, 'MUG-BLUE', quantityPatch(1), more);
      expect(good.body).toMatchObject({
        status: 'VALID',
        identifiers: [{ marketplaceId, asin: 'B0DEMO0001' }],
      });
      expect(await patch(bench, 'MUG-BLUE', quantityPatch(-1), more)).toMatchObject({
        body: { status: 'INVALID' },
      });
      expect(bench.variant('MUG-BLUE').quantity).toBe(5);
    }));

  it('answers 400 for a body that is no patch', () =>
    withAmazon(async (bench) => {
      expect((await patch(bench, 'MUG-BLUE', { productType: 'MUG' })).status).toBe(400);
      expect((await patch(bench, 'MUG-BLUE', 'no json')).status).toBe(400);
    }));

  it('takes effect although its answer is lost', () =>
    withAmazon(async (bench) => {
      bench.faults.add({ kind: 'lostAnswer', platform: 'amazon', operation: 'patchListingsItem', count: 1 });
      await expect(patch(bench, 'MUG-BLUE', quantityPatch(1))).rejects.toThrow('fetch failed');
      expect(bench.variant('MUG-BLUE').quantity).toBe(1);
    }));
});

const offer = {
  productType: 'PRODUCT',
  requirements: 'LISTING_OFFER_ONLY',
  attributes: {
    merchant_suggested_asin: [{ value: 'B0DEMO0009', marketplace_id: marketplaceId }],
    condition_type: [{ value: 'new_new', marketplace_id: marketplaceId }],
    fulfillment_availability: [{ fulfillment_channel_code: 'DEFAULT', quantity: 7 }],
    purchasable_offer: pricePatch(12.5).patches[0]?.value,
  },
};

describe('putListingsItem', () => {
  it('makes a new offer, later', () =>
    withAmazon(
      async (bench) => {
        const answer = await bench.call('PUT', itemPath('CUP'), { query, body: offer });
        expect(answer.body).toMatchObject({ status: 'ACCEPTED' });
        expect(bench.shop.variantBySku('CUP')).toBeUndefined();
        bench.clock.advance(1_000);
        expect(bench.variant('CUP')).toMatchObject({
          quantity: 7,
          price: { minor: 1250 },
          attributes: { asin: 'B0DEMO0009' },
        });
      },
      {},
      { writeEffectMs: { min: 1_000, max: 1_000 } },
    ));

  it('replaces the offer of a SKU that exists', () =>
    withAmazon(async (bench) => {
      await bench.call('PUT', itemPath('MUG-BLUE'), { query, body: offer });
      expect(bench.variant('MUG-BLUE')).toMatchObject({ quantity: 7, price: { minor: 1250 } });
    }));

  it('names every required attribute that is missing', () =>
    withAmazon(async (bench) => {
      const body = { ...offer, attributes: { condition_type: offer.attributes.condition_type } };
      const answer = await bench.call('PUT', itemPath('CUP'), { query, body });
      expect(answer.body).toMatchObject({
        status: 'INVALID',
        issues: [
          { code: '90220', attributeNames: ['fulfillment_availability'] },
          { code: '90220', attributeNames: ['purchasable_offer'] },
        ],
      });
    }));
});

describe('deleteListingsItem', () => {
  it('removes the listing', () =>
    withAmazon(async (bench) => {
      const answer = await bench.call('DELETE', itemPath('MUG-BLUE'), { query });
      expect(answer.body).toMatchObject({ status: 'ACCEPTED' });
      expect((await bench.call('GET', itemPath('MUG-BLUE'), { query })).status).toBe(404);
    }));

  it('takes one marketplace at a time', () =>
    withAmazon(async (bench) => {
      const two = { marketplaceIds: `${marketplaceId},A2EUQ1WTGCTBG2` };
      expect((await bench.call('DELETE', itemPath('MUG-BLUE'), { query: two })).status).toBe(400);
    }));
});
