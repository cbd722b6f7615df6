/** eBay: only signed notifications count, its endpoint check is answered, and each topic has its meaning. */
import { createSign, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import type { WebhookRequest } from '../../src/connectors/connector.ts';
import { type SignatureVector, signatureVectors } from '../support/ebaySpecification.ts';
import { describeBySpecification } from '../support/specifications.ts';
import { connectEbay } from './ebaySeller.ts';
import type { Answer, Handler } from './localChannel.ts';
import { recording } from './recordings.ts';

const endpoint = 'https://sync.example.com/webhooks/ebay';
const keyPath = '/commerce/notification/v1/public_key/';

/** `keys`: the body of `getPublicKey` by key id. */
async function connect(
  keys: Readonly<Record<string, unknown>>,
  clock = { now: Date.now() },
  failing?: () => Answer | null,
) {
  const handle: Handler = (call) => {
    if (call.path === '/token')
      return {
        json: { access_token: 'v^1.1#app', expires_in: 7200, token_type: 'Application Access Token' },
      };
    const early = failing?.();
    if (early) return early;
    const key = keys[call.path.slice(keyPath.length)];
    return key === undefined ? { status: 404, json: { errors: [] } } : { json: key };
  };
  const { connector, channel } = await connectEbay(handle, {
    settings: { webhookUrl: endpoint },
    now: () => clock.now,
  });
  const lookups = () => channel.requests.filter((call) => call.path.startsWith(keyPath));
  return { connector, channel, lookups };
}

const request = (body: Buffer | string, signature: string | undefined): WebhookRequest => ({
  method: 'POST',
  url: endpoint,
  query: new URLSearchParams(),
  headers: { 'x-ebay-signature': signature },
  body: Buffer.from(body),
});
const ofVector = ({ message, signature }: SignatureVector) => request(JSON.stringify(message), signature);

function createKey(digest: 'SHA1' | 'SHA256' = 'SHA1') {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = publicKey.export({ type: 'spki', format: 'pem' }).toString().replaceAll('\n', '');
  const sign = (body: string, kid = 'k1'): string => {
    const signature = createSign(digest).update(body).sign(privateKey, 'base64');
    return Buffer.from(JSON.stringify({ alg: 'ecdsa', kid, signature, digest })).toString('base64');
  };
  return { body: { key, algorithm: 'ECDSA', digest }, sign };
}

const vectorKeys = Object.fromEntries(
  Object.values(signatureVectors).map((vector) => [vector.public_key, vector.response ?? undefined]),
);
const vectorOutcomes: Readonly<Record<string, object>> = {
  VALID: {
    kind: 'verified',
    deliveryId: '49feeaeb-4982-42d9-a377-9645b8479411_33f7e043-fed8-442b-9d44-791923bd9a6d',
    topic: 'MARKETPLACE_ACCOUNT_DELETION',
  },
  INVALID: { kind: 'refused', status: 412 },
  SIGNATURE_MISMATCH: { kind: 'refused', status: 412 },
  // The vector in which eBay does not answer with a key.
  ERROR: { kind: 'refused', status: 412 },
};

describeBySpecification('eBay’s own signature vectors', () => {
  test.for(Object.entries(signatureVectors))('%s has its outcome', async ([name, vector]) => {
    const { kid } = JSON.parse(Buffer.from(vector.signature, 'base64').toString('utf8'));
    // The vectors name their key apart from the signature; eBay's SDK is told which key to use.
    const { connector, channel } = await connect({ [kid]: vectorKeys[vector.public_key] });
    expect(await connector.receiveWebhook(ofVector(vector))).toMatchObject(
      vectorOutcomes[name] ?? { kind: 'not expected' },
    );
    expect(channel.requests.at(-1)?.headers.authorization).toBe('Bearer v^1.1#app');
  });

  test('a body written anew on its way is verified as eBay’s SDK does it', async () => {
    const { message, signature } = signatureVectors['VALID'] ?? {};
    const { connector } = await connect(vectorKeys);
    const spaced = request(JSON.stringify(message, null, 2), signature);
    expect((await connector.receiveWebhook(spaced)).kind).toBe('verified');
  });
});

const body = JSON.stringify(recording('ebay/orderConfirmation'));

test('a signature over raw bytes is verified even where writing the body anew would change it', async () => {
  const key = createKey();
  const { connector } = await connect({ k1: key.body });
  const raw = body.replace('"publishAttemptCount":1', '"publishAttemptCount":1.0');
  expect((await connector.receiveWebhook(request(raw, key.sign(raw)))).kind).toBe('verified');
});

test('the digest comes from the key, so that a sender cannot choose it', async () => {
  const strong = createKey('SHA256');
  const weak = { ...strong.body, digest: 'SHA1' };
  const { connector } = await connect({ strong: strong.body, weak, odd: { ...strong.body, digest: 'MD5' } });
  expect((await connector.receiveWebhook(request(body, strong.sign(body, 'strong')))).kind).toBe('verified');
  for (const kid of ['weak', 'odd']) {
    expect(await connector.receiveWebhook(request(body, strong.sign(body, kid)))).toMatchObject({
      kind: 'refused',
      status: 412,
    });
  }
});

test.for([
  ['no signature', undefined],
  ['a signature that is not base64 of JSON', 'xxxx'],
  [
    'a key id that would leave its path',
    Buffer.from(JSON.stringify({ kid: '../../x', signature: 'A'.repeat(96) })).toString('base64'),
  ],
] as const)('%s is refused with 412 and asks eBay nothing', async ([, signature]) => {
  const { connector, channel } = await connect({});
  expect(await connector.receiveWebhook(request(body, signature))).toMatchObject({
    kind: 'refused',
    status: 412,
  });
  expect(channel.requests).toEqual([]);
});

test('a key is kept for an hour and then asked for again', async () => {
  const clock = { now: Date.now() };
  const key = createKey();
  const { connector, lookups } = await connect({ k1: key.body }, clock);
  const good = request(body, key.sign(body));
  await Promise.all([connector.receiveWebhook(good), connector.receiveWebhook(good)]);
  clock.now += 3_599_000;
  await connector.receiveWebhook(good);
  expect(lookups()).toHaveLength(1);
  clock.now += 2_000;
  expect((await connector.receiveWebhook(good)).kind).toBe('verified');
  expect(lookups()).toHaveLength(2);
});

test('made-up key ids cannot make the hub ask eBay without end, and the keys in use keep working', async () => {
  const clock = { now: Date.now() };
  const key = createKey();
  const { connector, lookups } = await connect({ k1: key.body }, clock);
  await connector.receiveWebhook(request(body, key.sign(body)));
  for (let index = 0; index < 30; index += 1)
    await connector.receiveWebhook(request(body, key.sign(body, `made-up-${index}`)));
  expect(lookups()).toHaveLength(10);
  expect((await connector.receiveWebhook(request(body, key.sign(body)))).kind).toBe('verified');
  expect(await connector.receiveWebhook(request(body, key.sign(body, 'one-more')))).toMatchObject({
    status: 503,
  });
  clock.now += 61_000;
  expect(await connector.receiveWebhook(request(body, key.sign(body, 'one-more')))).toMatchObject({
    status: 412,
  });
});

test('more made-up key ids than are kept do not push out the key in use', async () => {
  const clock = { now: Date.now() };
  const key = createKey();
  const { connector, lookups } = await connect({ k1: key.body }, clock);
  await connector.receiveWebhook(request(body, key.sign(body)));
  for (let index = 0; index < 120; index += 1) {
    clock.now += 10_000;
    await connector.receiveWebhook(request(body, key.sign(body, `made-up-${index}`)));
  }
  expect((await connector.receiveWebhook(request(body, key.sign(body)))).kind).toBe('verified');
  expect(lookups()).toHaveLength(121);
});

test('a key that cannot be fetched now asks eBay to deliver again, and is not remembered as missing', async () => {
  const key = createKey();
  let down = true;
  const { connector } = await connect({ k1: key.body }, { now: Date.now() }, () =>
    down ? { status: 503 } : null,
  );
  expect(await connector.receiveWebhook(request(body, key.sign(body)))).toMatchObject({
    kind: 'refused',
    status: 503,
  });
  down = false;
  expect((await connector.receiveWebhook(request(body, key.sign(body)))).kind).toBe('verified');
});

test('the endpoint check is answered as in the vector, for the registered URL', async () => {
  const { connector } = await connect({});
  const query = new URLSearchParams({ challenge_code: 'abc123challenge' });
  const check = { ...request('', undefined), method: 'GET', url: 'http://internal/webhooks/ebay', query };
  expect(await connector.receiveWebhook(check)).toEqual({
    kind: 'challenge',
    contentType: 'application/json',
    body: '{"challengeResponse":"aaac99e11b3b91ce03760f6981933313df47c987f86edf06cdc3e058e8f25062"}',
  });
});

test('a GET without a challenge and other methods are refused', async () => {
  const { connector } = await connect({});
  expect(await connector.receiveWebhook({ ...request('', undefined), method: 'GET' })).toMatchObject({
    status: 400,
  });
  expect(await connector.receiveWebhook({ ...request('', undefined), method: 'PUT' })).toMatchObject({
    status: 405,
  });
});

const notification = (topic: string, data: unknown) =>
  Buffer.from(JSON.stringify({ metadata: { topic }, notification: { notificationId: 'n', data } }));

test('the documented order confirmation says which order to fetch', async () => {
  const { connector } = await connect({});
  expect(connector.parseWebhook('ORDER_CONFIRMATION', Buffer.from(body))).toEqual([
    { kind: 'orderChanged', orderId: '12-00001-00001' },
  ]);
});

test.for([
  ['ITEM_MARKED_SHIPPED', { order: { orderId: '12-1' } }],
  ['ORDER_CANCELLATION_ACTIVITY', { orderId: '12-1', cancelId: '5' }],
  ['ORDER_RETURN_ACTIVITY', { user: { userId: 'u' }, return: { orderId: '12-1' } }],
] as const)('%s says which order to fetch', async ([topic, data]) => {
  const { connector } = await connect({});
  expect(connector.parseWebhook(topic, notification(topic, data))).toEqual([
    { kind: 'orderChanged', orderId: '12-1' },
  ]);
});

test('a confirmation without an order is not what its topic promises; a return without one is left to the poll', async () => {
  const { connector } = await connect({});
  const bare = notification('ORDER_CONFIRMATION', { user: { userId: 'u' } });
  expect(() => connector.parseWebhook('ORDER_CONFIRMATION', bare)).toThrow(
    expect.objectContaining({ code: 'invalid_response' }),
  );
  expect(connector.parseWebhook('ORDER_RETURN_ACTIVITY', bare)).toMatchObject([{ kind: 'ignored' }]);
});

test('a withdrawn consent is reported, and other topics are ignored with a reason', async () => {
  const { connector } = await connect({});
  expect(connector.parseWebhook('AUTHORIZATION_REVOCATION', Buffer.from('{}'))).toEqual([
    { kind: 'authorizationRevoked' },
  ]);
  expect(connector.parseWebhook('LISTING', Buffer.from('{}'))).toMatchObject([{ kind: 'ignored' }]);
});
