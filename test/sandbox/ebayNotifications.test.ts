/** eBay's signed notifications, sent over HTTP. */

import { createVerify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createEbaySigner } from '../../src/sandbox/ebaySignature.ts';
import { signatureVectors } from '../support/ebaySpecification.ts';
import { describeBySpecification } from '../support/specifications.ts';
import { ebayError, notification } from './ebayBench.ts';
import { type Notification, type Notifications, withNotifications } from './ebayNotificationBench.ts';
import type { Received } from './webhookReceiver.ts';

type PublicKey = { readonly key: string; readonly digest: string };
type SignatureHeader = {
  readonly alg: string;
  readonly kid: string;
  readonly signature: string;
  readonly digest: string;
};

const headerOf = (value: unknown): SignatureHeader =>
  JSON.parse(Buffer.from(String(value), 'base64').toString('utf8')) as SignatureHeader;

/** eBay's event-notification SDK: put the line breaks back, then verify ECDSA with the key's digest over the text. */
function verifies(text: string, header: SignatureHeader, { key, digest }: PublicKey): boolean {
  const pem = key.replace(/(-----BEGIN PUBLIC KEY-----)(.*)(-----END PUBLIC KEY-----)/, '$1\n$2\n$3');
  return createVerify(digest).update(text).verify(pem, header.signature, 'base64');
}

/** The notification, after its signature was verified with the key that eBay publishes. */
async function verified(
  { bench, token }: Notifications,
  { headers, text, body }: Received,
): Promise<Notification> {
  const header = headerOf(headers['x-ebay-signature']);
  const { body: key } = await bench.call('GET', `${notification}/public_key/${header.kid}`, { token });
  expect(header).toMatchObject({ alg: 'ecdsa', digest: 'SHA1' });
  expect(verifies(text, header, key as PublicKey)).toBe(true);
  expect(verifies(`${text} `, header, key as PublicKey)).toBe(false);
  return body as Notification;
}

describe('a signature', () => {
  it('is verified with the key that belongs to it, and with no other', () => {
    const signer = createEbaySigner();
    const text = JSON.stringify({ metadata: { topic: 'ORDER_CONFIRMATION' } });
    const header = headerOf(signer.sign(text));
    expect(header.kid).toBe(signer.keyId);
    expect(verifies(text, header, signer.publicKey)).toBe(true);
    expect(verifies(text, header, createEbaySigner().publicKey)).toBe(false);
  });

  it('is made with a key that is found by its id only', () =>
    withNotifications(async ({ bench, token }) => {
      expect(await bench.call('GET', `${notification}/public_key/other`, { token })).toMatchObject(
        ebayError(404, 195001),
      );
    }));
});

describeBySpecification('eBay’s own signature vectors', () => {
  it.each([
    ['VALID', true],
    ['SIGNATURE_MISMATCH', false],
  ])('%s is verified as the sandbox’s signatures are: %s', (name, good) => {
    const { message, signature, response } = signatureVectors[name] ?? {};
    const signer = createEbaySigner();
    const header = headerOf(signature);
    expect(verifies(JSON.stringify(message), header, response as PublicKey)).toBe(good);
    expect(Object.keys(header)).toEqual(Object.keys(headerOf(signer.sign('text'))));
    expect(Object.keys(response ?? {}).toSorted()).toEqual(Object.keys(signer.publicKey).toSorted());
  });
});

describe('a notification', () => {
  it('confirms a paid order line by line, signed, without SKU or price', () =>
    withNotifications(async (all) => {
      const { bench, receiver, idle } = all;
      const price = { minor: 100, currency: 'USD' };
      const cup = bench.shop.addListing({
        title: 'Cup',
        variants: [{ sku: 'CUP', quantity: 1, offerQuantity: 1, price }],
      });
      const lines = [
        { variantId: bench.variant('MUG-BLUE').id, quantity: 2 },
        { variantId: bench.variant('CUP').id, quantity: 1 },
      ];
      const result = bench.shop.orders.place({ lines });
      await idle();
      expect(receiver.received).toHaveLength(2);
      const notifications = await Promise.all(receiver.received.map((each) => verified(all, each)));
      for (const { metadata } of notifications) expect(metadata.topic).toBe('ORDER_CONFIRMATION');
      const orders = notifications.map((each) => each.notification.data.order);
      const order = result.kind === 'placed' ? result.order : undefined;
      expect(orders.map(({ orderId }) => orderId)).toEqual([order?.id, order?.id]);
      const items = orders.flatMap(({ orderLineItems }) => orderLineItems);
      expect(items).toContainEqual({ orderLineItemId: order?.lines[1]?.id, listingId: cup.id, quantity: 1 });
      expect(items).toHaveLength(2);
    }));

  it('waits for the payment of an unpaid order, and follows shipping and cancellation', () =>
    withNotifications(async (all) => {
      const { bench, receiver, idle } = all;
      const topics = async () => {
        await idle();
        const found = await Promise.all(receiver.received.map((each) => verified(all, each)));
        return found.map(({ metadata }) => metadata.topic);
      };
      const order = bench.buy(1, { paid: false });
      expect(await topics()).toEqual([]);
      bench.shop.orders.pay(order.id);
      expect(await topics()).toEqual(['ORDER_CONFIRMATION']);
      bench.shop.orders.ship(order.id);
      expect(await topics()).toEqual(['ORDER_CONFIRMATION', 'ITEM_MARKED_SHIPPED']);
      const unpaid = bench.buy(1, { paid: false });
      bench.shop.orders.cancel(unpaid.id);
      expect((await topics()).at(-1)).toBe('ORDER_CANCELLATION_ACTIVITY');
    }));

  it('says nothing about a quantity', () =>
    withNotifications(async ({ bench, receiver, idle }) => {
      bench.shop.editOutside(bench.variant('MUG-BLUE').id, 1);
      await idle();
      expect(receiver.received).toEqual([]);
    }));

  it('is sent again with the same id, a higher attempt count and a signature of its own', () =>
    withNotifications(
      async (all) => {
        const { bench, receiver, idle } = all;
        bench.buy();
        await idle();
        const attempts = await Promise.all(receiver.received.map((each) => verified(all, each)));
        expect(attempts.map((each) => each.notification.publishAttemptCount)).toEqual([1, 2]);
        expect(new Set(attempts.map((each) => each.notification.notificationId)).size).toBe(1);
      },
      { status: (index) => (index === 0 ? 500 : 204) },
    ));
});
