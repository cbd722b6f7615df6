/** Proves that the stock record is exactly the sum of its movements at every commit, and that only a cause can move it. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sqlState } from '../../src/dbErrors.ts';
import { type Adjustment, adjust } from '../../src/sync/ledger.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readMovements, readStock } from '../support/ledgerState.ts';
import { repeatUntil } from '../support/repetition.ts';

let open: fixtures.TestPool;
let accountId: string;
let connection: fixtures.TestConnection;

beforeAll(async () => {
  open = await fixtures.openTestPool(16);
  accountId = await fixtures.insertAccount(open.pool);
  connection = await fixtures.insertConnection(open.pool, accountId);
});
afterAll(() => open[Symbol.asyncDispose]());

function adjustment(
  item: fixtures.TestItem,
  onHandDelta: number,
  fields: Partial<Adjustment> = {},
): Adjustment {
  return {
    accountId: item.accountId,
    itemId: item.id,
    onHandDelta,
    idempotencyKey: fixtures.unique('adjustment'),
    kind: 'adjustment',
    reason: 'correction',
    reference: null,
    actor: systemActor,
    ...fields,
  };
}

type Change = { readonly item: number; readonly units: number; readonly byOrder: boolean };

const changes = fc.array(
  fc.record({ item: fc.nat({ max: 2 }), units: fc.integer({ min: -9, max: 9 }), byOrder: fc.boolean() }),
  { minLength: 1, maxLength: 40 },
);

async function carryOut(item: fixtures.TestItem, change: Change): Promise<void> {
  if (!change.byOrder) {
    await adjust(open.pool, adjustment(item, change.units));
    return;
  }
  const lines = [
    fixtures.orderLine({
      sku: item.sku,
      reserved: Math.abs(change.units),
      shipped: change.units > 0 ? 1 : 0,
    }),
  ];
  await applyOrder(open.pool, fixtures.source(connection), fixtures.order({ lines }));
}

describe('the projection', () => {
  test('quantity and reserved equal the sums of the movements at every commit, as any concurrent reader sees them', async () => {
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const items = await Promise.all(
          [1, 2, 3].map(() => fixtures.insertItem(open.pool, accountId, { onHand: 3 })),
        );
        const work = Promise.all(
          list.flatMap((change) => {
            const item = items[change.item];
            return item === undefined ? [] : [carryOut(item, change)];
          }),
        );
        await repeatUntil(work, async () => expect(await ledgerBreaches(open.pool)).toEqual([]));
        for (const [index, item] of items.entries()) {
          const mine = list.filter((change) => change.item === index);
          const adjusted = mine.filter(({ byOrder }) => !byOrder).reduce((sum, { units }) => sum + units, 0);
          const orders = mine.filter(({ byOrder }) => byOrder);
          expect(await readStock(open.pool, item.id)).toMatchObject({
            quantity: 3 + adjusted - orders.filter(({ units }) => units > 0).length,
            reserved: orders.reduce((sum, { units }) => sum + Math.abs(units), 0),
          });
        }
      }),
      { numRuns: 12 },
    );
  });

  test('a hundred adjustments of one item at the same moment all count, with gapless numbers', async () => {
    const item = await fixtures.insertItem(open.pool, accountId);
    await Promise.all(
      Array.from({ length: 100 }, (_, index) => adjust(open.pool, adjustment(item, index - 49))),
    );
    const movements = await readMovements(open.pool, item.id);
    // One of the hundred is zero and moves nothing.
    expect(movements.map(({ seq }) => seq)).toEqual(Array.from({ length: 99 }, (_, index) => index + 1));
    expect(await readStock(open.pool, item.id)).toEqual({
      quantity: 50,
      reserved: 0,
      available: 50,
      seq: 99,
    });
  });

  test('available goes below zero and is never clamped', async () => {
    const item = await fixtures.insertItem(open.pool, accountId, { onHand: 2 });
    await adjust(open.pool, adjustment(item, -5, { reason: 'lost' }));
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: -3, reserved: 0, available: -3 });
    await adjust(open.pool, adjustment(item, 1, { reason: 'received' }));
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: -2, available: -2 });
  });

  test('available cannot be written, it follows', async () => {
    const item = await fixtures.insertItem(open.pool, accountId);
    const write = open.pool.query('UPDATE inventory_items SET available = 7 WHERE id = $1', [item.id]);
    await expect(write.catch(sqlState)).resolves.toBe('428C9');
  });

  test('a change beyond the range of numbers is refused whole', async () => {
    const item = await fixtures.insertItem(open.pool, accountId, { onHand: 2_000_000_000 });
    await expect(adjust(open.pool, adjustment(item, 2_000_000_000)).catch(sqlState)).resolves.toBe('22003');
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 2_000_000_000, seq: 1 });
  });
});

describe('an adjustment', () => {
  test('tells subscribers the numbers after it, in the same commit', async () => {
    const item = await fixtures.insertItem(open.pool, accountId, { onHand: 5 });
    const effect = await adjust(open.pool, adjustment(item, -2, { reason: 'damaged' }));
    expect(effect.movementIds).toHaveLength(1);
    const { rows } = await open.pool.query(
      `SELECT event.item_seq, event.payload FROM events event JOIN stock_movements movement ON movement.xmin = event.xmin
        WHERE movement.id = $1 AND event.topic = 'stock'`,
      [effect.movementIds[0]],
    );
    expect(rows).toEqual([
      {
        item_seq: '2',
        payload: {
          itemId: item.id,
          sku: item.sku,
          quantity: 3,
          reserved: 0,
          available: 3,
          onHandDelta: -2,
          reservedDelta: 0,
          seq: 2,
          kind: 'adjustment',
          orderId: null,
          reason: 'damaged',
        },
      },
    ]);
  });

  test('of nothing moves nothing and tells nobody', async () => {
    const item = await fixtures.insertItem(open.pool, accountId, { onHand: 5 });
    const before = await eventCount();
    const effect = await adjust(open.pool, adjustment(item, 0));
    expect(effect).toEqual({ movementIds: [], itemIds: [], connectionIds: [], alertChanged: false });
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 5, seq: 1 });
    expect(await eventCount()).toBe(before);
  });

  test('with a key used before changes nothing at all, however many try at once', async () => {
    const item = await fixtures.insertItem(open.pool, accountId);
    const same = adjustment(item, 4);
    const results = await Promise.all(
      Array.from({ length: 12 }, () => adjust(open.pool, same).then(() => 'moved', sqlState)),
    );
    expect(results.filter((result) => result === 'moved')).toHaveLength(1);
    expect(results.filter((result) => result === '23505')).toHaveLength(11);
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 4, seq: 1 });
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('of another account’s item moves nothing, and keys of two accounts do not meet', async () => {
    const stranger = await fixtures.insertAccount(open.pool, 'Stranger');
    const [mine, theirs] = await Promise.all([
      fixtures.insertItem(open.pool, accountId, { sku: 'same-sku' }),
      fixtures.insertItem(open.pool, stranger, { sku: 'same-sku' }),
    ]);
    const effect = await adjust(
      open.pool,
      adjustment(mine, 5, { accountId: stranger, idempotencyKey: 'the-key' }),
    );
    expect(effect.movementIds).toEqual([]);
    await adjust(open.pool, adjustment(mine, 1, { idempotencyKey: 'the-key' }));
    await adjust(open.pool, adjustment(theirs, 2, { idempotencyKey: 'the-key' }));
    expect(await readStock(open.pool, mine.id)).toMatchObject({ quantity: 1 });
    expect(await readStock(open.pool, theirs.id)).toMatchObject({ quantity: 2 });
  });
});

async function eventCount(): Promise<number> {
  const { rows } = await open.pool.query<{ count: number }>('SELECT count(*)::int FROM events');
  return rows[0]?.count ?? -1;
}

describe('a reading never moves stock: no movement has one as its cause', () => {
  type Row = { kind: string; reason: string | null; line: boolean; onHand: number; seq: number };
  const valid: Row = { kind: 'adjustment', reason: 'correction', line: false, onHand: 1, seq: 1 };

  async function insertMovement(row: Row): Promise<string | null> {
    const item = await fixtures.insertItem(open.pool, accountId);
    const client = await open.pool.connect();
    try {
      // Taken back in any case: written past the projection it would rightly be found as a breach.
      await client.query('BEGIN');
      await client.query(
        `INSERT INTO stock_movements (account_id, item_id, seq, on_hand_delta, reserved_delta, on_hand_after, reserved_after, kind, reason,
                                      order_line_id, idempotency_key, actor_kind)
         VALUES ($1, $2, $3, $4, 0, $4, 0, $5, $6, CASE WHEN $7 THEN gen_random_uuid() END, $8, 'system')`,
        [accountId, item.id, row.seq, row.onHand, row.kind, row.reason, row.line, fixtures.unique('key')],
      );
      return null;
    } catch (error) {
      return sqlState(error);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  }

  test('the database takes a movement with a reason from a person, and one with a line from an order', async () => {
    expect(await insertMovement(valid)).toBeNull();
    expect(await insertMovement({ ...valid, kind: 'order', reason: null, line: true })).toBeNull();
  });

  test.each<{ name: string; row: Row; state: string }>([
    { name: 'the kind reading', row: { ...valid, kind: 'reading' }, state: '22P02' },
    { name: 'the kind sync', row: { ...valid, kind: 'sync' }, state: '22P02' },
    { name: 'an order without a line', row: { ...valid, kind: 'order', reason: null }, state: '23514' },
    { name: 'an order with a reason', row: { ...valid, kind: 'order', line: true }, state: '23514' },
    { name: 'an adjustment without a reason', row: { ...valid, reason: null }, state: '23514' },
    { name: 'a count without a reason', row: { ...valid, kind: 'count', reason: null }, state: '23514' },
    { name: 'an opening with an order line', row: { ...valid, kind: 'opening', line: true }, state: '23514' },
    { name: 'the reason reading', row: { ...valid, reason: 'reading' }, state: '22P02' },
    { name: 'a movement of nothing', row: { ...valid, onHand: 0 }, state: '23514' },
    { name: 'the number zero', row: { ...valid, seq: 0 }, state: '23514' },
  ])('the database refuses $name', async ({ row, state }) => {
    expect(await insertMovement(row)).toBe(state);
  });
});
