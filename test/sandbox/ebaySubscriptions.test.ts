/** eBay's Notification API: checked destinations, subscriptions, topics. */

import { describe, expect, it } from 'vitest';
import { demoEbayOptions } from '../../src/sandbox/ebay.ts';
import { ebayError, notification } from './ebayBench.ts';
import {
  answerChallenge,
  type Notification,
  type Notifications,
  verificationToken,
  withNotifications,
} from './ebayNotificationBench.ts';

const destinationBody = (endpoint: string, changes: Record<string, unknown> = {}) => ({
  name: 'sync',
  status: 'ENABLED',
  deliveryConfig: { endpoint, verificationToken },
  ...changes,
});

async function configure({ bench, token }: Notifications): Promise<void> {
  const body = { alertEmail: 'ops@example.com' };
  expect((await bench.call('PUT', `${notification}/config`, { token, body })).status).toBe(204);
}

const createDestination = ({ bench, token }: Notifications, body: unknown) =>
  bench.call('POST', `${notification}/destination`, { token, body });

const idIn = ({ headers }: { headers: Headers }) => (headers.get('location') ?? '').split('/').at(-1) ?? '';

const subscriptionBody = (destinationId: string, changes: Record<string, unknown> = {}) => ({
  topicId: 'ORDER_CONFIRMATION',
  status: 'ENABLED',
  destinationId,
  payload: { format: 'JSON', schemaVersion: '1.0', deliveryProtocol: 'HTTPS' },
  ...changes,
});

const subscribe = ({ bench }: Notifications, body: unknown) =>
  bench.call('POST', `${notification}/subscription`, { body });

describe('a destination', () => {
  it('needs a configuration with an e-mail address first', () =>
    withNotifications(async (all) => {
      const { bench, token, receiver } = all;
      const config = `${notification}/config`;
      expect(await bench.call('GET', config, { token })).toMatchObject(ebayError(404, 195026));
      expect(await createDestination(all, destinationBody(receiver.url))).toMatchObject(
        ebayError(409, 195003),
      );
      expect(await bench.call('PUT', config, { token, body: {} })).toMatchObject(ebayError(400, 195025));
      await configure(all);
      expect((await bench.call('GET', config, { token })).body).toEqual({ alertEmail: 'ops@example.com' });
    }));

  it('is made once its endpoint has answered the challenge, and once per endpoint', () =>
    withNotifications(async (all) => {
      await configure(all);
      const created = await createDestination(all, destinationBody(all.receiver.url));
      expect(created).toMatchObject({ status: 201, body: null });
      const path = `${notification}/destination/${idIn(created)}`;
      const { body } = await all.bench.call('GET', path, { token: all.token });
      expect(body).toMatchObject({ destinationId: idIn(created), status: 'ENABLED' });
      expect(await createDestination(all, destinationBody(all.receiver.url))).toMatchObject(
        ebayError(409, 195021),
      );
      const list = await all.bench.call('GET', `${notification}/destination`, { token: all.token });
      expect(list.body).toMatchObject({ total: 1, destinations: [body] });
      const disabled = destinationBody(all.receiver.url, { status: 'DISABLED' });
      expect((await all.bench.call('PUT', path, { token: all.token, body: disabled })).status).toBe(204);
    }));

  it.each([
    ['a wrong answer', { contentType: 'application/json', body: '{"challengeResponse":"00"}' }],
    ['no JSON', { contentType: 'application/json', body: 'ok' }],
    ['another content type', null],
  ])('is refused when its endpoint gives %s to the challenge', (_, wrong) => {
    let endpoint = '';
    const right = answerChallenge(() => endpoint);
    return withNotifications(
      async (all) => {
        endpoint = all.receiver.url;
        await configure(all);
        expect(await createDestination(all, destinationBody(endpoint))).toMatchObject(ebayError(409, 195020));
      },
      { challenge: (code) => wrong ?? { ...right(code), contentType: 'text/plain' } },
    );
  });

  it('is refused when nobody listens', () =>
    withNotifications(async (all) => {
      await configure(all);
      await all.receiver.stop();
      expect(await createDestination(all, destinationBody(all.receiver.url))).toMatchObject(
        ebayError(409, 195020),
      );
    }));

  it.each([
    ['name', { name: '<b>' }, 195016],
    ['status', { status: 'MARKED_DOWN' }, 195018],
    ['token', { deliveryConfig: { endpoint: 'http://127.0.0.1:1/', verificationToken: 'short' } }, 195019],
    ['endpoint', { deliveryConfig: { endpoint: 'https://example.com/hook', verificationToken } }, 195017],
  ])('is refused with a wrong %s', (_, change, errorId) =>
    withNotifications(async (all) => {
      await configure(all);
      const body = destinationBody(all.receiver.url, change);
      expect(await createDestination(all, body)).toMatchObject(ebayError(400, errorId));
    }),
  );

  it('is 404 when unknown', () =>
    withNotifications(async ({ bench, token }) => {
      expect(await bench.call('GET', `${notification}/destination/1`, { token })).toMatchObject(
        ebayError(404, 195022),
      );
    }));
});

describe('a subscription', () => {
  it('sends its topic to its destination and silences the topics nobody subscribed to', () =>
    withNotifications(async (all) => {
      const { bench, receiver, idle } = all;
      await configure(all);
      const destinationId = idIn(await createDestination(all, destinationBody(receiver.url)));
      const created = await subscribe(all, subscriptionBody(destinationId));
      expect(created).toMatchObject({ status: 201, body: null });
      const order = bench.buy();
      bench.shop.orders.ship(order.id);
      await idle();
      expect(receiver.received.map(({ body }) => (body as Notification).metadata.topic)).toEqual([
        'ORDER_CONFIRMATION',
      ]);
      const path = `${notification}/subscription/${idIn(created)}`;
      expect((await bench.call('POST', `${path}/disable`)).status).toBe(204);
      bench.buy();
      await idle();
      expect(receiver.received).toHaveLength(1);
      expect((await bench.call('POST', `${path}/enable`)).status).toBe(204);
      expect((await bench.call('GET', path)).body).toMatchObject({
        status: 'ENABLED',
        topicId: 'ORDER_CONFIRMATION',
      });
      expect((await bench.call('DELETE', path)).status).toBe(204);
      expect(await bench.call('GET', path)).toMatchObject(ebayError(404, 195013));
    }));

  it.each([
    ['topic', { topicId: 'WEATHER' }, 400, 195027],
    ['status', { status: 'MAYBE' }, 400, 195006],
    ['destination', { destinationId: '1' }, 400, 195007],
    [
      'schema version',
      { payload: { format: 'JSON', schemaVersion: '9', deliveryProtocol: 'HTTPS' } },
      400,
      195008,
    ],
    ['format', { payload: { format: 'XML', schemaVersion: '1.0', deliveryProtocol: 'HTTPS' } }, 400, 195009],
    ['protocol', { payload: { format: 'JSON', schemaVersion: '1.0', deliveryProtocol: 'FTP' } }, 400, 195010],
  ])('is refused with a wrong %s', (_, change, status, errorId) =>
    withNotifications(async (all) => {
      await configure(all);
      const destinationId = idIn(await createDestination(all, destinationBody(all.receiver.url)));
      expect(await subscribe(all, subscriptionBody(destinationId, change))).toMatchObject(
        ebayError(status, errorId),
      );
    }),
  );

  it('exists once per topic and needs an enabled destination', () =>
    withNotifications(async (all) => {
      await configure(all);
      const disabled = destinationBody(all.receiver.url, { status: 'DISABLED' });
      const destinationId = idIn(await createDestination(all, disabled));
      expect(await subscribe(all, subscriptionBody(destinationId))).toMatchObject(ebayError(409, 195015));
      const sleeping = subscriptionBody(destinationId, { status: 'DISABLED' });
      expect((await subscribe(all, sleeping)).status).toBe(201);
      expect(await subscribe(all, sleeping)).toMatchObject(ebayError(409, 195012));
      const { body } = await all.bench.call('GET', `${notification}/subscription`);
      expect(body).toMatchObject({ total: 1, subscriptions: [{ status: 'DISABLED' }] });
    }));

  it('needs the scope of its topic', () =>
    withNotifications(
      async (all) => {
        await configure(all);
        const destinationId = idIn(await createDestination(all, destinationBody(all.receiver.url)));
        const body = subscriptionBody(destinationId, { topicId: 'ITEM_MARKED_SHIPPED' });
        expect(await subscribe(all, body)).toMatchObject(ebayError(403, 195011));
      },
      { scopes: demoEbayOptions.scopes.filter((scope) => scope !== 'commerce.shipping') },
    ));

  it('is to one of the topics that are listed with their scopes', () =>
    withNotifications(async ({ bench, token }) => {
      const { body } = await bench.call('GET', `${notification}/topic`, { token });
      expect(body).toMatchObject({ total: 3, topics: [{ topicId: 'ORDER_CONFIRMATION' }, {}, {}] });
      const shipped = await bench.call('GET', `${notification}/topic/ITEM_MARKED_SHIPPED`, { token });
      expect(shipped.body).toMatchObject({
        authorizationScopes: ['https://api.ebay.com/oauth/api_scope/commerce.shipping'],
      });
      const tooFew = { token, query: { limit: '5' } };
      expect(await bench.call('GET', `${notification}/topic`, tooFew)).toMatchObject(ebayError(400, 195004));
      expect(await bench.call('GET', `${notification}/topic/WEATHER`, { token })).toMatchObject(
        ebayError(404, 195027),
      );
    }));
});
