/** Proves that acknowledging an alert says who saw it, tells subscribers once and never brings a resolved one back. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { acknowledgeAlert } from '../../src/sync/alerts.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import { type Caller, systemActor } from '../../src/sync/outcome.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;
let caller: Caller;
let item: fixtures.TestItem;
let connection: fixtures.TestConnection;
let alertId: string;
let orderId: string | null;

beforeAll(async () => {
  open = await fixtures.openTestPool(4);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  caller = {
    accountId: connection.accountId,
    actor: { kind: 'api_key', id: 'key-1' },
    correlationId: 'test',
  };
  item = await fixtures.insertItem(open.pool, connection.accountId, { onHand: 1 });
  const order = fixtures.order({ lines: [fixtures.orderLine({ sku: item.sku, reserved: 3 })] });
  ({ orderId } = await applyOrder(open.pool, fixtures.source(connection), order));
  const { rows } = await open.pool.query<{ id: string }>('SELECT id FROM alerts WHERE item_id = $1', [
    item.id,
  ]);
  alertId = rows[0]?.id ?? '';
});

async function read(): Promise<{ alert: Record<string, unknown>; events: Record<string, unknown>[] }> {
  const alert = await open.pool.query(
    'SELECT status::text, acknowledged_by, acknowledged_at IS NOT NULL AS dated, units FROM alerts WHERE id = $1',
    [alertId],
  );
  const events = await open.pool.query<{ payload: Record<string, unknown> }>(
    `SELECT payload FROM events WHERE subject_id = $1 AND topic = 'alert' ORDER BY id`,
    [alertId],
  );
  return {
    alert: alert.rows[0] as Record<string, unknown>,
    events: events.rows.map(({ payload }) => payload),
  };
}

test('acknowledging records who it was and tells subscribers which orders it is about', async () => {
  expect(await acknowledgeAlert(open.pool, caller, alertId)).toEqual({ ok: true, value: { alertId } });
  const { alert, events } = await read();
  expect(alert).toEqual({ status: 'acknowledged', acknowledged_by: 'api_key:key-1', dated: true, units: 2 });
  expect(events.at(-1)).toEqual({
    alertId,
    kind: 'oversell',
    status: 'acknowledged',
    itemId: item.id,
    connectionId: null,
    message: null,
    units: 2,
    orderIds: [orderId],
  });
});

test('acknowledging again changes nothing and tells nobody', async () => {
  await acknowledgeAlert(open.pool, caller, alertId);
  const before = await read();
  const other: Caller = { ...caller, actor: systemActor };
  expect(await acknowledgeAlert(open.pool, other, alertId)).toEqual({ ok: true, value: { alertId } });
  expect(await read()).toEqual(before);
});

test('many people at once are recorded as one', async () => {
  const { events: before } = await read();
  await Promise.all(Array.from({ length: 4 }, async () => acknowledgeAlert(open.pool, caller, alertId)));
  expect((await read()).events).toHaveLength(before.length + 1);
});

test('a resolved alert stays resolved', async () => {
  await support.moveStock(open.pool, item, 5);
  expect(await acknowledgeAlert(open.pool, caller, alertId)).toEqual({ ok: true, value: { alertId } });
  expect((await read()).alert).toMatchObject({ status: 'resolved', acknowledged_by: null });
});

test('an acknowledged alert opens again when the oversell grows', async () => {
  await acknowledgeAlert(open.pool, caller, alertId);
  await support.moveStock(open.pool, item, -1);
  expect((await read()).alert).toMatchObject({ status: 'open', units: 3 });
});

test('the alert of another account is not found', async () => {
  const foreign = { ...caller, accountId: await fixtures.insertAccount(open.pool) };
  expect(await acknowledgeAlert(open.pool, foreign, alertId)).toMatchObject({
    ok: false,
    problems: [{ code: 'NOT_FOUND', field: ['input', 'alertId'] }],
  });
  expect((await read()).alert).toMatchObject({ status: 'open' });
});
