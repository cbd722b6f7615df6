/** Proves the two stock verbs: a delta adds up, a set compares first, and neither can leave the range of its column. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StockEffect } from '../../src/sync/ledger.ts';
import type { Caller, Outcome } from '../../src/sync/outcome.ts';
import { adjustStock, setStock } from '../../src/sync/stock.ts';
import type { StockAdjustInput, StockChange, StockSetInput } from '../../src/sync/sync.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readMovements, readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let caller: Caller;
let item: fixtures.TestItem;
let moves: StockEffect[];

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  moves = [];
  const accountId = await fixtures.insertAccount(open.pool);
  caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  item = await fixtures.insertItem(open.pool, accountId, { onHand: 10 });
});

const options = () => ({ pool: open.pool, onMoved: (effect: StockEffect) => void moves.push(effect) });

const adjust = (delta: number, more: Partial<StockAdjustInput> = {}): Promise<Outcome<StockChange>> =>
  adjustStock(options(), caller, {
    itemId: item.id,
    delta,
    reason: 'received',
    reference: null,
    idempotencyKey: fixtures.unique('key'),
    ...more,
  });

const set = (
  quantity: number,
  changeFrom: number | null,
  more: Partial<StockSetInput> = {},
): Promise<Outcome<StockChange>> =>
  setStock(options(), caller, {
    itemId: item.id,
    quantity,
    changeFrom,
    reason: 'correction',
    reference: null,
    idempotencyKey: fixtures.unique('key'),
    ...more,
  });

const quantity = async (): Promise<number> => (await readStock(open.pool, item.id)).quantity;
const limit = 1_000_000_000;

describe('adjusting', () => {
  test('adds the delta and records reason, reference and who it was', async () => {
    const outcome = await adjust(5, { reference: 'delivery note 7' });
    const { rows } = await open.pool.query(
      'SELECT id, on_hand_delta, kind::text, reason::text, reference, actor_kind::text, actor_id FROM stock_movements WHERE item_id = $1 AND seq = 2',
      [item.id],
    );
    expect(outcome).toEqual({ ok: true, value: { itemId: item.id, movementId: rows[0]?.['id'] } });
    expect(rows).toMatchObject([
      {
        on_hand_delta: 5,
        kind: 'adjustment',
        reason: 'received',
        reference: 'delivery note 7',
        actor_kind: 'user',
        actor_id: 'ada',
      },
    ]);
    expect(moves).toMatchObject([{ movementIds: [rows[0]?.['id']] }]);
  });

  test('adds up under contention', async () => {
    await Promise.all(Array.from({ length: 20 }, async (_, index) => adjust(index % 2 === 0 ? 3 : -1)));
    expect(await quantity()).toBe(30);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('may go below zero: what was lost is a fact', async () => {
    expect(await adjust(-25, { reason: 'lost' })).toMatchObject({ ok: true });
    expect(await quantity()).toBe(-15);
  });

  test('twice with one key moves once and tells the world once', async () => {
    const outcomes = await Promise.all([
      adjust(5, { idempotencyKey: 'k' }),
      adjust(5, { idempotencyKey: 'k' }),
    ]);
    expect(outcomes[0]).toEqual(outcomes[1]);
    expect(await adjust(5, { idempotencyKey: 'k' })).toEqual(outcomes[0]);
    expect(await quantity()).toBe(15);
    expect(moves).toHaveLength(1);
  });

  test.each([0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, limit + 1, -limit - 1])(
    'by %d is refused',
    async (delta) => {
      expect(await adjust(delta)).toMatchObject({
        ok: false,
        problems: [{ code: 'INVALID_INPUT', field: ['input', 'delta'] }],
      });
      expect(await readMovements(open.pool, item.id)).toHaveLength(1);
    },
  );

  test('past the range of a quantity is refused, up to it is not', async () => {
    expect(await adjust(limit)).toMatchObject({ ok: false, problems: [{ code: 'INVALID_INPUT' }] });
    expect(await adjust(limit - 10)).toMatchObject({ ok: true });
    expect(await adjust(1)).toMatchObject({ ok: false, problems: [{ code: 'INVALID_INPUT' }] });
    expect(await quantity()).toBe(limit);
  });
});

describe('setting', () => {
  test('moves by the difference, as a count', async () => {
    expect(await set(4, 10)).toMatchObject({ ok: true });
    expect((await readMovements(open.pool, item.id)).at(-1)).toMatchObject({
      onHandDelta: -6,
      onHandAfter: 4,
      kind: 'count',
    });
  });

  test('is refused with the current number when somebody was faster', async () => {
    await adjust(-1);
    expect(await set(4, 10)).toMatchObject({
      ok: false,
      problems: [{ code: 'STOCK_CHANGED', current: 9, field: ['input', 'changeFrom'] }],
    });
    expect(await quantity()).toBe(9);
  });

  test('lets exactly one of many win that saw the same number', async () => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, async (_, index) => set(20 + index, 10)));
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(
      outcomes.filter((outcome) => !outcome.ok && outcome.problems[0]?.code === 'STOCK_CHANGED'),
    ).toHaveLength(7);
  });

  test('without a compare is done and says so in the history', async () => {
    await adjust(-1);
    await set(4, null, { reference: 'shelf 3' });
    const { rows } = await open.pool.query(
      'SELECT reference FROM stock_movements WHERE item_id = $1 ORDER BY seq DESC LIMIT 1',
      [item.id],
    );
    expect(rows).toEqual([{ reference: 'shelf 3 · set without compare' }]);
  });

  test('to the number that is there moves nothing', async () => {
    expect(await set(10, 10)).toEqual({ ok: true, value: { itemId: item.id, movementId: null } });
    expect(await readMovements(open.pool, item.id)).toHaveLength(1);
  });

  test.each([-1, 0.5, limit + 1, Number.NaN])('to %d is refused', async (wanted) => {
    expect(await set(wanted, 10)).toMatchObject({
      ok: false,
      problems: [{ code: 'INVALID_INPUT', field: ['input', 'quantity'] }],
    });
  });

  test('compares what is on hand, whatever is reserved', async () => {
    await open.pool.query('UPDATE inventory_items SET reserved = 3 WHERE id = $1', [item.id]);
    expect(await set(5, 10)).toMatchObject({ ok: true });
    await open.pool.query('UPDATE inventory_items SET reserved = 0 WHERE id = $1', [item.id]);
  });
});

test('an item of another account is not found by either verb', async () => {
  const foreign = await fixtures.insertItem(open.pool, await fixtures.insertAccount(open.pool), {
    onHand: 3,
  });
  const notFound = { ok: false, problems: [{ code: 'NOT_FOUND', field: ['input', 'itemId'] }] };
  expect(await adjust(1, { itemId: foreign.id })).toMatchObject(notFound);
  expect(await set(1, 3, { itemId: foreign.id })).toMatchObject(notFound);
  expect(await readStock(open.pool, foreign.id)).toMatchObject({ quantity: 3, seq: 1 });
});

test('a refused change may be corrected under the same key', async () => {
  expect(await set(4, 99, { idempotencyKey: 'k' })).toMatchObject({ ok: false });
  expect(await set(4, 10, { idempotencyKey: 'k' })).toMatchObject({ ok: true });
});

test('a key whose first result is no longer kept still cannot move stock twice, and the caller is told why', async () => {
  await adjust(5, { idempotencyKey: 'k' });
  await open.pool.query('DELETE FROM idempotency_keys WHERE account_id = $1', [caller.accountId]);
  expect(await adjust(5, { idempotencyKey: 'k' })).toMatchObject({
    ok: false,
    problems: [{ code: 'IDEMPOTENCY_KEY_REUSED' }],
  });
  expect(await quantity()).toBe(15);
});
