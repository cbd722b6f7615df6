/** Etsy: a listing that is sold out is renewed by Etsy's own rules, and what it shows then is known. */
import { expect, test } from 'vitest';
import { connectEtsy, createShop } from './etsyShop.ts';
import { connect, quantitiesOf, twoVariants, write } from './etsyWrites.ts';
import { unclearAnswers } from './localChannel.ts';

test('raising a sold-out listing writes the numbers again after Etsy has renewed it with 1', async () => {
  const shop = createShop({ 11: twoVariants('sold_out') });
  const { connector, sent } = await connect(shop);
  const results = await connector.setStock([write(11, 'X', 4), write(11, 'Y', 6)]);
  expect(results).toEqual([
    { kind: 'effective', quantity: 4 },
    { kind: 'effective', quantity: 6 },
  ]);
  expect(sent().slice(1)).toEqual(['PUT 11/inventory', 'PATCH listings/11', 'PUT 11/inventory']);
  expect(quantitiesOf(shop, 11)).toEqual([4, 6]);
});

test('raising a sold-out listing to the 1 that Etsy renews it with writes nothing over what a buyer has taken meanwhile', async () => {
  const shop = createShop({ 11: twoVariants('sold_out') });
  const { connector, sent } = await connect(shop);
  const results = await connector.setStock([write(11, 'X', 1), write(11, 'Y', 1)]);
  expect(results).toEqual([
    { kind: 'effective', quantity: 1 },
    { kind: 'effective', quantity: 1 },
  ]);
  expect(sent().slice(1)).toEqual(['PUT 11/inventory', 'PATCH listings/11']);
  expect(quantitiesOf(shop, 11)).toEqual([1, 1]);
});

test('a sold-out listing that came back with numbers nobody asked for is taken down again, and shows none', async () => {
  let puts = 0;
  const shop = createShop({ 11: twoVariants('sold_out') }, (call) => {
    if (call.method === 'PUT') puts += 1;
    return puts === 2 && call.method === 'PUT' ? { status: 400, json: { error: 'no' } } : null;
  });
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 4)])).toMatchObject([{ kind: 'effective', quantity: 0 }]);
  expect(shop.listings.get(11)?.state).toBe('inactive');
});

test('it is taken down also when the time of the write is over', async () => {
  let at = Date.parse('2026-11-22T12:00:00Z');
  const turn = { urgency: 'raise', leaveBy: at + 5_000 } as const;
  const shop = createShop({ 11: twoVariants('sold_out') }, ({ method }) => {
    if (method === 'PATCH') at += 35_000;
    return null;
  });
  const { connector, channel } = await connectEtsy(shop.handle, undefined, { now: () => at });
  expect(await connector.setStock([write(11, 'X', 4)], turn)).toMatchObject([
    { kind: 'effective', quantity: 0 },
  ]);
  expect(channel.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1);
  expect(shop.listings.get(11)?.state).toBe('inactive');
});

test.each(unclearAnswers)(
  'it is taken down when its activation is answered with %s, and nothing is known',
  async (_what, answer) => {
    const shop = createShop({ 11: twoVariants('sold_out') });
    let activated = false;
    const { connector } = await connectEtsy(async (call) => {
      const reply = shop.handle(call);
      if (call.method !== 'PATCH' || activated) return reply;
      activated = true;
      await reply;
      return answer;
    });
    expect(await connector.setStock([write(11, 'X', 4)])).toMatchObject([{ kind: 'unknown' }]);
    expect(activated).toBe(true);
    expect(shop.listings.get(11)?.state).toBe('inactive');
  },
);

test('a sold-out listing whose activation Etsy refuses is left as it is', async () => {
  const shop = createShop({ 11: twoVariants('sold_out') }, ({ method }) =>
    method === 'PATCH' ? { status: 400, json: { error: 'no' } } : null,
  );
  const { connector, sent } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 4)])).toMatchObject([{ kind: 'rejected' }]);
  expect(sent().slice(1)).toEqual(['PUT 11/inventory', 'PATCH listings/11']);
});

test('a failure after a sold-out listing came back leaves the number unknown where it cannot be taken down', async () => {
  let puts = 0;
  const shop = createShop({ 11: twoVariants('sold_out') }, (call) => {
    if (call.method === 'PUT') puts += 1;
    return puts === 2 ? { status: 400, json: { error: 'no' } } : null;
  });
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 4)])).toMatchObject([{ kind: 'unknown' }]);
});

test('of a listing with few units the look after the write is never too late', async () => {
  let at = Date.parse('2026-11-22T12:00:00Z');
  const turn = { urgency: 'raise', leaveBy: at + 5_000 } as const;
  const shop = createShop(
    { 11: { state: 'active', products: [{ id: 1, sku: 'X', quantity: 1 }] } },
    (call) => {
      if (call.method === 'PUT') at += 40_000;
      return null;
    },
  );
  const { connector } = await connectEtsy(shop.handle, undefined, { now: () => at });
  expect(await connector.setStock([write(11, 'X', 6)], turn)).toMatchObject([
    { kind: 'effective', quantity: 6 },
  ]);
});

test('a listing whose last unit is bought while it is written shows none, and the answer says so', async () => {
  const shop = createShop(
    { 11: { state: 'active', products: [{ id: 1, sku: 'X', quantity: 1 }] } },
    (call) => {
      const listing = shop.listings.get(11);
      if (call.method === 'PUT' && listing !== undefined) listing.state = 'sold_out';
      return null;
    },
  );
  const { connector } = await connect(shop);
  expect(await connector.setStock([write(11, 'X', 6)])).toMatchObject([{ kind: 'effective', quantity: 0 }]);
  // Renewed by the next write, it sells again.
  expect(await connector.setStock([write(11, 'X', 6)])).toMatchObject([{ kind: 'effective', quantity: 6 }]);
});
