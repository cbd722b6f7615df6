/** Proves S9 where a price can only be written with the quantities of its whole unit: no variant is raised by it, none is lost sight of, none is written beside it. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Companion, PriceWrite, PriceWriteResult } from '../../src/connectors/connector.ts';
import type { Shadow } from '../../src/sync/core/shadow.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import { setItemPrice } from '../../src/sync/prices.ts';
import { type PushOptions, pushConnection } from '../../src/sync/push.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;
let caller: Caller;
let x: support.Listed;
let y: support.Listed;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  connection = await fixtures.insertConnection(open.pool, accountId, 'etsy');
  channel = support.createChannel('etsy');
  channel.capabilities.priceWritesUnit = true;
  x = await listed('X', 5);
  y = await listed('Y', 7);
});

/** A variant of the one listing, in step, at 10.00. */
async function listed(variantId: string, onHand: number): Promise<support.Listed> {
  const shop = { connection, channel };
  const one = await support.insertListed(open.pool, shop, onHand, onHand, { unitId: '11', variantId });
  await open.pool.query('DELETE FROM dirty_listings WHERE listing_id = $1', [one.listingId]);
  await open.pool.query(`UPDATE listings SET price_minor = 1000, currency = 'EUR' WHERE id = $1`, [
    one.listingId,
  ]);
  return one;
}

const mean = ({ item }: support.Listed, minor: number) =>
  setItemPrice({ pool: open.pool, onEvents: () => undefined, onMarked: () => undefined }, caller, {
    itemId: item.id,
    price: fixtures.euros(minor),
  });

const push = (more: Partial<PushOptions> = {}): Promise<void> => {
  const connections = support.connectTo(open.pool, { etsy: channel });
  return pushConnection(support.pushOptions(open.pool, connections, more), connection.id);
};

const sent = (): PriceWrite[] => channel.priceCalls.flatMap(({ writes }) => writes);

/** What the write has put at the variants, having read this. */
const along = (quantities: Readonly<Record<string, number>>): PriceWriteResult => ({
  kind: 'effective',
  companions: Object.entries(quantities).map(
    ([variantId, quantity]): Companion => ({
      address: { unitId: '11', variantId },
      quantity,
      shown: quantity,
      readAt: support.clock.now(),
    }),
  ),
});

async function shadowOf({ listingId }: support.Listed): Promise<Shadow> {
  const { rows } = await open.pool.query<{ shadow: Shadow }>(
    `SELECT state->'shadow' AS shadow FROM shadows WHERE listing_id = $1`,
    [listingId],
  );
  if (rows[0] === undefined) throw new Error('there is no shadow');
  return rows[0].shadow;
}

test('the write says how much every variant may show at most, the one that gets the price included', async () => {
  channel.onPrice = () => along({ X: 5, Y: 7 });
  await mean(x, 1_100);
  await push();
  expect(sent()).toMatchObject([{ address: { unitId: '11', variantId: 'X' }, price: { minor: 1_100 } }]);
  expect(sent()[0]?.others?.toSorted((a, b) => a.quantity - b.quantity)).toEqual([
    { address: { unitId: '11', variantId: 'X' }, quantity: 5 },
    { address: { unitId: '11', variantId: 'Y' }, quantity: 7 },
  ]);
  await push();
  expect(channel.writes).toEqual([]);
  expect(await support.readDirty(open.pool, x.listingId)).toBeNull();
});

test('what was read there just before is evidence: a sale that nobody has told of withholds its unit', async () => {
  channel.onPrice = () => along({ X: 5, Y: 6 });
  let asked = 0;
  await mean(x, 1_100);
  await push({
    readings: (opened) =>
      support.readingOptions(open.pool, opened, {
        onUnexplained: async () => {
          asked += 1;
        },
      }),
  });
  expect((await shadowOf(y)).hold).toBe(1);
  expect(asked).toBe(1);
});

test('a unit of which a number waits has its number written first', async () => {
  const calls: string[] = [];
  channel.onWrite = (write) => {
    calls.push(`quantity ${write.quantity}`);
    return support.takeEffect(channel, write);
  };
  channel.onPrice = () => {
    calls.push('price');
    return along({ X: 5, Y: 4 });
  };
  await mean(x, 1_100);
  await support.moveStock(open.pool, y.item, -3);
  await support.markDirty(open.pool, y.listingId);
  await push();
  expect(calls).toEqual(['quantity 4', 'price']);
});

test('while a price is on its way no other worker writes a number of the unit, and one that waited is written after', async () => {
  const calls: string[] = [];
  channel.onWrite = (write) => {
    calls.push(`quantity ${write.quantity}`);
    return support.takeEffect(channel, write);
  };
  channel.onPrice = async () => {
    calls.push('price leaves');
    await support.moveStock(open.pool, y.item, -3);
    await support.markDirty(open.pool, y.listingId);
    await push();
    calls.push('price answered');
    return along({ X: 5, Y: 7 });
  };
  await mean(x, 1_100);
  await push();
  expect(calls).toEqual(['price leaves', 'price answered', 'quantity 4']);
});

test('one whose sender died leaves every number of its unit in doubt until it is read', async () => {
  await mean(x, 1_100);
  channel.onPrice = () => {
    throw new Error('the worker dies');
  };
  await expect(push()).rejects.toThrow('the worker dies');
  support.priced(channel, x, fixtures.euros(1_100));
  await support.letTimePass(open.pool, connection.id, 61_000);
  await push();
  for (const one of [x, y]) {
    const doubted = (await shadowOf(one)).candidates.filter(({ state }) => state === 'UNKNOWN');
    expect(doubted).toHaveLength(1);
  }
  expect(sent()).toHaveLength(1);
});

test('variants that share one price are tried again together when the last of them gets it', async () => {
  channel.onPrice = () => ({
    kind: 'refused',
    refusal: 'shared_price',
    code: 'shared_price',
    message: 'set both',
  });
  await mean(x, 1_100);
  await push();
  expect(sent()).toHaveLength(1);
  channel.onPrice = () => along({ X: 5, Y: 7 });
  await mean(y, 1_100);
  await push();
  expect(
    channel.priceCalls
      .at(-1)
      ?.writes.map(({ address }) => address.variantId)
      .toSorted(),
  ).toEqual(['X', 'Y']);
});

test('one that is set while the other is on its way alone is written together with it', async () => {
  channel.onPrice = async () => {
    if (channel.priceCalls.at(-1)?.writes.length === 2) return along({ X: 5, Y: 7 });
    if (channel.priceCalls.length === 1) await mean(y, 1_100);
    return { kind: 'refused', refusal: 'shared_price', code: 'shared_price', message: 'set both' };
  };
  await mean(x, 1_100);
  await push();
  const calls = channel.priceCalls.map(({ writes }) =>
    writes.map(({ address }) => address.variantId).toSorted(),
  );
  expect(calls).toEqual([['X'], ['X', 'Y']]);
  const { rows } = await open.pool.query<{ state: string }>(
    'SELECT state FROM dirty_prices WHERE connection_id = $1',
    [connection.id],
  );
  expect(rows.map(({ state }) => state)).toEqual(['shown', 'shown']);
});

test('variants that share one price and are refused together are not tried again by themselves', async () => {
  channel.onPrice = () => ({
    kind: 'refused',
    refusal: 'shared_price',
    code: 'shared_price',
    message: 'set all',
  });
  await mean(x, 1_100);
  await mean(y, 1_100);
  await push();
  await support.letTimePass(open.pool, connection.id, 3_600_000);
  await push();
  expect(channel.priceCalls.map(({ writes }) => writes.length)).toEqual([2]);
});
