/** Proves that a price is a conflict only beside one that the seller means, in its currency, and that deciding it never writes a price nobody meant. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Money } from '../../src/connectors/connector.ts';
import { importCatalogue } from '../../src/sync/catalogue.ts';
import { readEvidence } from '../../src/sync/conflictEvidence.ts';
import { setConflictPolicy } from '../../src/sync/conflictPolicy.ts';
import type { Price } from '../../src/sync/core/conflicts.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import { setItemPrice } from '../../src/sync/prices.ts';
import * as support from '../support/channel.ts';
import { asSeen, type Decide, decider } from '../support/editedItem.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';
import {
  conflictEventsOf,
  conflictsOf,
  provenEdit,
  setPolicy,
  statusOf,
  storeEdit,
} from '../support/provenEdits.ts';

let open: fixtures.TestPool;
let caller: Caller;
let item: fixtures.TestItem;
let shops: readonly fixtures.TestConnection[];
let decide: Decide;

beforeAll(async () => {
  open = await fixtures.openTestPool(6);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  item = await fixtures.insertItem(open.pool, accountId, { sku: 'MUG', onHand: 5 });
  shops = [
    await fixtures.insertConnection(open.pool, accountId),
    await fixtures.insertConnection(open.pool, accountId),
  ];
  decide = decider(open.pool, caller, () => undefined);
});

/** Of the item, where its price is to be written. */
async function waiting() {
  const { rows } = await open.pool.query<{ connection: string; before: number; state: string }>(
    `SELECT connection_id AS connection, before_minor::int AS before, state FROM dirty_prices WHERE item_id = $1 ORDER BY connection_id`,
    [item.id],
  );
  return rows;
}

/** The catalogue of one of the shops comes in, with this price. */
async function show(shop: 0 | 1, price: Money | null): Promise<void> {
  const channel = support.createChannel();
  channel.cataloguePages = () =>
    support.pages([
      {
        address: { unitId: 'mug', variantId: '' },
        sku: 'MUG',
        title: 'A mug',
        url: null,
        price,
        stock: { kind: 'quantity', quantity: 5 },
        writable: true,
        sellsBeyond: false,
      },
    ]);
  const connected = await support.connectTo(open.pool, { shopify: channel }).open(shops[shop]?.id ?? '');
  if (connected === null) throw new Error('the connection is not open');
  await importCatalogue(open.pool, connected);
}

const mean = (price: Price | null, itemId = item.id) =>
  setItemPrice({ pool: open.pool, onEvents: () => undefined, onMarked: () => undefined }, caller, {
    itemId,
    price,
  });
const conflicts = () => conflictsOf(open.pool, item.id);
const openOnes = async () => (await conflicts()).filter(({ status }) => status === 'open');

async function meant(): Promise<number | null | undefined> {
  const { rows } = await open.pool.query<{ price: number | null }>(
    'SELECT price_minor::int AS price FROM inventory_items WHERE id = $1',
    [item.id],
  );
  return rows[0]?.price;
}

describe('a price that a channel shows', () => {
  test('is no conflict as long as nobody has said what it should be', async () => {
    await show(0, fixtures.euros(1_000));
    await show(1, fixtures.euros(1_200));
    expect(await conflicts()).toEqual([]);
  });

  test('is one beside another price that the seller means', async () => {
    await mean(fixtures.euros(1_100));
    await show(0, fixtures.euros(1_000));
    await show(1, fixtures.euros(1_200));
    expect(await conflicts()).toMatchObject([
      { type: 'price_mismatch', status: 'open', delta: -100 },
      { type: 'price_mismatch', status: 'open', delta: 100 },
    ]);
    expect(readEvidence((await conflicts())[1]?.data)).toMatchObject({
      kind: 'price',
      expected: [fixtures.euros(1_100)],
      shown: fixtures.euros(1_200),
    });
    expect(await statusOf(open.pool, item.id)).toBe('conflict');
    expect(await conflictEventsOf(open.pool, item.id)).toHaveLength(2);
    expect(await waiting()).toEqual([]);
  });

  test('is none while the price that was asked for is on its way there: both are explained, a third is not', async () => {
    await show(0, fixtures.euros(1_000));
    await mean(fixtures.euros(1_100));
    expect(await waiting()).toMatchObject([{ before: 1_000 }]);
    await show(0, fixtures.euros(1_000));
    await show(0, fixtures.euros(1_100));
    expect(await conflicts()).toEqual([]);
    await show(0, fixtures.euros(1_300));
    expect(await openOnes()).toMatchObject([{ delta: 200 }]);
    expect(await waiting()).toEqual([]);
  });

  test('where nothing may be written yet is one at once', async () => {
    await show(0, fixtures.euros(1_000));
    await open.pool.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [shops[0]?.id]);
    await mean(fixtures.euros(1_100));
    expect(await openOnes()).toMatchObject([{ delta: -100 }]);
    expect(await waiting()).toEqual([]);
  });

  test('is never compared across currencies, and no price at all is none', async () => {
    await mean(fixtures.euros(1_100));
    await show(0, { minor: 900, currency: 'USD' });
    await show(1, null);
    expect(await conflicts()).toEqual([]);
  });

  test('may differ by what the account tolerates', async () => {
    const policy = { resolution: 'use_lowest', unitsMax: 10, priceToleranceMinor: 5 } as const;
    await setConflictPolicy(open.pool, caller, policy);
    await mean(fixtures.euros(1_100));
    await show(0, fixtures.euros(1_105));
    expect(await conflicts()).toEqual([]);
    await show(0, fixtures.euros(1_106));
    expect(await conflicts()).toMatchObject([{ status: 'open', delta: 6 }]);
  });

  test('stays one conflict while nothing changes, gives way to newer evidence, and ends when the channel shows what it should', async () => {
    await mean(fixtures.euros(1_100));
    await show(0, fixtures.euros(1_200));
    await show(0, fixtures.euros(1_200));
    expect(await conflicts()).toMatchObject([{ status: 'open', version: 1 }]);
    await show(0, fixtures.euros(1_300));
    expect(await conflicts()).toMatchObject([{ status: 'superseded' }, { status: 'open', delta: 200 }]);
    await show(0, fixtures.euros(1_100));
    expect(await openOnes()).toEqual([]);
    expect(await statusOf(open.pool, item.id)).toBe('synced');
  });

  test('is no conflict any more when the seller no longer says what it should be', async () => {
    await mean(fixtures.euros(1_100));
    await show(0, fixtures.euros(1_200));
    await mean(null);
    expect(await conflicts()).toMatchObject([{ status: 'superseded', supersededBy: null }]);
  });

  test('is never decided by the policy, and takes no part in a number: neither in the targets nor in a decision', async () => {
    await setPolicy(open.pool, caller.accountId, 'use_lowest');
    await mean(fixtures.euros(1_100));
    await show(0, fixtures.euros(1_000));
    const [price] = await openOnes();
    const listingId = price?.listingId ?? '';
    await storeEdit(
      open.pool,
      { accountId: caller.accountId, itemId: item.id, listingId },
      provenEdit(listingId, -2),
    );
    expect(await conflicts()).toMatchObject([{ status: 'open' }, { status: 'resolved', delta: -2 }]);
    expect(await statusOf(open.pool, item.id)).toBe('conflict');
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 3 });
  });
});

describe('a decision on a price', () => {
  beforeEach(async () => {
    await mean(fixtures.euros(1_100));
    await show(0, fixtures.euros(1_000));
    await show(1, fixtures.euros(1_200));
  });

  test.each([
    ['use_lowest', 1_000, 1],
    ['use_highest', 1_200, 0],
  ] as const)(
    '%s makes %i the intended one and writes it to the channel that shows another',
    async (resolution, price, other) => {
      expect(await decide(asSeen(await openOnes()), resolution)).toMatchObject({
        ok: true,
        value: { movementId: null },
      });
      expect(await meant()).toBe(price);
      expect(await conflicts()).toMatchObject([
        { status: 'resolved', resolution, resolvedBy: 'user:ada' },
        { status: 'resolved', resolution, resolvedBy: 'user:ada' },
      ]);
      expect(await waiting()).toMatchObject([{ connection: shops[other]?.id, state: 'waiting' }]);
      expect(await statusOf(open.pool, item.id)).toBe('synced');
      expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 5, seq: 1 });
    },
  );

  test('keep_ours writes the price that was meant wherever another is shown', async () => {
    expect(await decide(asSeen(await openOnes()), 'keep_ours')).toMatchObject({ ok: true });
    expect(await meant()).toBe(1_100);
    expect(await openOnes()).toEqual([]);
    expect(await waiting()).toHaveLength(2);
  });

  test('where nothing may be written, a conflict stays open with new evidence', async () => {
    await open.pool.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [shops[1]?.id]);
    await decide(asSeen(await openOnes()), 'use_lowest');
    expect(await openOnes()).toMatchObject([{ delta: 200 }]);
    expect(await waiting()).toEqual([]);
  });

  test('manual_review is marked', async () => {
    await decide(asSeen(await openOnes()), 'manual_review');
    expect(await openOnes()).toMatchObject([{ awaitsReview: true }, { awaitsReview: true }]);
  });

  test('names all price conflicts of the item and none about its number', async () => {
    const [one, two] = await openOnes();
    if (one === undefined || two === undefined) throw new Error('two are open');
    expect(await decide(asSeen([one]), 'use_lowest')).toMatchObject({
      problems: [{ code: 'OTHER_CONFLICTS_OPEN', related: [two.id] }],
    });
    await setPolicy(open.pool, caller.accountId, 'manual_review');
    const edited = { accountId: caller.accountId, itemId: item.id, listingId: one.listingId };
    await storeEdit(open.pool, edited, provenEdit(one.listingId, -2));
    expect(await decide(asSeen(await openOnes()), 'use_lowest')).toMatchObject({
      problems: [{ code: 'INVALID_INPUT' }],
    });
    expect(await decide(asSeen([one, two]), 'use_lowest')).toMatchObject({ ok: true });
  });
});

test.each([
  { minor: -1, currency: 'EUR' },
  { minor: 0.5, currency: 'EUR' },
  { minor: 1, currency: 'euro' },
])('%j is no price', async (price) => {
  expect(await mean(price)).toMatchObject({
    ok: false,
    problems: [{ code: 'INVALID_INPUT', field: ['input', 'price'] }],
  });
  expect(await meant()).toBeNull();
});

test('an item of another account is not found', async () => {
  const foreign = await fixtures.insertItem(open.pool, await fixtures.insertAccount(open.pool));
  expect(await mean(fixtures.euros(1), foreign.id)).toMatchObject({
    ok: false,
    problems: [{ code: 'NOT_FOUND' }],
  });
});

describe('the policy', () => {
  test.each([
    ['unitsMax', { unitsMax: -1, priceToleranceMinor: 0 }],
    ['unitsMax', { unitsMax: 1.5, priceToleranceMinor: 0 }],
    ['priceToleranceMinor', { unitsMax: 1, priceToleranceMinor: -1 }],
  ])('refuses %s out of range', async (field, numbers) => {
    expect(await setConflictPolicy(open.pool, caller, { resolution: 'keep_ours', ...numbers })).toMatchObject(
      {
        ok: false,
        problems: [{ code: 'INVALID_INPUT', field: ['input', field] }],
      },
    );
  });

  test('keeps the tolerance that it is not given, and is of one account', async () => {
    const policy = { resolution: 'keep_ours', unitsMax: 3 } as const;
    await setConflictPolicy(open.pool, caller, { ...policy, priceToleranceMinor: 7 });
    await setConflictPolicy(open.pool, caller, { ...policy, unitsMax: 4, priceToleranceMinor: null });
    const { rows } = await open.pool.query(
      `SELECT auto_resolution::text AS resolution, auto_resolution_units_max AS units, price_tolerance_minor AS tolerance FROM accounts
        WHERE auto_resolution = 'keep_ours'`,
    );
    expect(rows).toEqual([{ resolution: 'keep_ours', units: 4, tolerance: 7 }]);
  });
});
