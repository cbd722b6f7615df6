/** Whoever slept goes on from a cursor; whoever slept longer than the log is kept is told so, gets what is still true of alerts, and goes on from there. */
import { print } from 'graphql';
import { expect, test } from 'vitest';
import { pruneLog } from '../../src/sync/eventLog.ts';
import { type Product, startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { listen } from '../transports/serverFixture.ts';
import {
  adjustStock,
  alertStream,
  everyAlertStream,
  itemBySku,
  openAlerts,
  stockStream,
} from './operations.ts';

type Envelope = { readonly __typename?: string };

const withoutHeartbeats = (envelopes: readonly Envelope[]) =>
  envelopes.filter(({ __typename: kind }) => kind !== 'Heartbeat');

async function receive(product: Product, sku: string, delta: number): Promise<void> {
  const { inventoryItemBySku: item } = await product.graphql(itemBySku, { sku });
  const input = {
    itemId: item?.id ?? '',
    delta,
    reason: 'RECEIVED',
    idempotencyKey: `${sku} ${delta}`,
  } as const;
  const { stockAdjust } = await product.graphql(adjustStock, { input });
  expect(stockAdjust.userErrors).toEqual([]);
}

/** As if everything that has happened so far were older than the log is kept. */
async function forgetEvents({ db }: Product): Promise<void> {
  await waitFor(
    async () => {
      await pruneLog(db, new Date(Date.now() + 3_600_000));
      return (await db.query('SELECT FROM events LIMIT 1')).rows.length === 0;
    },
    { what: 'the log to be empty' },
  );
}

/** What a browser hears that reconnects with `Last-Event-ID`; heartbeats are passed over. */
async function listenAfter(product: Product, document: Parameters<typeof print>[0], cursor: string) {
  const headers = { authorization: `Bearer ${product.key}`, 'last-event-id': cursor };
  const events = await listen(`${product.url}/graphql`, { query: print(document) }, headers);
  return {
    async next(): Promise<{ readonly id: string | null; readonly envelope: Envelope }> {
      for (;;) {
        const message = await events.next();
        const { data } = JSON.parse(message?.data ?? '{}') as { data?: Record<string, Envelope> };
        if (data === undefined) throw new Error(`no envelope: ${JSON.stringify(message)}`);
        const [envelope] = Object.values(data);
        if (envelope !== undefined && withoutHeartbeats([envelope]).length > 0)
          return { id: message?.id ?? null, envelope };
      }
    },
    [Symbol.asyncDispose]: () => events[Symbol.asyncDispose](),
  };
}

test('subscriptions resume from a cursor, in order, over WebSocket and SSE', async () => {
  await using product = await startProduct({ skus: { MUG: 10 } });
  await using slept = await product.subscribe(stockStream);
  slept.cut();
  const cursor = slept.cursor ?? '';
  for (const delta of [1, 2]) await receive(product, 'MUG', delta);

  await slept.resume();
  await using browser = await listenAfter(product, stockStream, cursor);
  await receive(product, 'MUG', 3);
  await slept.find(({ quantity }) => quantity === 16, 'what happened after it came back');
  const missed = [11, 13, 16].map((quantity) => ({ __typename: 'StockEvent', quantity }));
  expect(withoutHeartbeats(slept.envelopes)).toMatchObject(missed);
  const [first, second, third] = [await browser.next(), await browser.next(), await browser.next()];
  expect([first, second, third].map(({ envelope }) => envelope)).toMatchObject(missed);

  // The id of each message leads to exactly what followed it.
  await using behind = await listenAfter(product, stockStream, first.id ?? '');
  expect((await behind.next()).envelope).toEqual(second.envelope);
});

test('where something cannot be replayed, a gap says so, with from, to and why, and events go on behind it', async () => {
  await using product = await startProduct({ skus: { MUG: 10 } });
  await using slept = await product.subscribe(stockStream);
  slept.cut();
  const cursor = slept.cursor ?? '';
  await receive(product, 'MUG', 1);
  await forgetEvents(product);

  await slept.resume();
  await using browser = await listenAfter(product, stockStream, cursor);
  const gap = await browser.next();
  await receive(product, 'MUG', 2);
  await slept.find(({ quantity }) => quantity === 13, 'the event after the gap');
  const [told, ...events] = withoutHeartbeats(slept.envelopes);
  expect(told).toEqual({
    __typename: 'Gap',
    from: cursor,
    to: expect.any(String) as string,
    reason: 'RETENTION',
  });
  expect(events).toMatchObject([{ __typename: 'StockEvent', quantity: 13 }]);

  expect(gap.envelope).toEqual(told);
  // A browser that is cut now resumes behind the gap.
  expect(gap.id).toBe((told as { readonly to?: string }).to);
  expect((await browser.next()).envelope).toMatchObject({ __typename: 'StockEvent', quantity: 13 });
  await using behind = await listenAfter(product, stockStream, gap.id ?? '');
  expect((await behind.next()).envelope).toMatchObject({ __typename: 'StockEvent', quantity: 13 });
});

test('after a gap a stream of alerts first sends every alert that is not resolved, then goes on', async () => {
  await using product = await startProduct({ skus: { LAST: 1 } });
  await using oversells = await product.subscribe(alertStream);
  await using alerts = await product.subscribe(everyAlertStream);
  oversells.cut();
  alerts.cut();
  const cursor = oversells.cursor ?? '';
  product.buy('etsy', 'LAST');
  product.buy('shopify', 'LAST');
  await waitFor(async () => (await product.graphql(openAlerts, {})).alerts.nodes.length === 1);
  await product.inStep();
  await forgetEvents(product);

  await oversells.resume();
  await alerts.resume();
  await oversells.find(({ status }) => status === 'OPEN', 'the oversell that was missed');
  await alerts.find(({ kind }) => kind === 'OVERSELL', 'the alert that was missed');
  for (const document of [alertStream, everyAlertStream]) {
    await using browser = await listenAfter(product, document, cursor);
    expect((await browser.next()).envelope).toMatchObject({
      __typename: 'Gap',
      from: cursor,
      reason: 'RETENTION',
    });
    const present = await browser.next();
    expect(present.envelope).toMatchObject({ __typename: 'AlertEvent', status: 'OPEN', units: 1 });
    // A browser that is cut now has not got all of them yet: it hears of the gap again.
    expect(present.id).toBe(cursor);
  }

  await receive(product, 'LAST', 1);
  for (const stream of [oversells, alerts]) {
    await stream.find(({ status }) => status === 'RESOLVED', 'the alert to be resolved');
    const told = withoutHeartbeats(stream.envelopes);
    expect(told[0]).toMatchObject({ __typename: 'Gap', reason: 'RETENTION' });
    expect(told[1]).toMatchObject({ __typename: 'AlertEvent', status: 'OPEN', units: 1 });
  }
});
