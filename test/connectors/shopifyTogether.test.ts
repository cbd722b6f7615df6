/** Several stock writes in one call to Shopify: all of them or none, under one key, and nobody is refused for another one's sake. */
import { describe, expect, test } from 'vitest';
import type { StockWrite } from '../../src/connectors/connector.ts';
import { type Answer, openLocalChannel } from './localChannel.ts';
import { connectShop, type GraphqlRequest, graphqlRequestOf, locationId, stockWrite } from './shopifyShop.ts';

type Entry = {
  readonly inventoryItemId: string;
  readonly quantity: number;
  readonly changeFromQuantity: number | null;
};
type Sent = { readonly key: string; readonly entries: readonly Entry[] };

function sentIn({ variables }: GraphqlRequest): Sent {
  const { key, input } = variables as { key: string; input: { quantities: readonly Entry[] } };
  return { key, entries: input.quantities };
}

const plain = (gid: string) => Number(gid.split('/').at(-1));

/** Inventory items by number, with Shopify's comparison and memory of keys. */
class Shop {
  readonly available: Map<number, number>;
  readonly calls: Sent[] = [];
  /** Before the call is carried out; null lets it through. */
  before: (sent: Sent) => Answer | null = () => null;
  /** What becomes of the answer of a call that was carried out. */
  after: (answer: Answer, sent: Sent) => Answer = (answer) => answer;
  readonly #failed = new Map<string, boolean>();

  constructor(items: number, each: number) {
    this.available = new Map(Array.from({ length: items }, (_unused, index) => [index + 1, each]));
  }

  readonly answer = (request: GraphqlRequest): Answer => {
    if (request.operation === 'Stock') return this.#read(request.variables['ids'] as readonly string[]);
    const sent = sentIn(request);
    this.calls.push(sent);
    return this.before(sent) ?? this.after(this.#set(sent), sent);
  };

  #read(ids: readonly string[]): Answer {
    const nodes = ids.map((id) => ({
      id,
      tracked: true,
      inventoryLevel: { quantities: [{ name: 'available', quantity: this.available.get(plain(id)) ?? 0 }] },
    }));
    return { json: { data: { nodes } } };
  }

  #set({ key, entries }: Sent): Answer {
    const before = this.#failed.get(key);
    if (before === true) return refused([{ code: 'IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED' }]);
    if (before === false) return refused([]);
    const errors = entries.flatMap(({ inventoryItemId, changeFromQuantity: from }, place) => {
      const shown = this.available.get(plain(inventoryItemId));
      if (shown === undefined) return [{ code: 'INVALID_INVENTORY_ITEM', place }];
      return from !== null && from !== shown ? [{ code: 'CHANGE_FROM_QUANTITY_STALE', place }] : [];
    });
    this.#failed.set(key, errors.length > 0);
    if (errors.length === 0)
      for (const { inventoryItemId, quantity } of entries)
        this.available.set(plain(inventoryItemId), quantity);
    return refused(errors);
  }
}

function refused(errors: readonly { readonly code: string; readonly place?: number }[]): Answer {
  const userErrors = errors.map(({ code, place }) => ({
    code,
    message: code,
    field: place === undefined ? null : ['input', 'quantities', String(place), 'changeFromQuantity'],
  }));
  return { json: { data: { inventorySetQuantities: { userErrors } } } };
}

async function open(items: number, each = 5) {
  const shop = new Shop(items, each);
  const channel = await openLocalChannel((request) => shop.answer(graphqlRequestOf(request)));
  return { shop, channel, connector: connectShop(channel).connector };
}

/** Items 1 to `count`, from 5 to 4. */
function lowered(count: number): StockWrite[] {
  return Array.from({ length: count }, (_unused, index) =>
    stockWrite(index + 1, 4, 5, `00000000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`),
  );
}

const sizes = (shop: Shop) => shop.calls.map(({ entries }) => entries.length);
const kinds = (results: readonly { readonly kind: string }[]) => results.map(({ kind }) => kind);
const only = (kind: string, other: string, count: number, ...places: readonly number[]) =>
  Array.from({ length: count }, (_unused, place) => (places.includes(place) ? kind : other));

describe('the calls', () => {
  test('251 writes are two calls, each compared entry by entry and each under a key that is none of the writes’', async () => {
    const { shop, connector } = await open(251);
    const writes = lowered(251);
    expect(await connector.setStock(writes)).toEqual(writes.map(() => ({ kind: 'effective', quantity: 4 })));
    expect(sizes(shop)).toEqual([250, 1]);
    const [many, last] = shop.calls;
    expect(writes.map(({ key }) => key)).not.toContain(many?.key);
    expect(last?.key).toBe(writes[250]?.key);
    expect(many?.entries[7]).toMatchObject({
      inventoryItemId: 'gid://shopify/InventoryItem/8',
      locationId: `gid://shopify/Location/${locationId}`,
      quantity: 4,
      changeFromQuantity: 5,
    });
    expect([...shop.available.values()]).toEqual(writes.map(() => 4));
  });

  test('a write to an address of another channel is refused without holding up the others', async () => {
    const { shop, connector } = await open(3);
    const [first, second, third] = lowered(3) as [StockWrite, StockWrite, StockWrite];
    const odd = { ...second, address: { unitId: 'MUG-BLUE', variantId: '' } };
    expect(await connector.setStock([first, odd, third])).toMatchObject([
      { kind: 'effective' },
      { kind: 'rejected', code: 'invalid_address' },
      { kind: 'effective' },
    ]);
    expect(sizes(shop)).toEqual([2]);
  });
});

describe('when Shopify refuses one of them', () => {
  test('the stale ones are told, and the others go again without them under another key', async () => {
    const { shop, connector } = await open(9);
    shop.available.set(3, 2).set(8, 0);
    const results = await connector.setStock(lowered(9));
    expect(kinds(results)).toEqual(only('stale', 'effective', 9, 2, 7));
    expect(results[2]).toEqual({ kind: 'stale', actual: null });
    expect(sizes(shop)).toEqual([9, 7]);
    expect(new Set(shop.calls.map(({ key }) => key)).size).toBe(2);
    expect([...shop.available.values()]).toEqual([4, 4, 2, 4, 4, 4, 4, 0, 4]);
  });

  test('one more that sells meanwhile costs one more call', async () => {
    const { shop, connector } = await open(4);
    shop.available.set(1, 1);
    shop.before = ({ entries }) => {
      if (entries.length === 3) shop.available.set(2, 4);
      return null;
    };
    expect(kinds(await connector.setStock(lowered(4)))).toEqual(only('stale', 'effective', 4, 0, 1));
    expect(sizes(shop)).toEqual([4, 3, 2]);
  });

  test('one that can never be set is rejected with its own code', async () => {
    const { shop, connector } = await open(4);
    shop.available.delete(2);
    const results = await connector.setStock(lowered(4));
    expect(kinds(results)).toEqual(only('rejected', 'effective', 4, 1));
    expect(results[1]).toMatchObject({ code: 'INVALID_INVENTORY_ITEM' });
  });

  test('without naming it, smaller calls find it, and only that one is rejected', async () => {
    const { shop, connector } = await open(8);
    shop.before = ({ entries }) =>
      entries.some(({ inventoryItemId }) => plain(inventoryItemId) === 6)
        ? refused([{ code: 'NON_MUTABLE_INVENTORY_ITEM' }])
        : null;
    const results = await connector.setStock(lowered(8));
    expect(kinds(results)).toEqual(only('rejected', 'effective', 8, 5));
    expect(results[5]).toMatchObject({ code: 'NON_MUTABLE_INVENTORY_ITEM' });
    expect(sizes(shop)).toEqual([8, 4, 4, 2, 1, 1, 2]);
  });

  test('unread, for one that it does not take at all, only that one is rejected', async () => {
    const { shop, connector } = await open(8);
    const errors = [
      { message: 'Variable $input was provided invalid value', extensions: { code: 'INVALID_VARIABLE' } },
    ];
    shop.before = ({ entries }) =>
      entries.some(({ inventoryItemId }) => plain(inventoryItemId) === 3) ? { json: { errors } } : null;
    expect(kinds(await connector.setStock(lowered(8)))).toEqual(only('rejected', 'effective', 8, 2));
  });

  test('and the answer of the smaller call is lost, those that were refused stay told', async () => {
    const { shop, connector } = await open(4);
    shop.available.set(1, 1);
    shop.after = (answer, { entries }) => (entries.length === 3 ? 'lost' : answer);
    expect(kinds(await connector.setStock(lowered(4)))).toEqual(only('stale', 'unknown', 4, 0));
  });

  test('a call that costs too much is halved', async () => {
    const { shop, connector } = await open(4);
    const errors = [{ message: 'too expensive', extensions: { code: 'MAX_COST_EXCEEDED' } }];
    shop.before = ({ entries }) => (entries.length > 2 ? { json: { errors } } : null);
    expect(kinds(await connector.setStock(lowered(4)))).toEqual(only('', 'effective', 4));
    expect(sizes(shop)).toEqual([4, 2, 2]);
  });

  test('a raise from 0 finds the number below 0, and the others do not wait for it', async () => {
    const { shop, connector } = await open(3, 0);
    shop.available.set(2, -2);
    const writes = lowered(3).map(({ address, key }) => ({ address, key, quantity: 4, expected: 0 }));
    expect(await connector.setStock(writes)).toEqual(writes.map(() => ({ kind: 'effective', quantity: 4 })));
    expect([...shop.available.values()]).toEqual([4, 4, 4]);
  });

  test('those that would go again after the end of their turn do not', async () => {
    let now = Date.parse('2026-11-22T12:00:00Z');
    const shop = new Shop(4, 5);
    const channel = await openLocalChannel((request) => shop.answer(graphqlRequestOf(request)));
    const { connector } = connectShop(channel, {}, {}, { now: () => now });
    const turn = { urgency: 'lower', leaveBy: now + 1_000 } as const;
    shop.available.set(1, 1);
    shop.before = () => {
      now += 2_000;
      return null;
    };
    const results = await connector.setStock(lowered(4), turn);
    expect(kinds(results)).toEqual(only('stale', 'deferred', 4, 0));
    expect(results[1]).toMatchObject({ error: 'rate_limited', retryAfterMs: 0 });
    expect(sizes(shop)).toEqual([4]);
  });
});

describe('when the answer is lost', () => {
  test('the same call goes again under the same key and is carried out once', async () => {
    const { shop, connector } = await open(3);
    let lost = 0;
    shop.after = (answer) => (lost++ === 0 ? 'lost' : answer);
    expect(kinds(await connector.setStock(lowered(3)))).toEqual(only('', 'effective', 3));
    expect(shop.calls[1]).toEqual(shop.calls[0]);
  });

  test('of a call that was refused, a second key asks again whom it is about', async () => {
    const { shop, connector } = await open(3);
    shop.available.set(2, 1);
    let lost = 0;
    shop.after = (answer) => (lost++ === 0 ? 'lost' : answer);
    expect(kinds(await connector.setStock(lowered(3)))).toEqual(only('stale', 'effective', 3, 1));
    expect(shop.calls[1]?.key).toBe(shop.calls[0]?.key);
    expect(shop.calls[2]?.key).not.toBe(shop.calls[0]?.key);
    expect(sizes(shop)).toEqual([3, 3, 3, 2]);
  });

  test('for good, each of them is unknown, and so it is while an attempt is still at work', async () => {
    const { shop, connector } = await open(3);
    shop.before = () => 'lost';
    expect(kinds(await connector.setStock(lowered(3)))).toEqual(only('', 'unknown', 3));
    shop.before = () => refused([{ code: 'IDEMPOTENCY_CONCURRENT_REQUEST' }]);
    expect(kinds(await connector.setStock(lowered(3)))).toEqual(only('', 'unknown', 3));
  });
});
