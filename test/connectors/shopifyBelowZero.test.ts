/** Shopify counts below 0 where more was sold than there was: buyers see 0 then, and a raise from 0 finds the number that it must be compared with. */
import { describe, expect, test } from 'vitest';
import { derivedKey } from '../../src/connectors/shopify/stockWrites.ts';
import { type Answer, collect, unclearAnswers } from './localChannel.ts';
import { connectShop, type GraphqlRequest, locationId, startShop, stockWrite } from './shopifyShop.ts';

const key = '7b0c5a1e-0000-4000-8000-000000000001';
const raise = stockWrite(1, 10, 0, key);
const stale = { kind: 'stale', actual: null, read: true };

type Input = {
  readonly quantities: readonly [{ readonly quantity: number; readonly changeFromQuantity: number | null }];
};

/** One inventory item, with Shopify's comparison and its memory of keys: the same again is answered again, what has failed asks for a new key. */
class CountingShop {
  available: number;
  /** Comparisons in the order in which they came, with their keys. */
  readonly writes: { readonly key: string; readonly from: number | null }[] = [];
  reads = 0;
  /** Comes before everything else; null lets the call through. */
  before: (request: GraphqlRequest) => Answer | null = () => null;
  /** What becomes of an answer on its way. */
  after: (answer: Answer, request: GraphqlRequest) => Answer = (answer) => answer;
  readonly #known = new Map<string, { readonly input: string; readonly failed: boolean }>();

  constructor(available: number) {
    this.available = available;
  }

  readonly answer = (request: GraphqlRequest): Answer => {
    const early = this.before(request);
    if (early !== null) return early;
    const answer =
      request.operation === 'SetAvailable' ? this.#set(request.variables) : this.#read(request.operation);
    return this.after(answer, request);
  };

  #read(operation: string): Answer {
    this.reads += 1;
    const inventoryItem = {
      id: 'gid://shopify/InventoryItem/1',
      sku: 'MUG',
      tracked: true,
      inventoryLevel: { quantities: [{ name: 'available', quantity: this.available }] },
    };
    if (operation === 'Stock') return { json: { data: { nodes: [inventoryItem] } } };
    const shop = { id: 'gid://shopify/Shop/1', myshopifyDomain: 'x', currencyCode: 'USD' };
    const variant = {
      id: 'gid://shopify/ProductVariant/1',
      title: 'Mug',
      inventoryPolicy: 'DENY',
      inventoryItem,
    };
    const productVariants = { pageInfo: { hasNextPage: false }, nodes: [variant] };
    return { json: { data: { shop, productVariants } } };
  }

  #set(variables: GraphqlRequest['variables']): Answer {
    const { key: own, input } = variables as { readonly key: string; readonly input: Input };
    const [{ quantity, changeFromQuantity: from }] = input.quantities;
    this.writes.push({ key: own, from });
    const before = this.#known.get(own);
    if (before !== undefined && before.input !== JSON.stringify(input))
      return refused('IDEMPOTENCY_KEY_PARAMETER_MISMATCH');
    if (before?.failed === true) return refused('IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED');
    const failed = before === undefined && from !== null && from !== this.available;
    this.#known.set(own, { input: JSON.stringify(input), failed });
    if (failed) return refused('CHANGE_FROM_QUANTITY_STALE');
    if (before === undefined) this.available = quantity;
    return { json: { data: { inventorySetQuantities: { userErrors: [] } } } };
  }
}

function refused(code: string): Answer {
  const userErrors = [{ code, field: ['input'], message: code }];
  return { json: { data: { inventorySetQuantities: { userErrors } } } };
}

async function open(available: number) {
  const shop = new CountingShop(available);
  const channel = await startShop(shop.answer);
  return { shop, channel, [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose]() };
}

const isFrom = (from: number | null) => (request: GraphqlRequest) =>
  (request.variables['input'] as Input | undefined)?.quantities[0].changeFromQuantity === from;

describe('what buyers see', () => {
  test.each([
    [-3, 0],
    [0, 0],
    [2, 2],
  ])('of %i units is %i, by a reading as by the catalogue', async (available, seen) => {
    await using opened = await open(available);
    const { connector } = connectShop(opened.channel);
    expect(await connector.readStock([raise.address])).toEqual([{ kind: 'quantity', quantity: seen }]);
    expect(await collect(connector.catalogue())).toMatchObject([
      { address: { unitId: `1/${locationId}` }, stock: { kind: 'quantity', quantity: seen } },
    ]);
  });
});

describe('a raise from 0', () => {
  test('is one call where Shopify counts 0', async () => {
    await using opened = await open(0);
    const { shop, channel } = opened;
    expect(await connectShop(channel).connector.setStock([raise])).toEqual([
      { kind: 'effective', quantity: 10 },
    ]);
    expect(shop).toMatchObject({ available: 10, reads: 0, writes: [{ key, from: 0 }] });
  });

  test('is compared with the number below 0, under a key of its own, and proven by the answer', async () => {
    await using opened = await open(-1);
    const { shop, channel } = opened;
    expect(await connectShop(channel).connector.setStock([raise])).toEqual([
      { kind: 'effective', quantity: 10 },
    ]);
    expect(shop).toMatchObject({ available: 10, reads: 1 });
    expect(shop.writes).toEqual([
      { key, from: 0 },
      { key: derivedKey(key, 'from -1'), from: -1 },
    ]);
  });

  test('is stale where the number is above 0, and nothing is written', async () => {
    await using opened = await open(3);
    const { shop, channel } = opened;
    expect(await connectShop(channel).connector.setStock([raise])).toEqual([stale]);
    expect(shop).toMatchObject({ available: 3, reads: 1, writes: [{ from: 0 }] });
  });

  test('is stale when one more is sold between the reading and the write', async () => {
    await using opened = await open(-1);
    const { shop, channel } = opened;
    shop.before = (request) => {
      if (isFrom(-1)(request)) shop.available = -2;
      return null;
    };
    expect(await connectShop(channel).connector.setStock([raise])).toEqual([stale]);
    expect(shop).toMatchObject({ available: -2, writes: [{ from: 0 }, { from: -1 }] });
  });

  test('is stale when Shopify no longer says what it counts', async () => {
    await using opened = await open(-1);
    const { shop, channel } = opened;
    shop.after = (answer, { operation }) =>
      operation === 'Stock' ? { json: { data: { nodes: [null] } } } : answer;
    expect(await connectShop(channel).connector.setStock([raise])).toEqual([stale]);
    expect(shop).toMatchObject({ available: -1, writes: [{ from: 0 }] });
  });

  test.each(unclearAnswers)(
    'is deferred when the reading is answered with %s, for nothing was written',
    async (_case, answer) => {
      await using opened = await open(-1);
      const { shop, channel } = opened;
      shop.before = ({ operation }) => (operation === 'Stock' ? answer : null);
      expect(await connectShop(channel).connector.setStock([raise])).toMatchObject([{ kind: 'deferred' }]);
      expect(shop).toMatchObject({ available: -1, writes: [{ from: 0 }] });
    },
  );

  test('whose attempts under both its keys have failed is looked into all the same', async () => {
    await using opened = await open(-1);
    const { shop, channel } = opened;
    const { connector } = connectShop(channel);
    shop.after = (answer, request) => (request.operation === 'SetAvailable' ? 'lost' : answer);
    expect(await connector.setStock([raise])).toMatchObject([{ kind: 'unknown' }]);
    shop.after = (answer) => answer;
    shop.before = ({ operation }) => (operation === 'Stock' ? { status: 403 } : null);
    expect(await connector.setStock([raise])).toMatchObject([{ kind: 'rejected', code: 'forbidden' }]);
    shop.before = () => null;
    const keysBefore = new Set(shop.writes.map((write) => write.key));
    expect(keysBefore).toEqual(new Set([key, derivedKey(key, 'second')]));
    expect(await connector.setStock([raise])).toEqual([{ kind: 'effective', quantity: 10 }]);
  });

  test('is not looked into when its turn is over by then', async () => {
    let now = Date.parse('2026-11-22T12:00:00Z');
    const turn = { urgency: 'raise', leaveBy: now + 3_000 } as const;
    await using opened = await open(-1);
    const { shop, channel } = opened;
    shop.before = () => {
      now += 4_000;
      return null;
    };
    const { connector } = connectShop(channel, {}, {}, { now: () => now });
    expect(await connector.setStock([raise], turn)).toMatchObject([
      { kind: 'deferred', error: 'rate_limited', retryAfterMs: 0 },
    ]);
    expect(shop).toMatchObject({ available: -1, reads: 0 });
  });
});

describe('when the answer of a raise from below 0 is lost', () => {
  const isLast = isFrom(-1);

  test('the call is repeated under the same key and written once', async () => {
    await using opened = await open(-1);
    const { shop, channel } = opened;
    let lost = 0;
    shop.after = (answer, request) => (isLast(request) && lost++ === 0 ? 'lost' : answer);
    expect(await connectShop(channel).connector.setStock([raise])).toEqual([
      { kind: 'effective', quantity: 10 },
    ]);
    const last = { key: derivedKey(key, 'from -1'), from: -1 };
    expect(shop.writes.slice(1)).toEqual([last, last]);
  });

  test.each([
    ['nothing was written, and the retry writes under the same key', false, { kind: 'effective' }],
    ['it was written, and the retry writes nothing: a reading tells', true, stale],
  ])('for good, it is unknown: %s', async (_case, applied, then) => {
    await using opened = await open(-1);
    const { shop, channel } = opened;
    const { connector } = connectShop(channel);
    if (applied) shop.after = (answer, request) => (isLast(request) ? 'lost' : answer);
    else shop.before = (request) => (isLast(request) ? 'lost' : null);
    expect(await connector.setStock([raise])).toMatchObject([{ kind: 'unknown' }]);
    shop.before = () => null;
    shop.after = (answer) => answer;
    // Three are left of the ten when the write is tried again.
    if (applied) shop.available = 3;
    expect(await connector.setStock([raise])).toMatchObject([then]);
    expect(shop.available).toBe(applied ? 3 : 10);
    expect(new Set(shop.writes.filter(({ from }) => from === -1).map((write) => write.key))).toEqual(
      new Set([derivedKey(key, 'from -1')]),
    );
  });

  test('a retry that finds another number below 0 is no other use of the same key', async () => {
    await using opened = await open(-1);
    const { shop, channel } = opened;
    const { connector } = connectShop(channel);
    shop.before = (request) => (isLast(request) ? 'lost' : null);
    expect(await connector.setStock([raise])).toMatchObject([{ kind: 'unknown' }]);
    shop.available = -2;
    expect(await connector.setStock([raise])).toEqual([{ kind: 'effective', quantity: 10 }]);
    expect(shop.available).toBe(10);
  });
});

describe('other writes that are refused as stale', () => {
  test.each([
    ['to 0', stockWrite(1, 0, 0, key)],
    ['from more than 0', stockWrite(1, 10, 2, key)],
  ])('%s change nothing below 0, and nothing more is asked', async (_case, write) => {
    await using opened = await open(-1);
    const { shop, channel } = opened;
    expect(await connectShop(channel).connector.setStock([write])).toEqual([{ kind: 'stale', actual: null }]);
    expect(shop).toMatchObject({ available: -1, reads: 0 });
    expect(channel.requests).toHaveLength(1);
  });
});
