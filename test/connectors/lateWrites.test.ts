/** A write that would wait until what it was decided from is too old is not sent, and says so; one that needs no wait leaves within its deadline. */
import { describe, expect, test } from 'vitest';
import type { StockWrite } from '../../src/connectors/connector.ts';
import { connectEbay, createSeller, ebayError } from './ebaySeller.ts';
import { connectEtsy, createShop } from './etsyShop.ts';

const noon = Date.parse('2026-11-22T12:00:00Z');
const turn = (leaveBy: number) => ({ urgency: 'lower', leaveBy }) as const;

const write = (unitId: string, quantity: number, variantId = ''): StockWrite => ({
  address: { unitId, variantId },
  quantity,
  expected: null,
  key: '00000000-0000-4000-8000-000000000001',
});

const listing = () => ({
  state: 'active',
  products: [
    { id: 1, sku: 'X', quantity: 5 },
    { id: 2, sku: 'Y', quantity: 7 },
  ],
});

const updates = (requests: readonly { readonly path: string }[]) =>
  requests.filter(({ path }) => path.endsWith('bulk_update_price_quantity'));
const item = (offerId: string) => ({ quantity: 1, offers: [{ offerId, available: 1 }] });

describe('on Etsy', () => {
  test('a listing is read and then not written when the second call would wait too long', async () => {
    const shop = createShop({ 11: listing() });
    const { connector, channel, context } = await connectEtsy(shop.handle, undefined, { rateScale: 0.02 });
    const results = await connector.setStock([write('11', 4, 'X')], turn(context.now() + 3_000));
    expect(results).toMatchObject([{ kind: 'deferred', error: 'rate_limited', retryAfterMs: 5_000 }]);
    expect(channel.requests.map(({ method }) => method)).toEqual(['GET']);
    expect(context.slept).toEqual([]);
    expect(shop.listings.get(11)?.products.map(({ quantity }) => quantity)).toEqual([5, 7]);
  });

  test('a slow reading keeps no write back, but those that queue behind it are not begun', async () => {
    let at = noon;
    const ids = [11, 12, 13, 14, 15];
    const shop = createShop(Object.fromEntries(ids.map((id) => [id, listing()])), ({ method }) => {
      if (method === 'GET') at += 2_000;
      return null;
    });
    const { connector, channel } = await connectEtsy(shop.handle, undefined, { now: () => at });
    const writes = ids.map((id) => write(String(id), 4, 'X'));
    const results = await connector.setStock(writes, turn(noon + 3_000));
    expect(results.slice(0, 4)).toMatchObject(ids.slice(0, 4).map(() => ({ kind: 'effective' })));
    expect(results[4]).toMatchObject({ kind: 'deferred', error: 'rate_limited', retryAfterMs: 0 });
    expect(channel.requests.some(({ path }) => path.includes('/15/'))).toBe(false);
  });

  test('nor is a listing whose reading has used up the deadline: its number would land when nobody reckons with it', async () => {
    let at = noon;
    const shop = createShop({ 11: listing() }, ({ method }) => {
      if (method === 'GET') at += 33_001;
      return null;
    });
    const { connector, channel } = await connectEtsy(shop.handle, undefined, { now: () => at });
    const results = await connector.setStock([write('11', 4, 'X')], turn(noon + 3_000));
    expect(results).toMatchObject([{ kind: 'deferred', error: 'rate_limited', retryAfterMs: 0 }]);
    expect(channel.requests.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('on eBay', () => {
  test('a write that had to find its offers first leaves within its deadline or not at all', async () => {
    let at = noon;
    const seller = createSeller(
      { A: item('1') },
      {
        before: ({ path }) => {
          if (!path.endsWith('bulk_update_price_quantity')) at += 11_001;
          return null;
        },
      },
    );
    const { connector, channel } = await connectEbay(seller.handle, { now: () => at });
    expect(await connector.setStock([write('A', 2)], turn(noon - 8_000))).toMatchObject([
      { kind: 'deferred', error: 'rate_limited', retryAfterMs: 0 },
    ]);
    expect(updates(channel.requests)).toHaveLength(0);
    expect(await connector.setStock([write('A', 2)], turn(at))).toMatchObject([{ kind: 'effective' }]);
  });

  test('a bulk call that would wait too long is not sent', async () => {
    const seller = createSeller({ A: item('1') });
    const { connector, channel, context } = await connectEbay(seller.handle, {
      settings: { rateScale: 0.02 },
    });
    await connector.setStock([write('A', 2)]);
    const results = await connector.setStock([write('A', 3)], turn(context.now() + 1_000));
    expect(results).toMatchObject([{ kind: 'deferred', error: 'rate_limited' }]);
    expect(updates(channel.requests)).toHaveLength(1);
  });

  test('of SKUs that are sent one by one, those whose turn comes too late are not', async () => {
    let at = noon;
    const seller = createSeller(
      { A: item('1'), B: item('2') },
      {
        before: (call) => {
          if (updates([call]).length === 0) return null;
          at += 2_000;
          return JSON.parse(call.body).requests.length > 1
            ? { status: 400, json: { errors: [ebayError(25_709)] } }
            : null;
        },
      },
    );
    const { connector, channel } = await connectEbay(seller.handle, { now: () => at });
    expect(await connector.setStock([write('A', 2), write('B', 3)], turn(noon + 3_000))).toMatchObject([
      { kind: 'effective', quantity: 2 },
      { kind: 'deferred', error: 'rate_limited', retryAfterMs: 0 },
    ]);
    expect(updates(channel.requests)).toHaveLength(2);
  });
});
