/** Proves oversell-proof mode on real PostgreSQL: what all channels show together never exceeds what is left, whatever is late, lost or repeated. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Connections } from '../../src/sync/connections.ts';
import { charges, type Escrow } from '../../src/sync/core/escrow.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { type Caller, systemActor } from '../../src/sync/outcome.ts';
import { resumeEscrow, setProtection } from '../../src/sync/protection.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { readConnection } from '../../src/sync/reads.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let caller: Caller;
let item: fixtures.TestItem;
let connections: Connections;
let shops: readonly Shop[];

type Shop = {
  readonly connection: fixtures.TestConnection;
  readonly channel: support.ScriptedChannel;
  readonly listingId: string;
  readonly address: { readonly unitId: string; readonly variantId: string };
};

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

async function openShops(onHand: number, shown: readonly [number, number]): Promise<void> {
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: systemActor, correlationId: 'test' };
  item = await fixtures.insertItem(open.pool, accountId, { onHand });
  shops = await Promise.all(
    (['shopify', 'etsy'] as const).map(async (platform, index) => {
      const connection = await fixtures.insertConnection(open.pool, accountId, platform);
      const channel = support.createChannel(platform);
      channel.capabilities.compareAndSet = platform === 'shopify';
      channel.capabilities.settleMaxMs = 5_000;
      const address = { unitId: fixtures.unique('unit'), variantId: '' };
      const listingId = await fixtures.insertListing(open.pool, connection, { itemId: item.id, ...address });
      await support.insertShadow(open.pool, channel, listingId, shown[index] ?? 0);
      support.show(channel, address, shown[index] ?? 0);
      return { connection, channel, listingId, address };
    }),
  );
  const [shopify, etsy] = shops;
  if (shopify === undefined || etsy === undefined) throw new Error('two shops are open');
  connections = support.connectTo(open.pool, { shopify: shopify.channel, etsy: etsy.channel });
}

const shows = ({ channel, address }: Shop): number => support.shownOn(channel, address) ?? 0;
const shownInAll = (): number => shops.reduce((sum, shop) => sum + shows(shop), 0);
const push = (shop: Shop): Promise<void> =>
  pushConnection(support.pushOptions(open.pool, connections), shop.connection.id);

async function pushAll(rounds = 3): Promise<void> {
  for (let round = 0; round < rounds; round += 1) for (const shop of shops) await push(shop);
}

async function escrow(): Promise<Escrow> {
  const { rows } = await open.pool.query<{ state: Escrow }>('SELECT state FROM escrows WHERE item_id = $1', [
    item.id,
  ]);
  const [row] = rows;
  if (row === undefined) throw new Error('the item is not under escrow');
  return row.state;
}

let orderNumber = 0;

/** A buyer takes one: the channel counts it off at once, and what we hear of it is told when the answer is called. */
function sell(shop: Shop): (() => Promise<unknown>) | null {
  if (shows(shop) === 0) return null;
  support.show(shop.channel, shop.address, shows(shop) - 1);
  const placedAt = new Date(support.clock.now());
  orderNumber += 1;
  const order = fixtures.order({
    orderId: `escrow-${orderNumber}`,
    createdAt: placedAt,
    updatedAt: placedAt,
    lines: [fixtures.orderLine({ address: shop.address })],
  });
  return () => applyOrder(open.pool, fixtures.source(shop.connection, { observedAt: placedAt }), order);
}

async function pass(ms: number): Promise<void> {
  for (const { connection } of shops) await support.letTimePass(open.pool, connection.id, ms);
}

const knowOrders = async (): Promise<unknown> =>
  open.pool.query('UPDATE connections SET orders_watermark = $2 WHERE account_id = $1', [
    caller.accountId,
    new Date(support.clock.now()),
  ]);

describe('an item that is put under escrow', () => {
  beforeEach(async () => {
    await openShops(3, [3, 3]);
    await setProtection(open.pool, caller, { itemId: item.id, protection: 'escrow' });
  });

  test('is drained to what is available, and E1 holds: available is what is free and what was granted', async () => {
    for (let round = 0; round < 4; round += 1) {
      await pushAll();
      await pass(40_000);
      await knowOrders();
    }
    expect(shownInAll()).toBeLessThanOrEqual(3);
    const state = await escrow();
    expect(state.available).toBe(state.free + charges(state) - state.shortfall);
    expect(state.shortfall).toBe(0);
  });

  test('goes back to the shared pool when its protection is taken away', async () => {
    await pushAll();
    await setProtection(open.pool, caller, { itemId: item.id, protection: 'shared' });
    await pass(60_000);
    await knowOrders();
    await pushAll();
    expect(shops.map(shows)).toEqual([3, 3]);
    const { rowCount } = await open.pool.query('SELECT 1 FROM escrows WHERE item_id = $1', [item.id]);
    expect(rowCount).toBe(0);
  });

  test('is refused where a listing is not ours to write', async () => {
    await open.pool.query('UPDATE listings SET writable = false WHERE item_id = $1', [item.id]);
    const { outcome } = await setProtection(open.pool, caller, { itemId: item.id, protection: 'automatic' });
    expect(outcome).toMatchObject({ ok: false, problems: [{ code: 'INVALID_INPUT' }] });
  });

  test('E4: a number raised by somebody else pauses that listing at zero and says why, until somebody resumes it', async () => {
    await pushAll();
    await pass(10_000);
    await knowOrders();
    await pushAll();
    const [shopify] = shops;
    if (shopify === undefined) throw new Error('there is no shop');
    support.show(shopify.channel, shopify.address, 9);
    await pass(1_800_001);
    await knowOrders();
    await readConnection(support.readOptions(open.pool, connections), shopify.connection.id);
    await pushAll();
    expect((await escrow()).units[shopify.listingId]?.paused).toBe('A4');
    expect(shows(shopify)).toBe(0);
    await resumeEscrow(open.pool, caller, shopify.listingId, support.clock.now());
    expect((await escrow()).units[shopify.listingId]?.paused).toBeNull();
  });
});

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sell' as const), shop: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('hear' as const), which: fc.nat(5) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('push' as const), shop: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), shop: fc.nat(1) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1_000, 40_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('stock' as const), delta: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('lose' as const), shop: fc.nat(1), lands: fc.boolean() }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

test('E1 and E2: under sales, lost answers, late and repeated orders and deliveries nothing is ever shown that is not left', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps: readonly Step[]) => {
      await openShops(4, [2, 2]);
      let left = 4;
      const news: (() => Promise<unknown>)[] = [];
      await setProtection(open.pool, caller, { itemId: item.id, protection: 'escrow' });
      await pushAll(1);
      for (const one of steps) {
        const shop = 'shop' in one ? shops[one.shop] : undefined;
        if (one.kind === 'sell' && shop) {
          const told = sell(shop);
          if (told !== null) {
            left -= 1;
            news.push(told);
          }
        }
        if (one.kind === 'hear') await news[one.which]?.();
        if (one.kind === 'push' && shop) await push(shop);
        if (one.kind === 'read' && shop)
          await readConnection(support.readOptions(open.pool, connections), shop.connection.id);
        if (one.kind === 'time') await pass(one.ms);
        if (one.kind === 'stock') {
          left += one.delta;
          await support.moveStock(open.pool, item, one.delta);
        }
        if (one.kind === 'lose' && shop) {
          const honest = shop.channel.onWrite;
          shop.channel.onWrite = (write) => {
            shop.channel.onWrite = honest;
            if (one.lands) support.takeEffect(shop.channel, write);
            return { kind: 'unknown', reason: 'no answer in time' };
          };
        }
        expect(shownInAll()).toBeLessThanOrEqual(left);
        expect(left).toBeGreaterThanOrEqual(0);
        const state = await escrow();
        expect(state.available).toBe(state.free + charges(state) - state.shortfall);
      }
      for (const told of news) await told();
      expect(await readStock(open.pool, item.id)).toMatchObject({ available: left });
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);
