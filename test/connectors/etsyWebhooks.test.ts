/** Etsy: only signed and recent deliveries count, and each has its meaning. */
import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import type { WebhookRequest } from '../../src/connectors/connector.ts';
import { createEtsyConnector } from '../../src/connectors/etsy/etsy.ts';
import { etsyCredentials, shopId } from './etsyShop.ts';
import { createTestContext } from './localChannel.ts';

const officialBody =
  '{"event_type":"order.paid","resource_url":"https://openapi.etsy.com/v3/application/shops/41000001/receipts/3300000001","shop_id":41000001}';
const officialSignature = '7bv5xoNqHFwyY9S8zxS8UR5p1s9vSEUKV9l15fvugsI=';
const sentAt = 1_795_000_000_000;

const connect = (now: number, credentials: Readonly<Record<string, string>> = etsyCredentials) =>
  createEtsyConnector(createTestContext({ shopId }, credentials, { now: () => now }));

const delivery = (changes: Readonly<Record<string, string>> = {}, body = officialBody): WebhookRequest => ({
  method: 'POST',
  url: 'https://sync.example.com/webhooks/etsy',
  query: new URLSearchParams(),
  headers: {
    'webhook-id': 'msg_2demo0001',
    'webhook-timestamp': '1795000000',
    'webhook-signature': `v1,${officialSignature}`,
    ...changes,
  },
  body: Buffer.from(body),
});

const signed = (body: string): WebhookRequest => {
  const key = Buffer.from('c3RvY2tzeW5jLWRlbW8tc2lnbmluZy1rZXktMDAwMQ==', 'base64');
  const signature = createHmac('sha256', key).update(`msg_2demo0001.1795000000.${body}`).digest('base64');
  return delivery({ 'webhook-signature': `v1,${signature}` }, body);
};

test('the Standard Webhooks vector is verified and names its delivery and topic', async () => {
  expect(await connect(sentAt).receiveWebhook(delivery())).toEqual({
    kind: 'verified',
    deliveryId: 'msg_2demo0001',
    topic: 'order.paid',
  });
});

test.for([
  ['a bare base64 signature', officialSignature],
  ['several signatures, one of them right', `v1,AAAA v1,${'A'.repeat(43)}= v1,${officialSignature}`],
])('%s is accepted', async ([, signature]) => {
  const receipt = await connect(sentAt).receiveWebhook(delivery({ 'webhook-signature': signature ?? '' }));
  expect(receipt.kind).toBe('verified');
});

test('a secret without its whsec_ prefix is the same secret', async () => {
  const webhookSecret = etsyCredentials.webhookSecret.slice('whsec_'.length);
  const connector = connect(sentAt, { ...etsyCredentials, webhookSecret });
  expect((await connector.receiveWebhook(delivery())).kind).toBe('verified');
});

test.for([
  ['another body', delivery({}, officialBody.replace('paid', 'Paid'))],
  ['another delivery id', delivery({ 'webhook-id': 'msg_other' })],
  ['another signature', delivery({ 'webhook-signature': `v1,${'A'.repeat(43)}=` })],
  ['a version that is not known', delivery({ 'webhook-signature': `v1a,${officialSignature}` })],
  ['no signature', delivery({ 'webhook-signature': '' })],
  ['a timestamp that is no number', delivery({ 'webhook-timestamp': '1795000000.0' })],
] as const)('%s is refused with 401', async ([, request]) => {
  expect(await connect(sentAt).receiveWebhook(request)).toMatchObject({ kind: 'refused', status: 401 });
});

test.for([
  [300_000, 'verified'],
  [-300_000, 'verified'],
  [301_000, 'refused'],
  [-301_000, 'refused'],
] as const)('a good signature looked at %i ms after its time is %s', async ([late, kind]) => {
  expect((await connect(sentAt + late).receiveWebhook(delivery())).kind).toBe(kind);
});

test('a signed body that is not an event is refused with 400', async () => {
  expect(await connect(sentAt).receiveWebhook(signed('not json'))).toMatchObject({
    kind: 'refused',
    status: 400,
  });
});

test('a connection without a webhook secret is misconfigured and accepts nothing', async () => {
  const { webhookSecret: _secret, ...credentials } = etsyCredentials;
  await expect(connect(sentAt, credentials).receiveWebhook(delivery())).rejects.toMatchObject({
    code: 'misconfigured',
  });
});

test.for(['order.paid', 'order.canceled', 'order.shipped', 'order.delivered'])(
  '%s says which order to fetch',
  (topic) => {
    expect(connect(sentAt).parseWebhook(topic, Buffer.from(officialBody))).toEqual([
      { kind: 'orderChanged', orderId: '3300000001' },
    ]);
  },
);

test('the host of resource_url does not matter, because only its numbers are used', () => {
  const body = officialBody.replace('openapi.etsy.com', 'attacker.example');
  expect(connect(sentAt).parseWebhook('order.paid', Buffer.from(body))).toEqual([
    { kind: 'orderChanged', orderId: '3300000001' },
  ]);
});

test('the receipt of another shop is ignored', () => {
  const byPath = officialBody.replace('/shops/41000001', '/shops/5');
  const byMember = officialBody.replace('"shop_id":41000001', '"shop_id":"5"');
  for (const body of [byPath, byMember]) {
    expect(connect(sentAt).parseWebhook('order.paid', Buffer.from(body))).toMatchObject([
      { kind: 'ignored' },
    ]);
  }
});

test('a resource_url that is not the path of a receipt is not what the topic promises', () => {
  const body = Buffer.from(officialBody.replace('/receipts/', '/receipts/../listings/'));
  expect(() => connect(sentAt).parseWebhook('order.paid', body)).toThrow(
    expect.objectContaining({ code: 'invalid_response' }),
  );
});

test('a topic that is not about orders is ignored with a reason', () => {
  expect(connect(sentAt).parseWebhook('shop.renamed', Buffer.from('{}'))).toMatchObject([
    { kind: 'ignored' },
  ]);
});
