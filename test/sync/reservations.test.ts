/** Proves I4: reservations never exceed what is available, hold all lines or none, and return exactly what they held, once. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { applyOrder } from '../../src/sync/orders.ts';
import type { Caller, Outcome } from '../../src/sync/outcome.ts';
import {
  commitReservation,
  createReservation,
  expireReservations,
  extendReservation,
  releaseReservation,
} from '../../src/sync/reservations.ts';
import { callerOf, insertBundle } from '../support/bundles.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readMovements, readStock } from '../support/ledgerState.ts';
import { repeatUntil } from '../support/repetition.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let caller: Caller;
let moved = 0;

beforeAll(async () => {
  open = await fixtures.openTestPool(12);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  caller = callerOf(connection.accountId);
  moved = 0;
});

const options = () => ({
  pool: open.pool,
  onMoved: () => void (moved += 1),
  reservationDefaultMs: 60_000,
  reservationMaxMs: 3_600_000,
});
const newItem = (onHand: number): Promise<fixtures.TestItem> =>
  fixtures.insertItem(open.pool, connection.accountId, { onHand });

type Lines = readonly (readonly [item: fixtures.TestItem, quantity: number])[];

const create = (lines: Lines, key = fixtures.unique('key')) =>
  createReservation(options(), caller, {
    lines: lines.map(([{ id: itemId }, quantity]) => ({ itemId, quantity })),
    expiresInSeconds: null,
    reference: 'partner 1',
    idempotencyKey: key,
  });

async function created(lines: Lines): Promise<string> {
  const outcome = await create(lines);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value.reservationId;
}

const action = (reservationId: string) => ({ reservationId, idempotencyKey: fixtures.unique('key') });
const commit = (id: string) => commitReservation(options(), caller, action(id));
const release = (id: string) => releaseReservation(options(), caller, action(id));
const expire = () => expireReservations(options());

const runOut = (ids: readonly string[]) =>
  open.pool.query(`UPDATE reservations SET expires_at = now() - interval '1 second' WHERE id = ANY($1)`, [
    ids,
  ]);

const problems = (outcome: Outcome<unknown>): unknown[] =>
  outcome.ok
    ? []
    : outcome.problems.map(({ code, field, current }) => [code, field.slice(1).join('.'), current]);

const levels = async (item: fixtures.TestItem): Promise<number[]> => {
  const { quantity, reserved } = await readStock(open.pool, item.id);
  return [quantity, reserved];
};

describe('a reservation', () => {
  test('holds its units, tells every channel and says in the history what it was for', async () => {
    const item = await newItem(5);
    const listing = await fixtures.insertListing(open.pool, connection, { itemId: item.id });
    const id = await created([[item, 3]]);
    expect(await levels(item)).toEqual([5, 3]);
    expect(moved).toBe(1);
    const { rows } = await open.pool.query(
      `SELECT movement.kind::text, movement.reference, movement.reservation_id, movement.actor_kind, dirty.listing_id, dirty.guarded, dirty.reread
         FROM stock_movements movement, dirty_listings dirty WHERE movement.item_id = $1 AND movement.kind = 'reservation'`,
      [item.id],
    );
    expect(rows).toEqual([
      {
        kind: 'reservation',
        reference: 'partner 1',
        reservation_id: id,
        actor_kind: 'user',
        listing_id: listing,
        guarded: false,
        reread: false,
      },
    ]);
  });

  test('takes bundles apart and sums the demand per item before it decides', async () => {
    const [a, b] = [await newItem(5), await newItem(5)];
    const set = await insertBundle(open.pool, connection.accountId, [
      [a, 2],
      [b, 1],
    ]);
    expect(
      problems(
        await create([
          [a, 2],
          [set, 2],
        ]),
      ),
    ).toEqual([
      ['INSUFFICIENT_STOCK', 'lines.0.quantity', 5],
      ['INSUFFICIENT_STOCK', 'lines.1.quantity', 2],
    ]);
    expect([await levels(a), await levels(b)]).toEqual([
      [5, 0],
      [5, 0],
    ]);
    const id = await created([
      [a, 1],
      [set, 2],
    ]);
    expect([await levels(a), await levels(b)]).toEqual([
      [5, 5],
      [5, 2],
    ]);
    await commit(id);
    expect([await levels(a), await levels(b), await levels(set)]).toEqual([
      [0, 0],
      [3, 0],
      [0, 0],
    ]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('is made once under its key, and refuses strangers’ items, doubled items and odd lifetimes', async () => {
    const item = await newItem(5);
    const key = fixtures.unique('key');
    const [first, second] = [await create([[item, 2]], key), await create([[item, 2]], key)];
    expect(second).toEqual(first);
    expect(await levels(item)).toEqual([5, 2]);
    const foreign = await fixtures.insertItem(open.pool, await fixtures.insertAccount(open.pool), {
      onHand: 9,
    });
    expect(
      problems(
        await create([
          [item, 1],
          [foreign, 1],
        ]),
      ),
    ).toEqual([['NOT_FOUND', 'lines.1.itemId', undefined]]);
    expect(
      problems(
        await create([
          [item, 1],
          [item, 1],
        ]),
      ),
    ).toEqual([['INVALID_INPUT', 'lines.1.itemId', undefined]]);
    const input = {
      lines: [{ itemId: item.id, quantity: 1 }],
      expiresInSeconds: 3_601,
      reference: null,
      idempotencyKey: 'key',
    };
    expect(problems(await createReservation(options(), caller, input))).toEqual([
      ['INVALID_INPUT', 'expiresInSeconds', undefined],
    ]);
  });

  test('ends once: committed, released and expired exclude each other', async () => {
    const item = await newItem(5);
    const [left, given] = [await created([[item, 1]]), await created([[item, 2]])];
    await commit(left);
    await release(given);
    for (const id of [left, given]) {
      const status = id === left ? 'committed' : 'released';
      for (const again of [await commit(id), await release(id)])
        expect(problems(again)).toEqual([['RESERVATION_ENDED', 'reservationId', status]]);
    }
    await runOut([left, given]);
    expect(await expire()).toBe(0);
    expect(await levels(item)).toEqual([4, 0]);
    expect(problems(await commit(connection.id))).toEqual([['NOT_FOUND', 'reservationId', undefined]]);
  });

  test('past its expiry can be neither committed nor extended, swept or not', async () => {
    const item = await newItem(5);
    const id = await created([[item, 2]]);
    const extend = () => extendReservation(options(), caller, { ...action(id), expiresInSeconds: 600 });
    expect(problems(await extend())).toEqual([]);
    await runOut([id]);
    const ended = [['RESERVATION_ENDED', 'reservationId', 'expired']];
    expect([problems(await commit(id)), problems(await extend())]).toEqual([ended, ended]);
    expect(await levels(item)).toEqual([5, 2]);
    expect(await expire()).toBe(1);
    expect(await levels(item)).toEqual([5, 0]);
    expect([problems(await commit(id)), problems(await extend())]).toEqual([ended, ended]);
  });

  test('does not keep a channel’s order from being recorded', async () => {
    const item = await newItem(2);
    await created([[item, 2]]);
    const order = fixtures.order({ lines: [fixtures.orderLine({ sku: item.sku })] });
    expect(await applyOrder(open.pool, fixtures.source(connection), order)).toMatchObject({
      alertChanged: true,
    });
    expect(problems(await create([[item, 1]]))).toEqual([['INSUFFICIENT_STOCK', 'lines.0.quantity', -1]]);
  });
});

const plans = fc.record({
  shelf: fc.tuple(fc.nat({ max: 6 }), fc.nat({ max: 6 }), fc.nat({ max: 6 })),
  wishes: fc.array(
    fc.record({
      lines: fc.uniqueArray(
        fc.record({ offer: fc.nat({ max: 4 }), quantity: fc.integer({ min: 1, max: 4 }) }),
        {
          minLength: 1,
          maxLength: 3,
          selector: ({ offer }) => offer,
        },
      ),
      end: fc.constantFrom('commit', 'release', 'expire', 'keep'),
    }),
    { minLength: 4, maxLength: 24 },
  ),
});

/** Items that promise more than there is. */
async function overcommitted(): Promise<readonly unknown[]> {
  const { rows } = await open.pool.query(
    'SELECT id, quantity, reserved FROM inventory_items WHERE available < 0 AND account_id = $1',
    [connection.accountId],
  );
  return rows;
}

test('I4: a reservation is granted whole or not at all, never beyond what is available, and gives back exactly what it held, once, however many are made and ended at once', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async ({ shelf, wishes }) => {
      connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
      caller = callerOf(connection.accountId);
      const items: fixtures.TestItem[] = [];
      for (const onHand of shelf) items.push(await newItem(onHand));
      const [a, b, c] = items;
      if (!a || !b || !c) throw new Error('the shelf is empty');
      const offers = [
        a,
        b,
        c,
        await insertBundle(open.pool, connection.accountId, [
          [a, 1],
          [b, 2],
        ]),
        await insertBundle(open.pool, connection.accountId, [
          [c, 1],
          [b, 1],
        ]),
      ];
      const ends: Record<string, (id: string) => Promise<unknown>> = {
        commit,
        release,
        keep: async () => undefined,
        expire: async (id) => {
          await runOut([id]);
          await Promise.all([expire(), expire()]);
        },
      };
      const granted: { id: string; end: string }[] = [];
      const work = Promise.all(
        wishes.map(async ({ lines, end }) => {
          const outcome = await create(
            lines.flatMap(({ offer, quantity }) => {
              const item = offers[offer];
              return item === undefined ? [] : [[item, quantity] as const];
            }),
          );
          if (!outcome.ok) return;
          granted.push({ id: outcome.value.reservationId, end });
          await Promise.all([ends[end]?.(outcome.value.reservationId), expire()]);
        }),
      );
      await repeatUntil(work, async () => expect(await overcommitted()).toEqual([]));
      expect(await ledgerBreaches(open.pool)).toEqual([]);
      for (const { id, end } of granted) if (end === 'keep') await release(id);
      const { rows } = await open.pool.query<{ left: number }>(
        `SELECT coalesce(sum(held.quantity), 0)::int AS left FROM reservation_holdings held
           JOIN reservations ON reservations.id = held.reservation_id WHERE held.account_id = $1 AND status = 'committed'`,
        [connection.accountId],
      );
      const stocks = await Promise.all(items.map(levels));
      expect(stocks.every(([, reserved]) => reserved === 0)).toBe(true);
      expect(stocks.reduce((sum, [quantity = 0]) => sum + quantity, 0)).toBe(
        shelf.reduce((sum, units) => sum + units, 0) - (rows[0]?.left ?? 0),
      );
      // What is there can be had to the last unit, and not one more.
      for (const [index, item] of items.entries()) {
        const [quantity = 0] = stocks[index] ?? [];
        expect(problems(await create([[item, quantity + 1]]))).toHaveLength(1);
        if (quantity > 0) await created([[item, quantity]]);
      }
    }),
    { numRuns: 20, endOnFailure: true },
  );
});

test('expired reservations are given back once by any number of sweeping workers, also when some are killed', async () => {
  const [a, b] = [await newItem(400), await newItem(400)];
  const ids: string[] = [];
  for (let index = 0; index < 150; index += 1)
    ids.push(
      await created(
        index % 2 === 0
          ? [[a, 1]]
          : [
              [b, 2],
              [a, 1],
            ],
      ),
    );
  await runOut(ids);
  const breakable = fixtures.openPool(`${open.url}?application_name=breakable`, 4);
  const sweeper = () => expireReservations({ pool: breakable, onMoved: () => undefined }).catch(() => 0);
  const blocker = await open.pool.connect();
  await blocker.query('BEGIN');
  await blocker.query('SELECT FROM inventory_items WHERE id = $1 FOR UPDATE', [b.id]);
  const dying = Promise.all([sweeper(), sweeper()]);
  await fixtures.waitForBlocked(open.pool, 1);
  await open.pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'breakable' AND cardinality(pg_blocking_pids(pid)) > 0`,
  );
  await blocker.query('ROLLBACK');
  blocker.release();
  await dying;
  await Promise.all([sweeper(), sweeper(), sweeper()]);
  await breakable.end();
  await expire();
  expect([await levels(a), await levels(b)]).toEqual([
    [400, 0],
    [400, 0],
  ]);
  expect(
    (await readMovements(open.pool, a.id)).filter(({ reservedDelta }) => reservedDelta < 0),
  ).toHaveLength(150);
  expect(await ledgerBreaches(open.pool)).toEqual([]);
});
