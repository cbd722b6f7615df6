/** Streams resume where they were left, begin with how things stand where that matters, and end when nobody listens. */
import type { ExecutionResult } from 'graphql';
import { expect, test } from 'vitest';
import type { Results } from '../../src/graphql.ts';
import { withPresent } from '../../src/schema/events.ts';
import { encodeId } from '../../src/schema/globalId.ts';
import type { Envelope, LogEvent } from '../../src/sync/eventStream.ts';
import { openApi } from './apiFixture.ts';
import { stockPayload } from './fakeSync.ts';
import { jobProgress, orderEvents, oversellAlerts, stockEvents } from './operations.ts';
import { insertEverything, insertItem } from './rows.ts';

type Told = Readonly<Record<string, unknown>> & { readonly __typename: string };

/** The next envelope of a stream that must go on. */
async function next(stream: Results): Promise<Told> {
  const { done, value } = await stream.next();
  if (done) throw new Error('the stream has ended');
  return envelopeOf(value);
}

function envelopeOf(result: ExecutionResult): Told {
  const [envelope] = Object.values(result.data ?? {});
  if (!envelope) throw new Error(JSON.stringify(result.errors));
  return envelope as Told;
}

test('a stock event carries the numbers of the event and the item as it is now, in one statement', async () => {
  await using api = await openApi();
  const { item } = await insertEverything(api.database.pool, api.shop, 'a');
  const stream = await api.open(stockEvents, {});
  expect(await next(stream)).toMatchObject({ __typename: 'Heartbeat' });
  api.statements.length = 0;
  api.sync.publish({
    accountId: api.shop.accountId,
    topic: 'stock',
    subjectId: item,
    payload: stockPayload(item, 7),
  });
  expect(await next(stream)).toEqual({
    __typename: 'StockEvent',
    cursor: '1',
    sku: 'SKU-1',
    quantity: 7,
    available: 7,
    kind: 'ADJUSTMENT',
    stockReason: 'RECEIVED',
    item: { title: 'Title of SKU-a', listings: { nodes: [{ platformId: 'unit-a' }] } },
  });
  expect(api.statements).toHaveLength(1);
  await stream.return();
});

test('a stream resumes after its cursor, and the Last-Event-ID of a reconnecting browser goes before the cursor it began with', async () => {
  await using api = await openApi();
  const item = await insertItem(api.database.pool, api.shop, 'a');
  for (const quantity of [1, 2, 3]) {
    api.sync.publish({
      accountId: api.shop.accountId,
      topic: 'stock',
      subjectId: item,
      payload: stockPayload(item, quantity),
    });
  }
  const resumed = await api.open(stockEvents, { after: '1' });
  await next(resumed);
  expect(await next(resumed)).toMatchObject({ quantity: 2, cursor: '2' });
  expect(await next(resumed)).toMatchObject({ quantity: 3, cursor: '3' });
  await resumed.return();

  const reconnected = await api.open(stockEvents, { after: '1' }, { lastEventId: '2' });
  await next(reconnected);
  expect(await next(reconnected)).toMatchObject({ quantity: 3 });
  await reconnected.return();
});

test('stock events can be narrowed to items and SKUs', async () => {
  await using api = await openApi();
  const [one, two] = ['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002'];
  const byItem = await api.open(stockEvents, { where: { itemIds: [encodeId('InventoryItem', two)] } });
  const bySku = await api.open(stockEvents, { where: { skus: ['OTHER'] } });
  for (const stream of [byItem, bySku]) await next(stream);
  const publish = (subjectId: string, sku: string) =>
    api.sync.publish({
      accountId: api.shop.accountId,
      topic: 'stock',
      subjectId,
      payload: { ...stockPayload(subjectId, 1), sku },
    });
  publish(one, 'A');
  publish(two, 'B');
  publish(one, 'OTHER');
  expect(await next(byItem)).toMatchObject({ sku: 'B' });
  expect(await next(bySku)).toMatchObject({ sku: 'OTHER' });
  await Promise.all([byItem.return(), bySku.return()]);
});

test('a cursor that is none of ours ends the stream with INVALID_CURSOR', async () => {
  await using api = await openApi();
  const stream = await api.open(stockEvents, { after: 'nonsense' });
  const { value } = await stream.next();
  expect((value as ExecutionResult).errors?.map((error) => error.extensions['code'])).toEqual([
    'INVALID_CURSOR',
  ]);
  expect((await stream.next()).done).toBe(true);
  expect(api.internalErrors).toEqual([]);
});

test('a consumer that leaves while it waits ends the stream at once', async () => {
  await using api = await openApi();
  const stream = await api.open(stockEvents, {});
  await next(stream);
  const waiting = stream.next();
  await api.sync.opened(1);
  await stream.return();
  expect((await waiting).done).toBe(true);
  await api.sync.opened(0);
  expect(api.sync.openStreams()).toBe(0);
});

test('oversell alerts begin with every alert that is not resolved, so that a sleeping dashboard missed nothing', async () => {
  await using api = await openApi();
  const { alert, order, item } = await insertEverything(api.database.pool, api.shop, 'a');
  const resolved = await insertEverything(api.database.pool, api.shop, 'b');
  await api.database.pool.query(`UPDATE alerts SET status = 'resolved', resolved_at = now() WHERE id = $1`, [
    resolved.alert,
  ]);

  const stream = await api.open(oversellAlerts, { status: ['OPEN'] });
  expect(await next(stream)).toEqual({
    __typename: 'AlertEvent',
    cursor: '0',
    status: 'OPEN',
    units: 3,
    orderIds: [encodeId('Order', order)],
    alert: { item: { sku: 'SKU-a' } },
  });
  expect(await next(stream)).toEqual({ __typename: 'Heartbeat', cursor: '0' });

  const payload = { alertId: alert, kind: 'oversell', itemId: item, units: 4, orderIds: [order] };
  for (const status of ['acknowledged', 'open']) {
    api.sync.publish({
      accountId: api.shop.accountId,
      topic: 'alert',
      subjectId: alert,
      payload: { ...payload, status },
    });
  }
  expect(await next(stream)).toMatchObject({
    __typename: 'AlertEvent',
    status: 'OPEN',
    units: 4,
    cursor: '2',
  });
  await stream.return();

  const resumed = await api.open(oversellAlerts, { after: '1' });
  expect(await next(resumed)).toMatchObject({ __typename: 'Heartbeat' });
  expect(await next(resumed)).toMatchObject({ status: 'OPEN', cursor: '2' });
  await resumed.return();
});

test('the progress of a job begins with how it stands and ends when the job has ended', async () => {
  await using api = await openApi();
  const { job } = await insertEverything(api.database.pool, api.shop, 'a');
  const stream = await api.open(jobProgress, { id: encodeId('Job', job) });
  expect(await next(stream)).toEqual({
    __typename: 'JobEvent',
    status: 'PENDING',
    completed: 0,
    total: 0,
    job: { kind: 'SYNC_ALL' },
  });
  await next(stream);
  const payload = { jobId: job, kind: 'sync_all', total: 2, failed: 0 };
  const publish = (more: object) =>
    api.sync.publish({
      accountId: api.shop.accountId,
      topic: 'job',
      subjectId: job,
      payload: { ...payload, ...more },
    });
  publish({ status: 'processing', completed: 1 });
  expect(await next(stream)).toMatchObject({ status: 'PROCESSING', completed: 1 });
  publish({ status: 'completed', completed: 2 });
  expect(await next(stream)).toMatchObject({ status: 'COMPLETED' });
  expect((await stream.next()).done).toBe(true);
  await api.sync.opened(0);
});

test('an order event offers the whole order', async () => {
  await using api = await openApi();
  const { order } = await insertEverything(api.database.pool, api.shop, 'a');
  const stream = await api.open(orderEvents, {});
  await next(stream);
  const payload = {
    orderId: order,
    platform: 'etsy',
    platformOrderId: 'order-a',
    status: 'processing',
    revision: 1,
    created: true,
  };
  api.sync.publish({ accountId: api.shop.accountId, topic: 'order', subjectId: order, payload });
  expect(await next(stream)).toEqual({
    __typename: 'OrderEvent',
    platformOrderId: 'order-a',
    created: true,
    order: { customerName: 'Ada' },
  });
  await stream.return();
});

const gap = (from: string, to: string): Envelope => ({ kind: 'gap', from, to, reason: 'RETENTION' });
const event = (cursor: string): Envelope => ({ kind: 'event', event: { cursor } as LogEvent });
const heartbeat = (cursor: string): Envelope => ({ kind: 'heartbeat', cursor });

/** A slow consumer: retention overtakes it twice. */
async function* overtaken() {
  yield gap('1', '3');
  yield event('4');
  yield gap('4', '8');
  yield event('9');
}

async function* stateAt(cursor: string) {
  yield { cursor } as LogEvent;
}

test('the present state follows every gap, and its cursors lead back to the gap until all of it has been told', async () => {
  const told: Envelope[] = [];
  for await (const envelope of withPresent(overtaken(), false, stateAt)) told.push(envelope);
  const afterFirst = [event('1'), heartbeat('3'), event('4')];
  const afterSecond = [event('4'), heartbeat('8'), event('9')];
  expect(told).toEqual([gap('1', '3'), ...afterFirst, gap('4', '8'), ...afterSecond]);
});
