/** Proves that what a reading or an undecided cut withholds of an item lowers the bundles made of it, and of a bundle everything that it is made of. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Platform } from '../../src/connectors/connector.ts';
import { sweepAlerts } from '../../src/sync/alerts.ts';
import { explainListings } from '../../src/sync/explanations.ts';
import { callerOf, insertBundle, setRecipe } from '../support/bundles.ts';
import * as support from '../support/channel.ts';
import { asSeen, decider } from '../support/editedItem.ts';
import * as fixtures from '../support/fixtures.ts';
import { readMovements, readStock } from '../support/ledgerState.ts';
import { conflictsOf, provenEdit, setPolicy, storeEdit } from '../support/provenEdits.ts';
import { Race } from '../support/race.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

type Shelf = {
  readonly race: Race;
  readonly b: fixtures.TestItem;
  readonly ab: fixtures.TestItem;
};

/** A alone on Etsy, AB on Shopify, AC on eBay and B alone on Amazon; so many of A, and of the others more than ever matters. */
async function shelfOf(units: number, perBundle = 1): Promise<Shelf> {
  const race = await Race.open(open.pool, units, ['etsy']);
  const { accountId } = race.item;
  const insert = () => fixtures.insertItem(open.pool, accountId, { onHand: 100 });
  const [b, c] = [await insert(), await insert()];
  const made = Math.floor(units / perBundle);
  const bundleWith = (other: fixtures.TestItem) =>
    insertBundle(open.pool, accountId, [
      [race.item, perBundle],
      [other, 1],
    ]);
  const [ab, ac] = [await bundleWith(b), await bundleWith(c)];
  await race.list('shopify', ab.id, made);
  await race.list('ebay', ac.id, made);
  await race.list('amazon', b.id, 100);
  await race.know();
  await race.pass(1_800_001);
  for (const platform of race.places.keys()) await race.push(platform);
  return { race, b, ab };
}

const dirty = async (race: Race): Promise<readonly Platform[]> => {
  const found: Platform[] = [];
  for (const [platform, { listingId }] of race.places)
    if ((await support.readDirty(open.pool, listingId)) !== null) found.push(platform);
  return found;
};

/** By platform, in the order Etsy, Shopify, eBay, Amazon. */
const written = (race: Race): readonly (readonly number[])[] =>
  [...race.places.keys()].map((platform) => race.written(platform));

async function explained(race: Race, platform: Platform) {
  const { listingId } = race.at(platform);
  const options = { pool: open.pool, channelMaxOf: async () => 1_000, now: support.clock.now };
  const explanation = (await explainListings(options, race.item.accountId, [listingId])).get(listingId);
  if (explanation === undefined) throw new Error('nothing is explained');
  return explanation;
}

describe('a unit that a reading misses at a component', () => {
  test('takes the bundle to 0 at once, and its order subtracts nothing twice', async () => {
    const { race } = await shelfOf(1);
    const sold = race.buy('etsy', 1, 120_000);
    expect(await dirty(race)).toEqual([]);
    await race.read('etsy');
    expect(await race.shadow('etsy')).toMatchObject({ hold: 1 });
    expect(await dirty(race)).toEqual(['etsy', 'shopify', 'ebay']);
    await race.pushAll();
    expect(written(race)).toEqual([[], [0], [0], []]);
    expect(await readStock(open.pool, race.item.id)).toMatchObject({ available: 1, reserved: 0 });

    await race.hear(sold);
    await race.pushAll();
    expect(await race.shadow('etsy')).toMatchObject({ hold: 0 });
    expect(written(race)).toEqual([[], [0], [0], []]);
    expect(await readStock(open.pool, race.item.id)).toMatchObject({ available: 0, reserved: 1 });
  });

  test.each<Platform>(['shopify', 'ebay', 'etsy'])(
    'is missing once and not twice, also when its order is known and %s is pushed first',
    async (first) => {
      const { race } = await shelfOf(10);
      const sold = race.buy('etsy', 3);
      await race.read('etsy');
      expect(await race.shadow('etsy')).toMatchObject({ hold: 3 });
      await race.hear(sold);
      await race.push(first);
      await race.pushAll();
      expect(written(race)).toEqual([[], [7], [7], []]);
    },
  );

  test('is explained at the bundle: what could be made, and which listing showed too few', async () => {
    const { race } = await shelfOf(11, 2);
    race.buy('etsy', 3, 120_000);
    await race.read('etsy');
    const { ledger, steps, target, holds, summary } = await explained(race, 'shopify');
    expect({ ledger, target }).toMatchObject({ ledger: { available: 5 }, target: 4 });
    expect(steps).toMatchObject([
      { step: 'available', result: 5 },
      { step: 'holds', amount: 1, result: 4 },
    ]);
    expect(holds).toMatchObject([{ listingId: race.at('etsy').listingId, platform: 'etsy', units: 3 }]);
    expect(summary).toContain('1 held because Etsy showed fewer than expected');
  });
});

describe('a bundle that a reading misses', () => {
  test('takes its component to 0 at once, and its order subtracts nothing twice', async () => {
    const { race, b } = await shelfOf(1);
    const sold = race.buy('shopify', 1, 120_000);
    expect(await dirty(race)).toEqual([]);
    await race.read('shopify');
    expect(await race.shadow('shopify')).toMatchObject({ hold: 1 });
    expect(await dirty(race)).toEqual(['etsy', 'shopify', 'ebay', 'amazon']);
    await race.pushAll();
    expect(written(race)).toEqual([[0], [], [0], [99]]);

    await race.hear(sold);
    await race.pushAll();
    expect(await race.shadow('shopify')).toMatchObject({ hold: 0 });
    expect(written(race)).toEqual([[0], [], [0], [99]]);
    expect(await readStock(open.pool, race.item.id)).toMatchObject({ available: 0, reserved: 1 });
    expect(await readStock(open.pool, b.id)).toMatchObject({ available: 99, reserved: 1 });
  });

  test.each<Platform>(['etsy', 'ebay', 'amazon', 'shopify'])(
    'is missing once and not twice, also when its order is known and %s is pushed first',
    async (first) => {
      const { race } = await shelfOf(20, 2);
      const sold = race.buy('shopify', 3);
      await race.read('shopify');
      await race.hear(sold);
      await race.push(first);
      await race.pushAll();
      expect(written(race)).toEqual([[14], [], [7], [97]]);
    },
  );

  test('is explained at its component, in units of the component', async () => {
    const { race } = await shelfOf(20, 2);
    race.buy('shopify', 3, 120_000);
    await race.read('shopify');
    const { ledger, target, holds, steps, summary } = await explained(race, 'etsy');
    expect({ ledger, target }).toMatchObject({ ledger: { available: 20 }, target: 14 });
    expect(steps[1]).toMatchObject({ step: 'holds', amount: 6, result: 14 });
    expect(holds).toMatchObject([{ listingId: race.at('shopify').listingId, platform: 'shopify', units: 6 }]);
    expect(summary).toContain('6 held because Shopify showed fewer than expected');
  });

  test('is no longer missing of what leaves the recipe, and is missing of what comes into it', async () => {
    const { race, b, ab } = await shelfOf(10);
    race.buy('shopify', 3, 120_000);
    await race.read('shopify');
    await race.pushAll();
    expect(written(race)).toEqual([[7], [], [7], [97]]);
    await setRecipe(open.pool, ab, [[b, 2]]);
    expect(await dirty(race)).toEqual(['etsy', 'shopify', 'ebay', 'amazon']);
    await race.push('amazon');
    expect(race.written('amazon')).toEqual([97, 94]);
    expect([(await explained(race, 'etsy')).target, (await explained(race, 'ebay')).target]).toEqual([
      10, 10,
    ]);
  });
});

describe('a proven cut that nobody has decided', () => {
  let shelf: Shelf;

  const prove = (platform: Platform, itemId: string, delta: number) => {
    const { race } = shelf;
    const { listingId } = race.at(platform);
    return storeEdit(
      open.pool,
      { accountId: race.item.accountId, itemId, listingId },
      provenEdit(listingId, delta),
    );
  };

  beforeEach(async () => {
    shelf = await shelfOf(10);
    await setPolicy(open.pool, shelf.race.item.accountId, 'manual_review');
  });

  test('of a component lowers the bundles made of it, and moves nothing', async () => {
    const { race } = shelf;
    const stored = await prove('etsy', race.item.id, -3);
    expect(await dirty(race)).toEqual(['etsy', 'shopify', 'ebay']);
    expect(new Set(stored.effect.connectionIds)).toEqual(
      new Set((['etsy', 'shopify', 'ebay'] as const).map((platform) => race.at(platform).connection.id)),
    );
    await race.pushAll();
    expect(written(race).slice(1)).toEqual([[7], [7], []]);
    expect(await explained(race, 'shopify')).toMatchObject({
      conflictDelta: -3,
      conflicts: [{ delta: -3, platform: 'etsy' }],
      target: 7,
    });
    expect(await readMovements(open.pool, race.item.id)).toHaveLength(1);
  });

  test('of a bundle lowers its components, and through them the other bundles', async () => {
    const { race, ab } = shelf;
    await prove('shopify', ab.id, -4);
    expect(await dirty(race)).toEqual(['etsy', 'shopify', 'ebay', 'amazon']);
    await race.pushAll();
    expect([race.written('etsy'), race.written('ebay'), race.written('amazon')]).toEqual([[6], [6], [96]]);
    expect(await explained(race, 'etsy')).toMatchObject({
      conflictDelta: -4,
      conflicts: [{ delta: -4, platform: 'shopify' }],
      summary: expect.stringContaining('4 withheld until the conflict on Shopify is decided') as string,
    });
  });

  test('counts as deep as the deepest of them, for two cuts are usually one', async () => {
    const { race, ab } = shelf;
    await prove('shopify', ab.id, -2);
    await prove('etsy', race.item.id, -3);
    expect((await explained(race, 'etsy')).target).toBe(7);
    expect((await explained(race, 'shopify')).target).toBe(7);
    expect((await explained(race, 'ebay')).target).toBe(7);
    expect((await explained(race, 'amazon')).target).toBe(98);
  });
});

test('a number that is too high at a component stops the raises of everything that shares units with it, until it is explained', async () => {
  const { race } = await shelfOf(10);
  // It may put cancelled units back by itself: only with every order known is the number an edit.
  race.at('etsy').channel.capabilities.restocksOnCancel = true;
  race.at('etsy').channel.capabilities.indexLagMs = 60_000;
  race.edit('etsy', 12);
  await race.read('etsy');
  expect(await race.shadow('etsy')).toMatchObject({ raises_stopped: true });
  await support.moveStock(open.pool, race.item, 5);
  await race.pushAll();
  expect(written(race)).toEqual([[], [], [], []]);
  expect(await explained(race, 'shopify')).toMatchObject({ target: 15, raisesStopped: true });

  await race.pass(61_001);
  await race.poll('etsy');
  await race.read('etsy');
  expect(race.proven.map(({ proof }) => proof.delta)).toEqual([2]);
  await race.pushAll();
  expect(written(race)).toEqual([[15], [15], [15], []]);
});

test('what is withheld of a bundle is sold out in the eyes of the alerts of every other bundle with its component', async () => {
  const { race } = await shelfOf(1);
  race.buy('shopify', 1, 120_000);
  await race.read('shopify');
  await sweepAlerts(open.pool, { everythingMs: 0 });
  const { rows } = await open.pool.query<{ platform: Platform }>(
    `SELECT listing.platform FROM alerts alert JOIN listings listing USING (item_id) WHERE alert.kind = 'oversell_risk' AND alert.account_id = $1`,
    [race.item.accountId],
  );
  expect(rows).toEqual([{ platform: 'ebay' }]);
});

test('a cut of a bundle is not booked, as a bundle has no stock, and who tries to is told what to do', async () => {
  const { race, ab } = await shelfOf(5);
  const { accountId } = race.item;
  await setPolicy(open.pool, accountId, 'use_lowest');
  const { rows } = await open.pool.query<{ id: string }>('SELECT id FROM listings WHERE item_id = $1', [
    ab.id,
  ]);
  const listingId = rows[0]?.id ?? '';
  await storeEdit(open.pool, { accountId, itemId: ab.id, listingId }, provenEdit(listingId, -2));
  const decide = decider(open.pool, callerOf(accountId), () => undefined);
  const found = await conflictsOf(open.pool, ab.id);
  expect(found).toMatchObject([{ status: 'open', delta: -2 }]);
  expect(await decide(asSeen(found), 'use_lowest')).toMatchObject({
    ok: false,
    problems: [
      {
        code: 'INVALID_INPUT',
        message:
          'A bundle has no stock of its own: correct the stock of its components, and resolve this with KEEP_OURS.',
      },
    ],
  });
  expect(await decide(asSeen(found), 'keep_ours')).toMatchObject({ ok: true });
  expect(await conflictsOf(open.pool, ab.id)).toMatchObject([{ status: 'resolved' }]);
});
