/** Proves that a price is written after every number, once, in its own currency, and where nothing is written. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { approveBlast } from '../../src/sync/blast.ts';
import { importCatalogue } from '../../src/sync/catalogue.ts';
import { checkShownPrices } from '../../src/sync/prices.ts';
import { lookForWork } from '../../src/sync/supervisor.ts';
import * as support from '../support/channel.ts';
import { asSeen, decider } from '../support/editedItem.ts';
import * as fixtures from '../support/fixtures.ts';
import { openPricedShop, type PricedShop } from '../support/pricedShop.ts';
import { noWakeUps } from '../support/wakeUps.ts';

let open: fixtures.TestPool;
let shop: PricedShop;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openPricedShop(open.pool);
});

describe('a price that is set', () => {
  test('is written once, and never again while nothing changes', async () => {
    const one = await shop.listed();
    await support.letTimePass(open.pool, shop.connection.id, 3_600_000);
    expect(await shop.stateOf(one)).toMatchObject({ fresh: false });
    await shop.mean(one, fixtures.euros(1_100));
    await shop.push();
    expect(shop.channel.priceCalls.map(({ writes }) => writes)).toEqual([
      [{ address: { unitId: one.unitId, variantId: '' }, price: fixtures.euros(1_100) }],
    ]);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_100, fresh: true });
    expect(await shop.operationsOf(one)).toEqual([
      { action: 'update_price', status: 'completed', error: null, actor: 'ada' },
    ]);
    await shop.later(3_600_000);
    expect(shop.sent()).toEqual([1_100]);
    expect(shop.channel.priceReads).toEqual([]);
  });

  test('is an operation that is listed between those begun before and after it', async () => {
    const one = await shop.listed();
    const begin = () =>
      open.pool.query(
        `INSERT INTO sync_operations (account_id, item_id, action, target_platforms, actor_kind, actor_id)
         VALUES ($1, $2, 'update_quantity', '{shopify}', 'user', 'ada')`,
        [shop.caller.accountId, one.item.id],
      );
    await begin();
    await shop.mean(one, fixtures.euros(1_100));
    await shop.push();
    await begin();
    expect((await shop.operationsOf(one)).map(({ action }) => action)).toEqual([
      'update_quantity',
      'update_price',
      'update_quantity',
    ]);
  });

  test('that is shown already is not written', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_000));
    await shop.push();
    expect(shop.sent()).toEqual([]);
    expect(await shop.stateOf(one)).toMatchObject({ state: null });
  });

  test('is never written in another currency', async () => {
    const one = await shop.listed({ minor: 900, currency: 'USD' });
    await shop.mean(one, fixtures.euros(1_100));
    await shop.push();
    expect(shop.sent()).toEqual([]);
    expect(await shop.stateOf(one)).toMatchObject({ state: null, shown: 900 });
    expect(await shop.openConflicts(one)).toEqual([]);
  });

  test('several times before it is written is written as it was set last', async () => {
    const one = await shop.listed();
    for (const minor of [1_100, 1_200, 1_300]) await shop.mean(one, fixtures.euros(minor));
    await shop.push();
    expect(shop.sent()).toEqual([1_300]);
  });

  test('and taken back before it was written is not written', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    await shop.mean(one, null);
    await shop.push();
    expect(shop.sent()).toEqual([]);
  });

  test('while an older one is on its way is written after that has ended', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    shop.channel.onPrice = async (write) => {
      if (write.price.minor === 1_100) await shop.mean(one, fixtures.euros(1_200));
      support.priced(shop.channel, write.address, write.price);
      return { kind: 'effective' };
    };
    await shop.push();
    expect(shop.sent()).toEqual([1_100, 1_200]);
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 1_200 });
  });

  test('travels with others in one call, in the turn of prices', async () => {
    const all = [await shop.listed(), await shop.listed(), await shop.listed()];
    for (const one of all) await shop.mean(one, fixtures.euros(1_100));
    await shop.push();
    expect(shop.channel.priceCalls.map(({ writes }) => writes.length)).toEqual([3]);
    expect(shop.channel.priceCalls[0]?.turn).toMatchObject({ urgency: 'price' });
  });
});

describe('the order of sending', () => {
  test('a lowered number leaves before a price, and a raised one too', async () => {
    const calls: string[] = [];
    shop.channel.onWrite = (write) => {
      calls.push(`quantity ${write.quantity}`);
      return support.takeEffect(shop.channel, write);
    };
    shop.channel.onPrice = (write) => {
      calls.push(`price ${write.price.minor}`);
      return { kind: 'effective' };
    };
    const priced = await shop.listed();
    await shop.mean(priced, fixtures.euros(1_100));
    const lowered = await shop.listed(fixtures.euros(1_000), 9);
    const raised = await shop.listed(fixtures.euros(1_000), 1);
    await support.markDirty(open.pool, lowered.listingId);
    await support.markDirty(open.pool, raised.listingId);
    await shop.push({ batchMax: 1 });
    expect(calls).toEqual(['quantity 5', 'quantity 5', 'price 1100']);
  });

  test('a number that becomes dirty between two batches of prices goes first', async () => {
    shop.channel.capabilities.pricesPerCall = 1;
    const [first, second, sold] = [await shop.listed(), await shop.listed(), await shop.listed()];
    await shop.mean(first, fixtures.euros(1_100));
    await shop.mean(second, fixtures.euros(1_100));
    const calls: string[] = [];
    shop.channel.onWrite = (write) => {
      calls.push(`quantity ${write.quantity}`);
      return support.takeEffect(shop.channel, write);
    };
    shop.channel.onPrice = async () => {
      if (calls.length === 0) {
        await support.moveStock(open.pool, sold.item, -2);
        await support.markDirty(open.pool, sold.listingId);
      }
      calls.push('price');
      return { kind: 'effective' };
    };
    await shop.push({ batchMax: 1 });
    expect(calls).toEqual(['price', 'quantity 3', 'price']);
  });
});

describe('an echo of our own price', () => {
  test('a catalogue page from before it makes no conflict and does not bring the old price back', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    await shop.push();
    shop.channel.cataloguePages = () =>
      support.pages([
        {
          address: { unitId: one.unitId, variantId: '' },
          sku: one.item.sku,
          title: 'A mug',
          url: null,
          price: fixtures.euros(1_000),
          stock: { kind: 'quantity', quantity: 5 },
          writable: true,
          sellsBeyond: false,
        },
      ]);
    const connected = await support.connectTo(open.pool, { shopify: shop.channel }).open(shop.connection.id);
    if (connected === null) throw new Error('the connection is not open');
    await importCatalogue(open.pool, connected);
    expect(await shop.stateOf(one)).toMatchObject({ shown: 1_100 });
    expect(await shop.openConflicts(one)).toEqual([]);
    await support.letTimePass(open.pool, shop.connection.id, 3_600_000);
    await importCatalogue(open.pool, connected);
    expect(await shop.openConflicts(one)).toMatchObject([{ delta: -100 }]);
    await shop.push();
    expect(shop.sent()).toEqual([1_100]);
  });
});

test('keeping ours over an edit right after our own price writes it again', async () => {
  const one = await shop.listed();
  await shop.mean(one, fixtures.euros(1_100));
  await shop.push();
  await open.pool.query('UPDATE listings SET price_minor = 1500 WHERE id = $1', [one.listingId]);
  await checkShownPrices(open.pool, shop.caller.accountId, [one.item.id]);
  const edited = await shop.openConflicts(one);
  expect(edited).toMatchObject([{ delta: 400 }]);
  await decider(open.pool, shop.caller, () => undefined)(asSeen(edited), 'keep_ours');
  expect(await shop.openConflicts(one)).toEqual([]);
  await shop.push();
  expect(shop.sent()).toEqual([1_100, 1_100]);
});

describe('a price that is not taken', () => {
  test('for a while is tried again after growing pauses', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    shop.channel.onPrice = () => ({ kind: 'deferred', reason: 'busy', retryAfterMs: 1_000 });
    await shop.push();
    await shop.push();
    expect(await shop.stateOf(one)).toMatchObject({ state: 'waiting', error: 'busy' });
    await shop.later(11_000);
    expect(shop.sent()).toHaveLength(2);
    await shop.later(11_000);
    expect(shop.sent()).toHaveLength(2);
    await shop.later(11_000);
    expect(shop.sent()).toHaveLength(3);
  });

  test('for good is told with the reason, becomes a conflict, and is tried again when somebody asks', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1));
    const honest = shop.channel.onPrice;
    shop.channel.onPrice = () => ({
      kind: 'refused',
      refusal: 'price_not_allowed',
      code: '25003',
      message: 'too low',
    });
    await shop.push();
    await shop.later(3_600_000);
    expect(shop.sent()).toEqual([1]);
    expect(await shop.stateOf(one)).toMatchObject({
      state: 'refused',
      shown: 1_000,
      error: '25003: too low',
    });
    expect(await shop.operationsOf(one)).toMatchObject([{ status: 'failed', error: '25003: too low' }]);
    expect(await shop.openConflicts(one)).toMatchObject([{ delta: 999 }]);
    shop.channel.onPrice = honest;
    await shop.mean(one, fixtures.euros(100));
    await shop.push();
    expect(await shop.stateOf(one)).toMatchObject({ state: 'shown', shown: 100 });
    expect(await shop.openConflicts(one)).toEqual([]);
  });
});

describe('nothing is written', () => {
  test.each([
    [
      'to a connection that waits for its first plan',
      'UPDATE connections SET awaiting_plan = true WHERE id = $1',
    ],
    ['to a connection that is paused', `UPDATE connections SET status = 'paused' WHERE id = $1`],
    ['to a connection that is switched off', 'UPDATE connections SET sync_enabled = false WHERE id = $1'],
    ['to a listing that is paused', 'UPDATE listings SET sync_enabled = false WHERE connection_id = $1'],
  ])('%s', async (_name, sql) => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    await open.pool.query(sql, [shop.connection.id]);
    await shop.push();
    expect(shop.sent()).toEqual([]);
    const woken: string[] = [];
    const wakeUps = { ...noWakeUps, push: (ids: readonly string[]) => void woken.push(...ids) };
    await lookForWork({ db: open.pool, wakeUps });
    expect(woken).not.toContain(shop.connection.id);
  });

  test('to a listing that sells another item by now', async () => {
    const one = await shop.listed();
    await shop.mean(one, fixtures.euros(1_100));
    const other = await fixtures.insertItem(open.pool, shop.connection.accountId);
    await open.pool.query('UPDATE listings SET item_id = $2 WHERE id = $1', [one.listingId, other.id]);
    await shop.push();
    expect(shop.sent()).toEqual([]);
    expect(await shop.stateOf(one)).toMatchObject({ state: null });
  });
});

test('a price that waits wakes the push of its connection', async () => {
  const one = await shop.listed();
  await shop.mean(one, fixtures.euros(1_100));
  const woken: string[] = [];
  const wakeUps = { ...noWakeUps, push: (ids: readonly string[]) => void woken.push(...ids) };
  await lookForWork({ db: open.pool, wakeUps });
  expect(woken).toContain(shop.connection.id);
});

test('C4: a price for more than half of the listings stops until somebody has looked', async () => {
  const all: support.Listed[] = [];
  for (let index = 0; index < 12; index += 1) all.push(await shop.listed());
  for (const one of all) await shop.mean(one, fixtures.euros(1_100));
  await shop.push();
  expect(shop.sent()).toEqual([]);
  await shop.later(120_000);
  expect(shop.sent()).toEqual([]);
  await approveBlast(open.pool, shop.caller, shop.connection.id);
  await shop.push();
  expect(shop.sent()).toHaveLength(12);
});
