/** Proves the race timelines of the model on the product itself: real code, real PostgreSQL, and marketplaces that sell behind its back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ChannelError,
  type Platform,
  type StockReading,
  type StockWrite,
} from '../../src/connectors/connector.ts';

import { loadExposures } from '../../src/sync/exposures.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { readMovements, readStock } from '../support/ledgerState.ts';
import { Race } from '../support/race.ts';
import { createGate } from '../support/waiting.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

const everywhere = ['shopify', 'etsy', 'amazon'] as const;

/** Shopify compares and sets; Etsy tells of its orders half a minute late, Amazon two minutes, and there an older write may land last. */
async function race(onHand: number, platforms: readonly Platform[] = everywhere): Promise<Race> {
  const one = await Race.open(open.pool, onHand, platforms);
  const shopify = one.places.get('shopify');
  const etsy = one.places.get('etsy');
  const amazon = one.places.get('amazon');
  if (etsy !== undefined) etsy.channel.capabilities.indexLagMs = 30_000;
  if (shopify !== undefined) shopify.channel.capabilities.compareAndSet = true;
  if (amazon !== undefined) {
    amazon.channel.capabilities.ordersWrites = false;
    amazon.channel.capabilities.indexLagMs = 120_000;
  }
  await one.know();
  return one;
}

/** What moved the item's stock since its opening, as changes of what is available. */
async function moved({ item }: Race): Promise<readonly number[]> {
  const [, ...movements] = await readMovements(open.pool, item.id);
  return movements.map(({ onHandDelta, reservedDelta }) => onHandDelta - reservedDelta);
}

const available = async ({ item }: Race): Promise<number> => (await readStock(open.pool, item.id)).available;
const shown = (one: Race): readonly number[] => [...one.places.keys()].map((platform) => one.shows(platform));

async function holds(one: Race): Promise<number> {
  let sum = 0;
  for (const platform of one.places.keys()) sum += (await one.shadow(platform)).hold;
  return sum;
}

/** Nothing happens any more: every sale is heard of, every number read, and nothing more is written. */
async function expectQuiet(one: Race): Promise<void> {
  const before = async (): Promise<readonly number[]> =>
    [...one.places.keys()].map((platform) => one.written(platform).length);
  for (let round = 0; round < 4; round += 1) {
    await one.pass(1_800_001);
    for (const platform of one.places.keys()) {
      await one.poll(platform);
      await one.read(platform);
    }
    if (round < 2) await one.pushAll();
  }
  const counted = await before();
  await one.pushAll();
  expect(await before()).toEqual(counted);
  const target = Math.max(0, await available(one));
  expect(shown(one)).toEqual(shown(one).map(() => target));
  expect(await holds(one)).toBe(0);
  expect(one.proven).toEqual([]);
}

/** A reading of Etsy that is on its way until it is let in; it tells what was shown when it was asked for. */
async function readingUnderWay(one: Race): Promise<() => Promise<number>> {
  const { channel, address } = one.at('etsy');
  const asked = createGate();
  const gate = createGate();
  channel.onRead = async (): Promise<StockReading> => {
    const quantity = support.shownOn(channel, address) ?? 0;
    asked.open();
    await gate.opened;
    return { kind: 'quantity', quantity };
  };
  await one.pass(1_800_001);
  const reading = one.read('etsy');
  await asked.opened;
  return async () => {
    gate.open();
    return reading;
  };
}

describe('T1 Poll older than the sale', () => {
  test('while the zero is only queued: 1 is in range, nothing moves, and the zero goes out', async () => {
    const one = await race(1);
    const answer = await readingUnderWay(one);
    await one.hear(one.buy('shopify'));
    await answer();
    expect(await moved(one)).toEqual([-1]);
    expect(one.proven).toEqual([]);
    expect(await holds(one)).toBe(0);
    await one.pushAll();
    expect(one.written('etsy')).toEqual([0]);
    await expectQuiet(one);
  });

  test('after the zero is in force: the old 1 is neither an edit nor a reason to write', async () => {
    const one = await race(1);
    const answer = await readingUnderWay(one);
    await one.hear(one.buy('shopify'));
    one.at('etsy').channel.onWrite = (write) => support.takeEffect(one.at('etsy').channel, write);
    await one.push('etsy');
    expect(one.shows('etsy')).toBe(0);
    expect(await answer()).toBe(0);
    await one.pushAll();
    expect(one.written('etsy')).toEqual([0]);
    expect(await moved(one)).toEqual([-1]);
    await expectQuiet(one);
  });
});

/** A buyer takes the last one on Amazon, which tells of it two minutes later; meanwhile something makes us write there. */
async function soldUnseen(): Promise<Race> {
  const one = await race(1);
  one.buy('amazon', 1, 120_000);
  await one.pass(1_000);
  await support.markDirty(open.pool, one.at('amazon').listingId, true);
  return one;
}

describe('T2 Resurrection', () => {
  test('the fence reads 0 below 1: nothing but 0 is written, one unit is held, the others are lowered', async () => {
    const one = await soldUnseen();
    await one.push('amazon');
    expect(one.written('amazon')).toEqual([]);
    expect(await one.shadow('amazon')).toMatchObject({ hold: 1, shown_max: 0 });
    expect(await moved(one)).toEqual([]);
    await one.pushAll();
    expect(shown(one)).toEqual([0, 0, 0]);
    expect(one.written('amazon')).toEqual([]);
  });

  test('the order turns the hold into a reservation, and nothing is written because of it', async () => {
    const one = await soldUnseen();
    await one.pushAll();
    await one.pass(120_000);
    expect(await one.poll('amazon')).toBe(1);
    await one.pushAll();
    expect(await moved(one)).toEqual([-1]);
    expect(await holds(one)).toBe(0);
    expect([one.written('shopify'), one.written('etsy'), one.written('amazon')]).toEqual([[0], [0], []]);
    await expectQuiet(one);
  });

  test('a raise asked for meanwhile leaves out the unit that was sold', async () => {
    const one = await soldUnseen();
    await support.moveStock(open.pool, one.item, 2);
    await one.pushAll();
    expect(one.written('amazon')).toEqual([2]);
    expect(shown(one)).toEqual([2, 2, 2]);
    await expectQuiet(one);
    expect(await available(one)).toBe(2);
  });
});

test('T3 Echo: the echo of our own write changes nothing, the sale right after it is held, asked for and booked', async () => {
  const one = await race(5);
  await support.moveStock(open.pool, one.item, -1);
  await one.pushAll();
  expect(one.written('shopify')).toEqual([4]);
  await one.pass(500);
  expect(await one.tell('shopify', 4)).toBe(0);
  expect(await one.shadow('shopify')).toMatchObject({ hold: 0, shown_min: 4, shown_max: 4 });
  expect(one.asked).toEqual([]);

  await one.pass(500);
  one.buy('shopify');
  await one.tell('shopify', 3);
  expect(await one.shadow('shopify')).toMatchObject({ hold: 1 });
  expect(one.asked).toEqual(['shopify']);
  await one.push('etsy');
  expect(one.written('etsy')).toEqual([4, 3]);

  expect(await one.poll('shopify')).toBe(1);
  expect(await moved(one)).toEqual([-1, -1]);
  await one.pushAll();
  expect(await holds(one)).toBe(0);
  expect(one.written('shopify')).toEqual([4]);
  await expectQuiet(one);
});

test('T4 Late older write: 5 lands after 3; the reading of 5 leaves only that one, and 3 is written again', async () => {
  const one = await race(4);
  const { channel, listingId } = one.at('amazon');
  const landing: StockWrite[] = [];
  channel.onWrite = (write) => {
    landing.push(write);
    return { kind: 'accepted', reference: null };
  };
  await support.moveStock(open.pool, one.item, 1);
  await one.pushAll();
  await one.hear(one.buy('shopify', 2));
  await one.pushAll();
  expect(one.written('amazon')).toEqual([5, 3]);
  for (const write of landing.toReversed()) support.takeEffect(channel, write);
  expect(one.shows('amazon')).toBe(5);
  channel.onWrite = (write) => support.takeEffect(channel, write);
  // Until a reading past the settling time both stay possible.
  expect(await one.shadow('amazon')).toMatchObject({ shown_max: 5 });

  await one.pass(400_000);
  await one.poll('amazon');
  expect(await one.read('amazon')).toBe(1);
  expect(await one.shadow('amazon')).toMatchObject({ shown_min: 5, shown_max: 5 });
  const exposed = (await loadExposures(open.pool, one.item.accountId, [one.item.id])).get(one.item.id);
  const shownMax = exposed?.listings.find((listing) => listing.listingId === listingId)?.shownMax ?? 0;
  expect(shownMax - (exposed?.left ?? 0)).toBe(2);

  await one.push('amazon');
  expect(one.written('amazon')).toEqual([5, 3, 3]);
  expect(new Set(channel.writes.map(({ key }) => key)).size).toBe(3);
  await expectQuiet(one);
});

test('T5 Lost answer: both numbers stay possible, the retry keeps its key, and nothing looks like an outside edit', async () => {
  const one = await race(1);
  const { channel } = one.at('shopify');
  const answered = new Set<string>();
  channel.onWrite = (write) => {
    // The channel knows the key: it tells the same answer again and changes nothing twice.
    if (answered.has(write.key)) return { kind: 'effective', quantity: write.quantity };
    answered.add(write.key);
    if (write.expected !== one.shows('shopify')) return { kind: 'stale', actual: one.shows('shopify') };
    support.takeEffect(channel, write);
    return { kind: 'unknown', reason: 'no answer in time' };
  };
  await one.hear(one.buy('etsy'));
  await one.push('shopify');
  expect(channel.writes).toMatchObject([{ quantity: 0, expected: 1 }]);
  expect(await one.shadow('shopify')).toMatchObject({ shown_min: 0, shown_max: 1 });
  await one.pass(60_000);
  await one.push('shopify');
  expect(channel.writes).toHaveLength(2);
  expect(channel.writes[1]).toEqual(channel.writes[0]);
  expect(await one.shadow('shopify')).toMatchObject({ shown_min: 0, shown_max: 0, hold: 0 });
  expect(await support.readWrites(open.pool, one.at('shopify').listingId)).toMatchObject([
    { state: 'effective', settled: true },
  ]);
  await expectQuiet(one);
});

/** Etsy has sold one of three and everybody shows two; then the buyer steps back. */
async function cancelledOnEtsy(restocked: boolean, restocksOnCancel: boolean): Promise<Race> {
  const one = await race(3);
  one.at('etsy').channel.capabilities.restocksOnCancel = restocksOnCancel;
  const placed = one.buy('etsy');
  await one.hear(placed);
  await one.pushAll();
  expect(shown(one)).toEqual([2, 2, 2]);
  await one.pass(60_000);
  one.cancel(placed, restocked);
  await one.hear(placed);
  return one;
}

describe('T7 Cancel, two behaviours', () => {
  test('(a) the channel has put the unit back itself: the ledger takes it back, the others are raised, and nothing is written there', async () => {
    const one = await cancelledOnEtsy(true, true);
    await one.pushAll();
    expect(await moved(one)).toEqual([-1, 1]);
    expect(one.written('etsy')).toEqual([]);
    expect(await one.shadow('etsy')).toMatchObject({ shown_min: 3, shown_max: 3, hold: 0 });
    await expectQuiet(one);
    expect(one.written('etsy')).toEqual([]);
    expect(shown(one)).toEqual([3, 3, 3]);
  });

  test.each([
    ['never does', false],
    ['has not done it this time', true],
  ])(
    '(b) the channel %s: the raise waits for the fence, then goes out once',
    async (_why, restocksOnCancel) => {
      const one = await cancelledOnEtsy(false, restocksOnCancel);
      const { channel } = one.at('etsy');
      const told = channel.orderPages;
      channel.orderPages = () => {
        throw new ChannelError('unavailable', 'maintenance');
      };
      await one.push('etsy');
      expect(one.written('etsy')).toEqual([]);

      channel.orderPages = told;
      const [polls, reads] = [channel.polledSince.length, channel.readCalls.length];
      const quick = channel.onWrite;
      channel.onWrite = (write) => {
        expect(channel.polledSince.length).toBeGreaterThan(polls);
        expect(channel.readCalls.length).toBeGreaterThan(reads);
        return quick(write);
      };
      await one.pass(60_000);
      await one.pushAll();
      expect(one.written('etsy')).toEqual([3]);
      expect(await moved(one)).toEqual([-1, 1]);
      await expectQuiet(one);
      expect(one.written('etsy')).toEqual([3]);
    },
  );
});

test('T8 Restock during a sale: the raise leaves out what the fence finds missing', async () => {
  const one = await race(1);
  one.buy('etsy', 1, 30_000);
  await one.pass(1_000);
  await support.moveStock(open.pool, one.item, 10);
  await one.pushAll();
  expect(one.written('etsy')).toEqual([10]);
  expect(await one.shadow('etsy')).toMatchObject({ hold: 1, resurrected_units: 0 });
  expect(shown(one)).toEqual([10, 10, 10]);
  await one.pass(30_000);
  await one.poll('etsy');
  await one.pushAll();
  expect(await moved(one)).toEqual([10, -1]);
  expect(one.written('etsy')).toEqual([10]);
  await expectQuiet(one);
});

test('T11 Not tracked: nothing is zeroed, nothing moves, people are told', async () => {
  const one = await race(3);
  const { channel, listingId } = one.at('shopify');
  const before = await one.shadow('shopify');
  channel.onRead = () => ({ kind: 'notTracked' });
  await one.pass(1_800_001);
  expect(await one.read('shopify')).toBe(0);
  await support.markDirty(open.pool, listingId, true);
  await one.pushAll();
  expect(everywhere.map((platform) => one.written(platform))).toEqual([[], [], []]);
  expect(await moved(one)).toEqual([]);
  expect(await one.shadow('shopify')).toEqual(before);
  expect((await support.readListing(open.pool, listingId)).last_error).toContain('does not track');
  expect(one.proven).toEqual([]);
  channel.onRead = () => ({ kind: 'quantity', quantity: one.shows('shopify') });
  await expectQuiet(one);
});
