/** Proves that a decision is made of what was looked at: versions, all conflicts of the item, one account, one key, one winner. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StockEffect } from '../../src/sync/ledger.ts';
import { settleOperations } from '../../src/sync/operations.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import {
  asSeen,
  type Decide,
  decider,
  type EditedItem,
  everything,
  newEditedItem,
} from '../support/editedItem.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { setPolicy, statusOf } from '../support/provenEdits.ts';

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

describe('what was looked at', () => {
  test('of two who decide at once one wins, and the other is told that the conflict has changed', async () => {
    const seen = asSeen(await place.edit([5]));
    const outcomes = await Promise.all([decide(seen, 'use_highest'), decide(seen, 'use_highest')]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(outcomes.find(({ ok }) => !ok)).toMatchObject({
      problems: [
        { code: 'VERSION_CONFLICT', current: 2, field: ['input', 'conflicts', '0', 'expectedVersion'] },
      ],
    });
    expect(await place.stock()).toMatchObject({ quantity: 25, seq: 2 });
    expect(moves).toHaveLength(1);
  });

  test('a conflict that was decided before says how', async () => {
    const [seen] = await place.edit([5]);
    await decide(asSeen(await place.open()), 'keep_ours');
    expect(await decide([{ conflictId: seen?.id ?? '', expectedVersion: 2 }], 'use_highest')).toMatchObject({
      problems: [{ code: 'ALREADY_RESOLVED', current: 'keep_ours' }],
    });
  });

  test('must be every open conflict of the item: one that came in between is named', async () => {
    const seen = await place.edit([5]);
    await place.edit([0, -3]);
    const [, other] = await place.open();
    expect(await decide(asSeen(seen), 'use_highest')).toMatchObject({
      problems: [{ code: 'OTHER_CONFLICTS_OPEN', related: [other?.id] }],
    });
    expect(await place.stock()).toMatchObject({ quantity: 20 });
    expect(await decide(asSeen(await place.open()), 'use_highest')).toMatchObject({ ok: true });
  });

  test('is of one item', async () => {
    const other = await newEditedItem(open.pool, caller.accountId);
    const seen = [...(await place.edit([5])), ...(await other.edit([5]))];
    expect(await decide(asSeen(seen), 'use_highest')).toMatchObject({
      problems: [{ code: 'INVALID_INPUT' }],
    });
  });

  test.each([0, 2, 51])('is one conflict at least, each once: %i of the same are refused', async (count) => {
    const [seen] = asSeen(await place.edit([5]));
    if (seen === undefined) throw new Error('nothing is open');
    expect(
      await decide(
        Array.from({ length: count }, () => seen),
        'use_highest',
      ),
    ).toMatchObject({
      problems: [{ code: 'INVALID_INPUT', field: ['input', 'conflicts'] }],
    });
  });

  test('of another account is not found, and nothing there changes', async () => {
    const foreign = await newEditedItem(open.pool, await fixtures.insertAccount(open.pool));
    await setPolicy(open.pool, foreign.item.accountId, 'manual_review');
    const theirs = await foreign.edit([5]);
    const mine = await place.edit([5]);
    const before = await everything(open.pool);
    expect(await decide(asSeen([...mine, ...theirs]), 'use_highest')).toMatchObject({
      problems: [{ code: 'NOT_FOUND', field: ['input', 'conflicts', '1', 'id'] }],
    });
    expect(await everything(open.pool)).toEqual(before);
  });
});

test('the same key decides once and is answered alike', async () => {
  const seen = asSeen(await place.edit([5]));
  const outcomes = await Promise.all([decide(seen, 'use_highest', 'k'), decide(seen, 'use_highest', 'k')]);
  expect(outcomes[0]).toMatchObject({ ok: true });
  expect(outcomes[1]).toEqual(outcomes[0]);
  expect(await decide(seen, 'use_lowest', 'k')).toMatchObject({
    problems: [{ code: 'IDEMPOTENCY_KEY_REUSED' }],
  });
  expect(await place.stock()).toMatchObject({ quantity: 25 });
});

test('a decision and new evidence at the same moment end in one of two orders, and never in both', async () => {
  for (let round = 0; round < 6; round += 1) {
    const where = await newEditedItem(open.pool, caller.accountId);
    const seen = asSeen(await where.edit([5]));
    const [outcome] = await Promise.all([decide(seen, 'use_highest'), where.edit([-2])]);
    const left = await where.open();
    expect([outcome.ok, (await where.stock()).quantity, left.map(({ delta }) => delta)]).toEqual(
      outcome.ok ? [true, 25, [-2]] : [false, 20, [3]],
    );
  }
  expect(await ledgerBreaches(open.pool)).toEqual([]);
});

test('an item in conflict stays so when its channels are in step, until somebody has decided', async () => {
  const seen = await place.edit([-3]);
  await open.pool.query('DELETE FROM dirty_listings');
  const wakeUps = { push: () => undefined, job: () => undefined } as never;
  const operations = { pool: open.pool, wakeUps, onEvents: () => undefined, jobBatch: 1, jobOpenMax: 1 };
  await settleOperations(operations, [place.item.id]);
  expect(await statusOf(open.pool, place.item.id)).toBe('conflict');
  await decide(asSeen(seen), 'keep_ours');
  expect(await statusOf(open.pool, place.item.id)).toBe('synced');
});
