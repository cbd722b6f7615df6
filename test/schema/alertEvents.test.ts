/** Alerts of every kind over the API: listed by kind, about an item or a connection, and streamed from how things stand. */
import { expect, test } from 'vitest';
import type { Results } from '../../src/graphql.ts';
import { encodeId } from '../../src/schema/globalId.ts';
import { dataOf, openApi } from './apiFixture.ts';
import { openInsights } from './insightApi.ts';
import { alertEvents, alertsOf } from './insightOperations.ts';
import { oversellAlerts } from './operations.ts';
import { insert, insertItem, insertListing } from './rows.ts';

type Envelope = Readonly<Record<string, unknown>>;

async function next(stream: Results): Promise<Envelope> {
  const { done, value } = await stream.next();
  if (done) throw new Error('the stream has ended');
  const [envelope] = Object.values(value.data ?? {});
  return envelope as Envelope;
}

async function openShop() {
  const api = await openApi();
  const { pool } = api.database;
  const { accountId: account_id, connectionId } = api.shop;
  const item = await insertItem(pool, api.shop, 'MUG');
  const risk = await insert(pool, 'alerts', {
    account_id,
    kind: 'oversell_risk',
    item_id: item,
    units: 2,
    message: 'Sold out.',
  });
  await insert(pool, 'alerts', {
    account_id,
    kind: 'broken_connection',
    connection_id: connectionId,
    units: 0,
    message: 'Authorise it again.',
  });
  return { api, item, risk, connectionId, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

const riskNode = {
  kind: 'OVERSELL_RISK',
  status: 'OPEN',
  units: 2,
  message: 'Sold out.',
  item: { sku: 'MUG' },
  connection: null,
};
const brokenNode = {
  kind: 'BROKEN_CONNECTION',
  status: 'OPEN',
  units: 0,
  message: 'Authorise it again.',
  item: null,
  connection: { name: 'Shop on Etsy' },
};

test('alerts are listed by kind, by item and by connection', async () => {
  await using shop = await openShop();
  const { api, item, connectionId } = shop;
  const list = async (where: object) => dataOf(await api.run(alertsOf, { where })).alerts.nodes;
  expect(await list({})).toEqual([riskNode, brokenNode]);
  expect(await list({ kind: { in: ['BROKEN_CONNECTION', 'BLAST_STOPPED'] } })).toEqual([brokenNode]);
  expect(await list({ kind: { in: ['LOW_STOCK', 'STILL_ON_SALE'] } })).toEqual([]);
  expect(await list({ itemId: { eq: encodeId('InventoryItem', item) } })).toEqual([riskNode]);
  expect(await list({ connectionId: { eq: encodeId('PlatformConnection', connectionId) } })).toEqual([
    brokenNode,
  ]);
});

test('an oversell says in words what it says in numbers, and nothing once it is over', async () => {
  await using shop = await openShop();
  const { api, item } = shop;
  const oversell = { account_id: api.shop.accountId, kind: 'oversell', item_id: item };
  await insert(api.database.pool, 'alerts', { ...oversell, units: 2 });
  await insert(api.database.pool, 'alerts', {
    ...oversell,
    units: 0,
    status: 'resolved',
    resolved_at: new Date(),
  });
  const { alerts } = dataOf(await api.run(alertsOf, { where: { kind: { eq: 'OVERSELL' } } }));
  expect(alerts.nodes.map(({ message }) => message)).toEqual([
    '2 units more are promised to buyers than there are. Restock it, or cancel one of the orders named here; every channel is being brought to 0.',
    null,
  ]);
});

test('an oversell names escrow as the way out where its item could be put under it, in one statement for all of them', async () => {
  await using api = await openInsights();
  const { pool } = api.database;
  const count = async () => {
    api.statements.length = 0;
    const { alerts } = dataOf(await api.run(alertsOf, {}));
    return { statements: api.statements.length, messages: alerts.nodes.map(({ message }) => message) };
  };
  const oversold = async (sku: string, places: number) => {
    const item = await insertItem(pool, api.shop, sku, { quantity: 0, reserved: 2 });
    for (let place = 0; place < places; place += 1)
      await insertListing(pool, api.shop, item, `${sku} ${place}`);
    await insert(pool, 'alerts', {
      account_id: api.shop.accountId,
      kind: 'oversell',
      item_id: item,
      units: 2,
    });
  };
  await oversold('ONE', 1);
  await oversold('TWO', 2);
  const few = await count();
  expect(few.messages).toEqual([
    expect.stringMatching(/being brought to 0\.$/),
    expect.stringMatching(/being brought to 0\. To keep this from happening again, put it under escrow\.$/),
  ]);
  await oversold('THREE', 2);
  await oversold('FOUR', 2);
  expect(await count()).toMatchObject({ statements: few.statements });
});

test('a stream of alerts begins with every one that is not resolved and goes on with each change, of an item or a connection', async () => {
  await using shop = await openShop();
  const { api, item, risk, connectionId } = shop;
  const stream = await api.open(alertEvents, {});
  const itemId = encodeId('InventoryItem', item);
  expect(await next(stream)).toEqual({
    __typename: 'AlertEvent',
    kind: 'OVERSELL_RISK',
    status: 'OPEN',
    units: 2,
    message: 'Sold out.',
    itemId,
    connectionId: null,
    alert: { item: { sku: 'MUG' }, connection: null },
  });
  expect(await next(stream)).toMatchObject({
    kind: 'BROKEN_CONNECTION',
    itemId: null,
    connectionId: encodeId('PlatformConnection', connectionId),
    alert: { item: null, connection: { name: 'Shop on Etsy' } },
  });
  expect(await next(stream)).toMatchObject({ __typename: 'Heartbeat' });
  // As `tell_alert` writes it.
  await api.database.pool.query(`SELECT resolve_alert('oversell_risk', $1, NULL)`, [item]);
  const event = await api.database.pool.query<{ payload: Record<string, unknown> }>(
    'SELECT payload FROM events',
  );
  api.sync.publish({
    accountId: api.shop.accountId,
    topic: 'alert',
    subjectId: risk,
    payload: event.rows[0]?.payload ?? {},
  });
  expect(await next(stream)).toMatchObject({ kind: 'OVERSELL_RISK', status: 'RESOLVED', units: 0, itemId });
  await stream.return();
});

test('a stream narrowed to kinds carries only those, at its beginning and later', async () => {
  await using shop = await openShop();
  const { api, item, risk } = shop;
  const stream = await api.open(alertEvents, { kinds: ['BROKEN_CONNECTION', 'LOW_STOCK'] });
  expect(await next(stream)).toMatchObject({ kind: 'BROKEN_CONNECTION' });
  await next(stream);
  for (const kind of ['oversell_risk', 'low_stock']) {
    const payload = {
      alertId: risk,
      kind,
      status: 'open',
      itemId: item,
      connectionId: null,
      units: 1,
      message: 'm',
      orderIds: [],
    };
    api.sync.publish({ accountId: api.shop.accountId, topic: 'alert', subjectId: risk, payload });
  }
  expect(await next(stream)).toMatchObject({ kind: 'LOW_STOCK' });
  await stream.return();
});

test('the stream of oversells carries no other kind', async () => {
  await using shop = await openShop();
  const { api, item, risk } = shop;
  const stream = await api.open(oversellAlerts, {});
  expect(await next(stream)).toMatchObject({ __typename: 'Heartbeat' });
  for (const kind of ['oversell_risk', 'oversell']) {
    const payload = {
      alertId: risk,
      kind,
      status: 'open',
      itemId: item,
      units: kind === 'oversell' ? 7 : 1,
      orderIds: [],
    };
    api.sync.publish({ accountId: api.shop.accountId, topic: 'alert', subjectId: risk, payload });
  }
  expect(await next(stream)).toMatchObject({ units: 7 });
  await stream.return();
});
