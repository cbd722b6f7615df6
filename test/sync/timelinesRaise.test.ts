/** Proves that a raise is not written over what a channel without comparison reads just before it (Etsy), and that every such raise comes to an end. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StockWrite, StockWriteResult } from '../../src/connectors/connector.ts';
import { loadConnectionHealth } from '../../src/sync/health.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';
import { Race } from '../support/race.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

/** Etsy tells of its orders half a minute late; `before` happens between a decision and the look, which says what is shown unless `looks` says another number. */
async function race(onHand: number, before: (one: Race) => void, looks: number[] = []): Promise<Race> {
  const one = await Race.open(open.pool, onHand, ['etsy', 'amazon']);
  const { channel, address } = one.at('etsy');
  channel.capabilities.indexLagMs = 30_000;
  channel.onWrite = (write): StockWriteResult => {
    before(one);
    const actual = looks.shift() ?? support.shownOn(channel, address) ?? 0;
    return isRefused(write, actual)
      ? { kind: 'stale', actual, read: true }
      : support.takeEffect(channel, write);
  };
  await one.know();
  return one;
}

/** As the connector decides. */
function isRefused({ believed, quantity }: StockWrite, actual: number): boolean {
  return believed !== undefined && actual < quantity && (actual < believed.least || actual > believed.most);
}

const sold = (one: Race): unknown => one.buy('etsy', 1, 30_000);

async function available({ item }: Race): Promise<number> {
  return (await readStock(open.pool, item.id)).available;
}

/** The orders become visible, and whatever is waited for is done. */
async function rest(one: Race): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    await one.pass(61_000);
    await one.poll('etsy');
    await one.read('etsy');
    await one.pushAll();
  }
}

test('a sale between the fence and the write stops the raise, is withheld and asked for, and is never offered again', async () => {
  const sale = [sold];
  const one = await race(1, (shops) => sale.shift()?.(shops));
  await support.moveStock(open.pool, one.item, 4);
  await one.pushAll();
  const { connection, channel, listingId } = one.at('etsy');
  expect(channel.writes).toMatchObject([
    { quantity: 5, expected: null, believed: { least: 1, most: 1 } },
    { quantity: 4, expected: null, believed: { least: 0, most: 1 } },
  ]);
  expect(await one.shadow('etsy')).toMatchObject({ hold: 1, shown_min: 4, shown_max: 4 });
  expect([one.shows('etsy'), one.shows('amazon'), one.asked]).toEqual([4, 4, ['etsy']]);

  // It was certainly not sent, and nothing is wrong with the channel or the listing.
  expect(await support.readWrites(open.pool, listingId)).toMatchObject([
    { quantity: 5, state: 'stale', settled: true },
    { quantity: 4, state: 'effective', settled: true },
  ]);
  expect(await support.readListing(open.pool, listingId)).toMatchObject({ target: 4, last_error: null });
  const { accountId } = one.item;
  expect(await loadConnectionHealth(open.pool, accountId, [connection.id], Date.now())).toMatchObject([
    { status: 'active', lastError: null },
  ]);

  await rest(one);
  expect(await available(one)).toBe(4);
  expect(one.written('etsy')).toEqual([5, 4]);
  expect(await one.shadow('etsy')).toMatchObject({ hold: 0, shown_max: 4, resurrected_units: 0 });
  expect([one.shows('etsy'), one.shows('amazon'), one.proven]).toEqual([4, 4, []]);
});

test('a sale before every single look ends with what is left, however often the raise is refused', async () => {
  const one = await race(9, (shops) => shops.shows('etsy') > 0 && sold(shops));
  await support.moveStock(open.pool, one.item, 5);
  for (let round = 0; round < 6; round += 1) {
    await one.pass(10_000);
    await one.pushAll();
  }
  expect(one.written('etsy').length).toBeGreaterThan(5);
  one.at('etsy').channel.onWrite = (write) => support.takeEffect(one.at('etsy').channel, write);
  await rest(one);
  expect(await available(one)).toBe(one.shows('etsy'));
  expect(await one.shadow('etsy')).toMatchObject({ hold: 0, resurrected_units: 0 });
  expect(one.proven).toEqual([]);
});

test('looks as old as Etsy may be, higher or lower than what is shown by now, stop no raise', async () => {
  const looks: number[] = [];
  const one = await race(9, () => undefined, looks);
  one.at('etsy').channel.capabilities.staleMaxMs = 60_000;
  await one.pass(60_001);
  await support.moveStock(open.pool, one.item, -7);
  await one.pushAll();
  await one.pass(10_000);
  // From before the lowering, then from before each of the raises.
  looks.push(9);
  await support.moveStock(open.pool, one.item, 9);
  await one.pushAll();
  await one.pass(10_000);
  looks.push(2);
  await support.moveStock(open.pool, one.item, 4);
  await one.pushAll();
  expect(one.written('etsy')).toEqual([2, 11, 15]);
  expect(await one.shadow('etsy')).toMatchObject({ hold: 0 });
  await rest(one);
  expect([one.shows('etsy'), one.written('etsy').length, one.proven]).toEqual([15, 3, []]);
});

test('a number that somebody else has put there is not written over: the raises stop until it is explained', async () => {
  const edit = [(shops: Race) => shops.edit('etsy', 3)];
  const one = await race(1, (shops) => edit.shift()?.(shops));
  // It may be units that Etsy has put back: nothing is proven before the orders are known.
  one.at('etsy').channel.capabilities.restocksOnCancel = true;
  await support.moveStock(open.pool, one.item, 4);
  await one.push('etsy');
  expect([one.written('etsy'), one.shows('etsy')]).toEqual([[5], 3]);
  expect(await one.shadow('etsy')).toMatchObject({ raises_stopped: true, hold: 0 });
  expect(one.asked).toEqual(['etsy']);
  await rest(one);
  expect(one.proven).toMatchObject([{ proof: { delta: 2 } }]);
});
