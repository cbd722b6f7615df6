/** Amazon: only notifications with the bearer token count, and each has its meaning. */
import { describe, expect, test } from 'vitest';
import type { WebhookRequest } from '../../src/connectors/connector.ts';
import { connectSeller } from './amazonSeller.ts';
import { recording } from './recordings.ts';

const orderChange = recording('amazon/orderChange') as Record<string, unknown>;
const nowhere = { url: 'http://127.0.0.1:1' };

function delivery(
  content: unknown,
  authorization: string | undefined = 'Bearer forwarder-token',
): WebhookRequest {
  return {
    method: 'POST',
    url: 'https://sync.example.com/webhooks/amazon',
    query: new URLSearchParams(),
    headers: { authorization },
    body: Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)),
  };
}

function envelope(detail: unknown) {
  return {
    version: '0',
    id: 'e1',
    'detail-type': 'ORDER_CHANGE',
    source: 'aws.partner/sellingpartnerapi',
    detail,
  };
}

const verified = {
  kind: 'verified',
  deliveryId: 'd0e9e693-0000-4000-8000-000000000001',
  topic: 'ORDER_CHANGE',
};

describe('receiving', () => {
  test('the notification is accepted bare and in an EventBridge envelope, under the same delivery id', async () => {
    const { connector } = connectSeller(nowhere);
    expect(await connector.receiveWebhook(delivery(orderChange))).toEqual(verified);
    expect(await connector.receiveWebhook(delivery(envelope(orderChange)))).toEqual(verified);
  });

  test.each(['Bearer wrong', 'Bearer ', 'forwarder-token', 'Basic forwarder-token', ''])(
    'the authorisation "%s" is refused',
    async (authorization) => {
      const receipt = await connectSeller(nowhere).connector.receiveWebhook(
        delivery(orderChange, authorization),
      );
      expect(receipt).toMatchObject({ kind: 'refused', status: 401 });
    },
  );

  test('without a token of its own the connection takes nothing, not even an empty token', async () => {
    const { connector } = connectSeller(nowhere, {}, { webhookToken: '' });
    expect(await connector.receiveWebhook(delivery(orderChange, 'Bearer '))).toMatchObject({
      kind: 'refused',
      status: 404,
    });
  });

  test.each(['not JSON', '[]', '{"NotificationType":"ORDER_CHANGE"}', 'null'])(
    'the body %s is refused',
    async (content) => {
      const receipt = await connectSeller(nowhere).connector.receiveWebhook(delivery(content));
      expect(receipt).toMatchObject({ kind: 'refused', status: 400 });
    },
  );

  test('types that are spelled in lower camel case are received and ignored', async () => {
    const { connector } = connectSeller(nowhere);
    const request = delivery({
      notificationType: 'FEED_PROCESSING_FINISHED',
      notificationMetadata: { notificationId: 'n1' },
    });
    expect(await connector.receiveWebhook(request)).toMatchObject({ kind: 'verified', deliveryId: 'n1' });
    expect(connector.parseWebhook('FEED_PROCESSING_FINISHED', request.body)).toMatchObject([
      { kind: 'ignored' },
    ]);
  });
});

function meaning(topic: string, content: unknown) {
  return connectSeller(nowhere).connector.parseWebhook(topic, delivery(content).body);
}

function orderChangeWith(more: object) {
  return {
    ...orderChange,
    Payload: { OrderChangeNotification: { SellerId: 'A1SELLER', AmazonOrderId: '1', ...more } },
  };
}

describe('meaning', () => {
  test('an order change makes the hub fetch that order, bare or enveloped', () => {
    const expected = [{ kind: 'orderChanged', orderId: '113-0000001-0000001' }];
    expect(meaning('ORDER_CHANGE', orderChange)).toEqual(expected);
    expect(meaning('ORDER_CHANGE', envelope(orderChange))).toEqual(expected);
  });

  test('changes of another seller or another marketplace are ignored', () => {
    expect(meaning('ORDER_CHANGE', orderChangeWith({}))).toMatchObject([{ kind: 'orderChanged' }]);
    expect(meaning('ORDER_CHANGE', orderChangeWith({ SellerId: 'OTHER' }))).toMatchObject([
      { kind: 'ignored' },
    ]);
    expect(meaning('ORDER_CHANGE', orderChangeWith({ Summary: { MarketplaceId: 'OTHER' } }))).toMatchObject([
      { kind: 'ignored' },
    ]);
  });

  test('a quantity that Amazon keeps is ignored', () => {
    const payload = { SellerId: 'A1SELLER', FulfillmentChannelCode: 'AMAZON_NA', Sku: 'MUG', Quantity: 3 };
    const topic = 'LISTINGS_ITEM_MFN_QUANTITY_CHANGE';
    expect(meaning(topic, { ...orderChange, Payload: payload })).toMatchObject([{ kind: 'ignored' }]);
  });

  test('a payload that its type does not promise is an invalid response with its place', () => {
    expect(() => meaning('ORDER_CHANGE', { ...orderChange, Payload: {} })).toThrow(/OrderChangeNotification/);
    expect(() =>
      meaning('LISTINGS_ITEM_MFN_QUANTITY_CHANGE', { ...orderChange, Payload: { SellerId: 'A1SELLER' } }),
    ).toThrow(/Sku|Fulfillment/);
  });
});
