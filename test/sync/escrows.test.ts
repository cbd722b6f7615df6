/** Proves oversell-proof mode on real PostgreSQL: what all channels show together never exceeds what is left, whatever is late, lost or repeated. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setBundle } from '../../src/sync/bundles.ts';
import { charge, charges } from '../../src/sync/core/escrow.ts';
import { resumeEscrow, setProtection } from '../../src/sync/protection.ts';
import * as support from '../support/channel.ts';
import * as escrows from '../support/escrowShop.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';
import { within } from '../support/waiting.ts';

let open: fixtures.TestPool;
let shop: escrows.EscrowShop;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

describe('an item that is put under escrow', () => {
  beforeEach(async () => {
    shop = await escrows.openEscrowShop(open.pool, 3, [3, 3]);
    await escrows.protect(shop);
  });

  test('is drained to what is available, and E1 holds: available is what is free and what was granted', async () => {
    for (let round = 0; round < 4; round += 1) {
      await escrows.pushAll(shop);
      await escrows.pass(shop, 40_000);
      await escrows.knowOrders(shop);
    }
    expect(escrows.shownIn(shop.offers)).toBeLessThanOrEqual(3);
    const state = await escrows.escrowOf(shop);
    expect(state.available).toBe(state.free + charges(state) - state.shortfall);
    expect(state.shortfall).toBe(0);
  });

  test('goes back to the shared pool when its protection is taken away', async () => {
    await escrows.pushAll(shop);
    await setProtection(open.pool, shop.caller, { itemId: shop.item.id, protection: 'shared' });
    await escrows.pass(shop, 60_000);
    await escrows.knowOrders(shop);
    await escrows.pushAll(shop);
    expect(shop.offers.map(escrows.shows)).toEqual([3, 3]);
    const { rowCount } = await open.pool.query('SELECT 1 FROM escrows WHERE item_id = $1', [shop.item.id]);
    expect(rowCount).toBe(0);
  });

  test('is refused where a listing is not ours to write', async () => {
    await open.pool.query('UPDATE listings SET writable = false WHERE item_id = $1', [shop.item.id]);
    const { outcome } = await setProtection(open.pool, shop.caller, {
      itemId: shop.item.id,
      protection: 'automatic',
    });
    expect(outcome).toMatchObject({ ok: false, problems: [{ code: 'INVALID_INPUT' }] });
  });

  test('E4: if a channel breaks an assumption, that listing goes to zero and says why: a number raised by somebody else, until somebody resumes it', async () => {
    await escrows.pushAll(shop);
    await escrows.pass(shop, 10_000);
    await escrows.knowOrders(shop);
    await escrows.pushAll(shop);
    const [shopify] = shop.offers;
    support.show(shopify.channel, shopify.address, 9);
    await escrows.pass(shop, 1_800_001);
    await escrows.knowOrders(shop);
    await escrows.read(shop, shopify);
    await escrows.pushAll(shop);
    expect((await escrows.escrowOf(shop)).units[shopify.listingId]?.paused).toBe('A4');
    expect(escrows.shows(shopify)).toBe(0);
    await resumeEscrow(open.pool, shop.caller, shopify.listingId, support.clock.now());
    expect((await escrows.escrowOf(shop)).units[shopify.listingId]?.paused).toBeNull();
  });

  test('E4: a write that takes effect long after it was answered pauses the listing for A2, not for somebody else’s number', async () => {
    const [, etsy] = shop.offers;
    const look = async (shown: number) => {
      support.show(etsy.channel, etsy.address, shown);
      await escrows.pass(shop, 1_800_001);
      await escrows.knowOrders(shop);
      await escrows.read(shop, etsy);
      return (await escrows.escrowOf(shop)).units[etsy.listingId]?.paused;
    };
    await escrows.pushAll(shop, shop.offers, 1);
    // It was drained, and got the unit that is left over.
    expect(escrows.shows(etsy)).toBe(1);
    // Etsy said that it had taken that in, and it has not: for us the unit is gone.
    expect([await look(0), await look(0)]).toEqual([null, null]);
    expect(await look(1)).toBe('A2');
    await escrows.pushAll(shop);
    expect(escrows.shows(etsy)).toBe(0);
  });
});

describe('a number that somebody raised where the channel’s clock leaves a sale’s moment open, so that it might be explained', () => {
  let etsy: escrows.Offer;

  /** Stocked, it sells one at once: by its clock the sale may have come before the write, so that it may still show all that was written. */
  beforeEach(async () => {
    shop = await escrows.openEscrowShop(open.pool, 0, [0, 0]);
    [, etsy] = shop.offers;
    etsy.channel.capabilities.clockSkewMaxMs = 60_000;
    await escrows.protect(shop);
    await escrows.push(shop, etsy);
    await escrows.pass(shop, 200_000);
    await support.moveStock(open.pool, shop.item, 4);
    await escrows.push(shop, etsy);
    await escrows.sell(shop, etsy)?.();
  });

  /** Somebody puts back what was sold, and it is looked at. */
  async function raised() {
    const shown = escrows.shows(etsy) + 1;
    support.show(etsy.channel, etsy.address, shown);
    await escrows.pass(shop, 1_800_001);
    await escrows.knowOrders(shop);
    await escrows.read(shop, etsy);
    const { rowCount: conflicts } = await open.pool.query(
      'SELECT FROM sync_conflicts WHERE listing_id = $1',
      [etsy.listingId],
    );
    const unit = (await escrows.escrowOf(shop)).units[etsy.listingId];
    return { conflicts, paused: unit?.paused, missing: shown - (unit === undefined ? 0 : charge(unit)) };
  }

  test('E4: pauses the listing at zero for A4 by the first reading, although there is no conflict to tell of', async () => {
    expect(await raised()).toEqual({ conflicts: 0, paused: 'A4', missing: 1 });
    await escrows.push(shop, etsy);
    expect(escrows.shows(etsy)).toBe(0);
  });

  test('is charged where the listing is switched off: there anybody may raise it', async () => {
    await escrows.switchTo(shop, etsy, false);
    expect(await raised()).toEqual({ conflicts: 0, paused: null, missing: 0 });
  });
});

describe('resuming a listing of somebody else', () => {
  test('finds nothing, and does not wait for whoever works on it', async () => {
    shop = await escrows.openEscrowShop(open.pool, 3, [3, 3]);
    await escrows.protect(shop);
    await escrows.pushAll(shop);
    const stranger = { ...shop.caller, accountId: await fixtures.insertAccount(open.pool) };
    const [{ listingId }] = shop.offers;
    const busy = await open.pool.connect();
    try {
      await busy.query('BEGIN');
      await busy.query('SELECT FROM listings WHERE id = $1 FOR UPDATE', [listingId]);
      const resuming = resumeEscrow(open.pool, stranger, listingId, support.clock.now());
      expect(await within(resuming, 2_000, 'the answer')).toMatchObject({
        ok: false,
        problems: [{ code: 'NOT_FOUND' }],
      });
    } finally {
      await busy.query('ROLLBACK');
      busy.release();
    }
  });
});

describe('a whole connection that is switched off', () => {
  test.each([
    ['by a person', `UPDATE connections SET sync_enabled = false WHERE id = $1`],
    [
      'because it must be authorised again',
      `UPDATE connections SET status = 'needs_authorization' WHERE id = $1`,
    ],
  ])('%s keeps its rights and gets no new ones: what comes in goes to the others', async (_, off) => {
    shop = await escrows.openEscrowShop(open.pool, 3, [0, 3]);
    await escrows.protect(shop);
    const [shopify, etsy] = shop.offers;
    // All the buyers are there, and one unit is left there.
    for (let sold = 0; sold < 2; sold += 1) await escrows.sell(shop, etsy)?.();
    await escrows.pushAll(shop);
    await open.pool.query(off, [etsy.connection.id]);
    await support.moveStock(open.pool, shop.item, 1);
    for (let round = 0; round < 4; round += 1) {
      await escrows.pushAll(shop);
      await escrows.pass(shop, 61_000);
      await escrows.knowOrders(shop);
      await escrows.read(shop, shopify);
    }
    expect(shop.offers.map(escrows.shows)).toEqual([1, 1]);
    const { units, free, available } = await escrows.escrowOf(shop);
    expect([units[shopify.listingId]?.cur, units[etsy.listingId]?.cur, free, available]).toEqual([
      1, 1, 0, 2,
    ]);
  });
});

type Where = { readonly at: number };

const at = fc.nat(2);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sell' as const), at }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('hear' as const), which: fc.nat(5) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('push' as const), at }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), at }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1_000, 40_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('stock' as const), delta: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), at, lands: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('switch' as const), at, on: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('reserve' as const), quantity: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('join' as const),
      by: fc.constantFrom('map' as const, 'import' as const, 'plan' as const),
      shown: fc.nat(2),
      readable: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('answerReads' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('bundle' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** What is true, beside what we know. */
type World = {
  readonly offers: escrows.Offer[];
  left: number;
  readonly news: (() => Promise<unknown>)[];
  /** The joining channel can be read from now on. */
  answerReads: () => void;
};

/** Units that buyers can take although they are not there: only somebody else's listing brings them in. */
const beyond = ({ offers, left }: World): number => Math.max(0, escrows.shownIn(offers) - left);

async function takePlace(world: World, one: Step): Promise<void> {
  const offer = 'at' in one ? world.offers[(one satisfies Where).at] : undefined;
  switch (one.kind) {
    case 'sell': {
      const told = offer && escrows.sell(shop, offer);
      if (!told) return;
      world.left -= 1;
      world.news.push(told);
      return;
    }
    case 'hear':
      await world.news[one.which]?.();
      return;
    case 'push':
      if (offer) await escrows.push(shop, offer);
      return;
    case 'read':
      if (offer) await escrows.read(shop, offer);
      return;
    case 'time':
      return escrows.pass(shop, one.ms);
    case 'stock':
      world.left += one.delta;
      return support.moveStock(open.pool, shop.item, one.delta);
    case 'lose':
      if (offer) loseAnswer(offer, one.lands);
      return;
    case 'switch':
      if (offer) await escrows.switchTo(shop, offer, one.on);
      return;
    case 'reserve':
      if ((await escrows.reserve(shop, one.quantity)).ok) world.left -= one.quantity;
      return;
    case 'join':
      return join(world, one);
    case 'answerReads':
      world.answerReads();
      return;
    case 'bundle':
      if ((await bundleOf(shop.item.id)).ok) throw new Error('a protected item became part of a bundle');
      return;
  }
}

function loseAnswer({ channel }: escrows.Offer, lands: boolean): void {
  const honest = channel.onWrite;
  channel.onWrite = (write) => {
    channel.onWrite = honest;
    if (lands) support.takeEffect(channel, write);
    return { kind: 'unknown', reason: 'no answer in time' };
  };
}

async function join(world: World, one: Extract<Step, { kind: 'join' }>): Promise<void> {
  if (world.offers.length > 2) return;
  const { channel, connection } = shop.amazon;
  const honest = channel.onRead;
  world.answerReads = () => {
    channel.onRead = honest;
  };
  if (!one.readable) channel.onRead = () => ({ kind: 'unknown', reason: 'the channel is away' });
  if (one.by === 'plan')
    await open.pool.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [connection.id]);
  if (one.by !== 'map') world.offers.push(await escrows.bringIn(shop, one.shown));
  else {
    const offer = await escrows.offerOn(open.pool, shop.amazon, { shown: one.shown });
    await escrows.map(shop, offer);
    world.offers.push(offer);
  }
}

async function bundleOf(componentId: string) {
  const bundle = await fixtures.insertItem(open.pool, shop.caller.accountId);
  return setBundle({ pool: open.pool, onChanged: () => undefined }, shop.caller, {
    itemId: bundle.id,
    components: [{ itemId: componentId, quantity: 1 }],
    idempotencyKey: fixtures.unique('key'),
  });
}

async function expectE1(): Promise<void> {
  const state = await escrows.escrowOf(shop);
  expect(state.available).toBe(state.free + charges(state) - state.shortfall);
}

test('E1 and E2: an item under escrow shows only rights that were granted once, and nothing of ours is ever shown that is not left, whatever is sold, late, lost or repeated, paused, mapped, imported, reserved or bundled', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps: readonly Step[]) => {
      shop = await escrows.openEscrowShop(open.pool, 4, [2, 2]);
      const world: World = { offers: [...shop.offers], left: 4, news: [], answerReads: () => undefined };
      await escrows.protect(shop);
      await escrows.pushAll(shop, shop.offers, 1);
      for (const one of steps) {
        const before = one.kind === 'join' ? Number.POSITIVE_INFINITY : beyond(world);
        await takePlace(world, one);
        expect(beyond(world)).toBeLessThanOrEqual(before);
        await expectE1();
      }
      for (const told of world.news) await told();
      expect(await readStock(open.pool, shop.item.id)).toMatchObject({ available: world.left });
      world.answerReads();
      for (const offer of world.offers) await escrows.switchTo(shop, offer, true);
      for (let round = 0; round < 8; round += 1) {
        await escrows.pass(shop, 60_000);
        await escrows.pushAll(shop, world.offers, 2);
      }
      expect(escrows.shownIn(world.offers)).toBeLessThanOrEqual(Math.max(0, world.left));
      await expectE1();
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);
