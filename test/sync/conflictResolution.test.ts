/** Proves that a decision is a movement on the present, made once, of what was looked at: T9, C1 and C2 on a real database. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Resolution, resolve } from '../../src/sync/core/conflicts.ts';
import type { StockEffect } from '../../src/sync/ledger.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import { loadTargets, targetFor } from '../../src/sync/targets.ts';
import {
  asSeen,
  type Decide,
  decider,
  type EditedItem,
  everything,
  newEditedItem,
} from '../support/editedItem.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readMovements } from '../support/ledgerState.ts';
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
let place: EditedItem;
let decide: Decide;
let moves: StockEffect[];

beforeAll(async () => {
  open = await fixtures.openTestPool(12);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  moves = [];
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  decide = decider(open.pool, caller, (effect) => void moves.push(effect));
  await setPolicy(open.pool, accountId, 'manual_review');
  place = await newEditedItem(open.pool, accountId);
});

test('T9 Conflict resolved late: outside +5 proven on Shopify, three sales, use_highest: movement +5 on the present', async () => {
  const seen = await place.edit([5]);
  for (let sale = 0; sale < 3; sale += 1) await place.sell(1);
  expect(await place.stock()).toMatchObject({ quantity: 20, reserved: 3, available: 17 });
  expect(await decide(asSeen(seen), 'use_highest')).toMatchObject({ ok: true });
  expect((await readMovements(open.pool, place.item.id)).at(-1)).toMatchObject({
    kind: 'resolution',
    onHandDelta: 5,
    onHandAfter: 25,
    reservedAfter: 3,
  });
  expect(await place.stock()).toMatchObject({ quantity: 25, reserved: 3, available: 22 });
});

const resolution = fc.constantFrom<Resolution>('use_lowest', 'use_highest', 'keep_ours', 'manual_review');
const proven = fc
  .array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 3 })
  .filter((deltas) => deltas.some(Boolean));

test('C1: deciding a conflict late moves the proven difference, whatever was sold since, and whichever of them commits first', async () => {
  await fc.assert(
    fc.asyncProperty(
      proven,
      resolution,
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 5 }),
      fc.nat({ max: 5 }),
      async (deltas, chosen, sales, turn) => {
        const where = await newEditedItem(open.pool, caller.accountId);
        const seen = await where.edit(deltas);
        const expected = resolve(
          seen.map((conflict) => ({ conflict: conflict as never, expectedVersion: conflict.version })),
          chosen,
        );
        const work = sales.map((units) => () => where.sell(units));
        work.splice(turn, 0, async () => {
          expect(await decide(asSeen(seen), chosen)).toMatchObject({ ok: true });
        });
        await Promise.all(work.map((one) => one()));
        const sold = sales.reduce((sum, units) => sum + units, 0);
        const moved = expected.kind === 'resolved' ? expected.movement : Number.NaN;
        expect(await where.stock()).toMatchObject({
          quantity: 20 + moved,
          reserved: sold,
          available: 20 + moved - sold,
        });
      },
    ),
    { numRuns: 15 },
  );
  expect(await ledgerBreaches(open.pool)).toEqual([]);
}, 60_000);

test('C2: what newer evidence has overtaken cannot be decided: nothing changes, whatever is chosen and whatever version is named', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(-9, -4, 3, 8),
      fc.constantFrom(-5, 4, 2, 6),
      resolution,
      fc.nat({ max: 3 }),
      async (first, second, chosen, version) => {
        const where = await newEditedItem(open.pool, caller.accountId);
        const [overtaken] = await where.edit([first]);
        await where.edit([second]);
        const before = await everything(open.pool);
        const outcome = await decide([{ conflictId: overtaken?.id ?? '', expectedVersion: version }], chosen);
        const [newer] = await where.open();
        expect(outcome).toMatchObject({
          ok: false,
          problems: [{ code: 'SUPERSEDED', related: newer ? [newer.id] : [] }],
        });
        expect(await everything(open.pool)).toEqual(before);
      },
    ),
    { numRuns: 15 },
  );
  expect(moves).toEqual([]);
}, 60_000);

describe('a decision', () => {
  test.each([
    ['use_lowest', [-2, -3, 5], 17],
    ['use_lowest', [5, 5, 0], 20],
    ['use_highest', [5, 5, 0], 25],
    ['use_highest', [5, 3, -2], 25],
    ['use_highest', [-2, 0, 0], 20],
    ['keep_ours', [-2, 5, 0], 20],
  ] as const)(
    '%s of %j leaves %i: deltas of several channels are never added up',
    async (chosen, deltas, left) => {
      const seen = await place.edit(deltas);
      const outcome = await decide(asSeen(seen), chosen);
      expect(outcome).toMatchObject({
        ok: true,
        value: { itemId: place.item.id, conflictIds: seen.map(({ id }) => id) },
      });
      expect(await place.stock()).toMatchObject({ quantity: left });
      expect(await place.open()).toEqual([]);
      expect(await statusOf(open.pool, place.item.id)).toBe('synced');
    },
  );

  test('is recorded with who made it, on the movement and on every conflict that it closed', async () => {
    const seen = await place.edit([-2, -3]);
    const outcome = await decide(asSeen(seen), 'use_lowest');
    const movementId = outcome.ok ? outcome.value.movementId : null;
    const closed = {
      status: 'resolved',
      version: 2,
      resolution: 'use_lowest',
      resolvedBy: 'user:ada',
      movementId,
    };
    expect(await conflictsOf(open.pool, place.item.id)).toMatchObject([closed, closed]);
    const { rows } = await open.pool.query(
      'SELECT id, kind::text, reason::text, reference, idempotency_key AS key, actor_kind::text AS actor, actor_id FROM stock_movements WHERE item_id = $1 AND seq = 2',
      [place.item.id],
    );
    const cause = seen[1]?.id;
    expect(rows).toEqual([
      {
        id: movementId,
        kind: 'resolution',
        reason: 'correction',
        reference: cause,
        key: `resolution:${cause}:1`,
        actor: 'user',
        actor_id: 'ada',
      },
    ]);
    expect((await conflictEventsOf(open.pool, place.item.id)).slice(2)).toMatchObject([
      { conflictId: seen[0]?.id, status: 'resolved', version: 2, resolution: 'use_lowest' },
      { conflictId: cause, status: 'resolved' },
    ]);
  });

  test('has every channel read and brought in step again, also when it moves nothing', async () => {
    const seen = await place.edit([5]);
    await open.pool.query('DELETE FROM dirty_listings');
    await decide(asSeen(seen), 'use_lowest');
    const { rows } = await open.pool.query('SELECT reread, guarded FROM dirty_listings');
    expect(rows).toEqual(Array.from({ length: 3 }, () => ({ reread: true, guarded: true })));
    expect(moves).toMatchObject([{ movementIds: [], alertChanged: false }]);
    expect(moves[0]?.connectionIds).toHaveLength(3);
  });

  test('manual_review leaves it open at the lower number, and can still be followed by another', async () => {
    const seen = await place.edit([5, -3]);
    expect(await decide(asSeen(seen), 'manual_review')).toMatchObject({
      ok: true,
      value: { movementId: null },
    });
    expect(await place.open()).toMatchObject([{ awaitsReview: true, version: 1 }, { awaitsReview: true }]);
    const targets = await loadTargets(open.pool, place.listings, 999);
    expect([...targets.values()].map((target) => targetFor(target).target)).toEqual([17, 17, 17]);
    const events = (await conflictEventsOf(open.pool, place.item.id)).length;
    await decide(asSeen(seen), 'manual_review');
    expect(await conflictEventsOf(open.pool, place.item.id)).toHaveLength(events);
    expect(await decide(asSeen(seen), 'use_highest')).toMatchObject({ ok: true });
    expect(await place.stock()).toMatchObject({ quantity: 25 });
  });

  test('that would leave the range of a quantity is refused', async () => {
    const seen = await place.edit([5]);
    await open.pool.query('UPDATE sync_conflicts SET delta = 1000000000 WHERE item_id = $1', [place.item.id]);
    expect(await decide(asSeen(seen), 'use_highest')).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_INPUT' }],
    });
    expect(await place.open()).toHaveLength(1);
  });
});

describe('edits that are proven and decided one after the other', () => {
  test.each([
    ['use_lowest', [-2, -2, 0], 18],
    ['use_lowest', [-2, -3, -1], 17],
    ['use_highest', [5, 5, 5], 25],
    ['use_highest', [3, 5, -2], 25],
  ] as const)(
    '%s of %j leaves %i, as when they are decided together: they were made before the first decision reached their channels',
    async (chosen, deltas, left) => {
      for (const [index, delta] of deltas.entries())
        await decide(asSeen(await place.edit(deltas.map((_, at) => (at === index ? delta : 0)))), chosen);
      expect(await place.stock()).toMatchObject({ quantity: left });
      expect(await ledgerBreaches(open.pool)).toEqual([]);
    },
  );

  test('count in full when the first decision had reached the channel before, or when they are of one listing', async () => {
    await decide(asSeen(await place.edit([-2])), 'use_lowest');
    await decide(asSeen(await place.edit([-1])), 'use_lowest');
    expect(await place.stock()).toMatchObject({ quantity: 17 });
    const [, listingId = ''] = place.listings;
    const { before, conflict } = provenEdit(listingId, -3, { targetSeq: 3 });
    const edited = { accountId: caller.accountId, itemId: place.item.id, listingId };
    await storeEdit(open.pool, edited, { before, conflict });
    await decide(asSeen(await place.open()), 'use_lowest');
    expect(await place.stock()).toMatchObject({ quantity: 14 });
  });

  test('of a policy too', async () => {
    await setPolicy(open.pool, caller.accountId, 'use_highest');
    await place.edit([5, 5, 5]);
    expect(await place.stock()).toMatchObject({ quantity: 25, seq: 2 });
  });
});
