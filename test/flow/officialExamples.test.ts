/** Every example of the official specifications comes in through the real webhook routes, is stored byte by byte, and means what its document says. */
import { createSign, generateKeyPairSync } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChannelMessage } from '../../src/connectors/connector.ts';
import { amazonExamples, documentedOrders, expectedOrder } from '../connectors/amazonExamples.ts';
import type { Handler } from '../connectors/localChannel.ts';
import { recording } from '../connectors/recordings.ts';
import { signatureVectors } from '../support/ebaySpecification.ts';
import {
  describeBySpecification,
  readSpecification,
  specificationFolder,
} from '../support/specifications.ts';
import { type Installation, startInstallation } from './officialChannel.ts';
import { twoMugs } from './officialDocument.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await startInstallation();
});
afterAll(() => installation[Symbol.asyncDispose]());

const marketplaceId = 'ATVPDKIKX0DER';
const forwarded = { authorization: 'Bearer forwarder', 'content-type': 'application/json' };

function orderChange(sellerId: string, orderId: string, inMarketplace: string) {
  const example = recording('amazon/orderChange') as {
    Payload: { OrderChangeNotification: { Summary: object } };
  };
  const { OrderChangeNotification: change } = example.Payload;
  const Summary = { ...change.Summary, MarketplaceId: inMarketplace };
  const changed = { ...change, SellerId: sellerId, AmazonOrderId: orderId, Summary };
  return JSON.stringify({ ...example, Payload: { OrderChangeNotification: changed } });
}

const answerOrder =
  (order: { readonly orderId: string }): Handler =>
  ({ path }) =>
    path === `/orders/2026-01-01/orders/${order.orderId}` ? { json: { order } } : { status: 404 };

// ------------------------------------------------------------------------------------------------------------------ Amazon

type Notification = {
  readonly NotificationMetadata?: { readonly NotificationId: string };
  readonly notificationMetadata?: { readonly notificationId: string };
  readonly Payload?: { readonly SellerId?: string };
};
type Case = { readonly sellerId?: string; readonly topic: string; readonly meaning: ChannelMessage };

const ignored = (topic: string): Case => ({
  topic,
  meaning: { kind: 'ignored', reason: `${topic} changes neither orders nor the seller's stock` },
});

/** By schema file and number of the example in it. */
const notificationCases: Readonly<Record<string, Case>> = {
  'FeedProcessingFinishedNotification.json 0': ignored('FEED_PROCESSING_FINISHED'),
  'FeedProcessingFinishedNotification.json 1': ignored('FEED_PROCESSING_FINISHED'),
  'ListingsItemIssuesChangeNotification_2023-12-13.json 0': ignored('LISTINGS_ITEM_ISSUES_CHANGE'),
  'ListingsItemMfnQuantityChange.json 0': {
    sellerId: 'AXXXXXXXXXXXXX',
    topic: 'LISTINGS_ITEM_MFN_QUANTITY_CHANGE',
    meaning: {
      kind: 'stockChanged',
      address: { unitId: 'NLS-SHOES-03', variantId: '' },
      quantity: 99,
      at: new Date('2021-02-03T18:59:30.194Z'),
    },
  },
  'ListingsItemStatusChangeNotification.json 0': ignored('LISTINGS_ITEM_STATUS_CHANGE'),
  'OrderChangeNotification.json 0': {
    sellerId: 'A3TH9S8BH6GOGM',
    topic: 'ORDER_CHANGE',
    meaning: { kind: 'orderChanged', orderId: '903-8868176-2219830' },
  },
};

/** The order of the notification's example, with its own figures in the shape of the orders interface. */
const announcedOrder = {
  ...(recording('amazon/searchOrders') as { orders: { orderItems: { product: object }[] }[] }).orders[0],
  orderId: '903-8868176-2219830',
  createdTime: '2022-07-13T19:42:04.284Z',
  lastUpdatedTime: '2022-11-29T19:42:04.284Z',
  orderItems: [
    {
      orderItemId: 'OIID34853450',
      quantityOrdered: 10,
      product: {
        title: 'Shoes',
        sellerSku: 'SellerSKUID1',
        price: { unitPrice: { amount: '5.65', currencyCode: 'USD' } },
      },
      fulfillment: { quantityFulfilled: 0, quantityUnfulfilled: 10 },
    },
  ],
};

describeBySpecification("Amazon's notification schemas", () => {
  const folder = resolve(specificationFolder, 'amazon/notification-schemas');
  const examples = readdirSync(folder).flatMap((file) => {
    const { examples: list = [] } = readSpecification(`amazon/notification-schemas/${file}`);
    return (list as Notification[]).map((example, index) => [`${file} ${index}`, example] as const);
  });

  test('have a case for every example, and no case is left over', () => {
    const names = examples.map(([name]) => name);
    expect(names.toSorted()).toEqual(Object.keys(notificationCases).toSorted());
  });

  test.each(examples)('%s is delivered, stored and understood', async (name, example) => {
    const { sellerId = 'A1SELLER', topic, meaning } = notificationCases[name] ?? ignored('no case');
    const connection = await installation.connect('amazon', {
      settings: { sellerId },
      answer: answerOrder(announcedOrder),
    });
    const body = JSON.stringify(example);
    expect(await connection.post(body, forwarded)).toBe(204);
    expect(await connection.delivered()).toEqual([
      {
        status: 'processed',
        topic,
        deliveryId:
          example.NotificationMetadata?.NotificationId ?? example.notificationMetadata?.notificationId,
        body,
        meaning: [meaning],
        note: meaning.kind === 'ignored' ? meaning.reason : null,
      },
    ]);
  });
});

test('the order of the ORDER_CHANGE example is fetched and holds its ten units', async () => {
  const connection = await installation.connect('amazon', { answer: answerOrder(announcedOrder) });
  await connection.stock('SellerSKUID1', 12);
  const body = orderChange('A1SELLER', announcedOrder.orderId, marketplaceId);
  expect(await connection.post(body, forwarded)).toBe(204);
  expect(await connection.delivered()).toMatchObject([{ note: null }]);
  expect(await connection.item('SellerSKUID1')).toEqual({ quantity: 12, reserved: 10 });
});

describeBySpecification("the orders of Amazon's model", () => {
  test.each(documentedOrders(amazonExamples()).map((order) => [order.orderId, order] as const))(
    '%s is announced, fetched and stored by value, and moves its stock',
    async (orderId, order) => {
      const inMarketplace = order.salesChannel.marketplaceId;
      const connection = await installation.connect('amazon', {
        settings: { marketplaceId: inMarketplace },
        answer: answerOrder(order),
      });
      const expected = expectedOrder(order);
      for (const { sku } of expected.lines) await connection.stock(sku ?? '', 5);
      expect(await connection.post(orderChange('A1SELLER', orderId, inMarketplace), forwarded)).toBe(204);
      expect(await connection.delivered()).toMatchObject([{ topic: 'ORDER_CHANGE', note: null }]);
      expect(await connection.orders()).toEqual([expected]);
      for (const { sku, reserved, shipped } of expected.lines)
        expect(await connection.item(sku ?? '')).toEqual({ quantity: 5 - shipped, reserved });
    },
  );
});

// -------------------------------------------------------------------------------------------------------------------- eBay

const vectorStatus: Readonly<Record<string, number>> = {
  VALID: 204,
  INVALID: 412,
  SIGNATURE_MISMATCH: 412,
  // The vector in which eBay does not answer with a key.
  ERROR: 412,
};

describeBySpecification("eBay's signature vectors", () => {
  test.each(Object.entries(signatureVectors))('%s is answered and stored or not', async (name, vector) => {
    const connection = await installation.connect('ebay', {
      answer: () => (vector.response === null ? { status: 404 } : { json: vector.response }),
    });
    const body = JSON.stringify(vector.message);
    const status = await connection.post(body, { 'x-ebay-signature': vector.signature });
    expect(status).toBe(vectorStatus[name]);
    const topic = 'MARKETPLACE_ACCOUNT_DELETION';
    const reason = `topic ${topic} changes no order`;
    const { notification } = vector.message as { notification: { notificationId: string } };
    const stored = {
      status: 'processed',
      topic,
      deliveryId: notification.notificationId,
      body,
      meaning: [{ kind: 'ignored', reason }],
      note: reason,
    };
    expect(await connection.delivered()).toEqual(status === 204 ? [stored] : []);
    expect(connection.channel.requests.at(-1)?.path).toMatch(/^\/commerce\/notification\/v1\/public_key\//);
  });
});

test("eBay's challenge vector is answered for the address that eBay was given", async () => {
  const settings = { webhookUrl: 'https://sync.example.com/webhooks/ebay' };
  const connection = await installation.connect('ebay', { settings });
  const response = await connection.get('challenge_code=abc123challenge');
  expect(response.status).toBe(200);
  expect(await response.text()).toBe(
    '{"challengeResponse":"aaac99e11b3b91ce03760f6981933313df47c987f86edf06cdc3e058e8f25062"}',
  );
});

test("eBay's documented ORDER_CONFIRMATION makes its documented order be fetched and hold its units", async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = publicKey.export({ type: 'spki', format: 'pem' });
  const [raw] = (recording('ebay/orders') as { orders: unknown[] }).orders;
  const connection = await installation.connect('ebay', {
    answer: ({ path }) => {
      if (path.endsWith('/order/12-00001-00001')) return { json: raw };
      return path.includes('/public_key/') ? { json: { key, algorithm: 'ECDSA', digest: 'SHA1' } } : {};
    },
  });
  await connection.stock('MUG-BLUE', 5);
  const body = JSON.stringify(recording('ebay/orderConfirmation'));
  const signature = createSign('SHA1').update(body).sign(privateKey, 'base64');
  const header = Buffer.from(JSON.stringify({ alg: 'ecdsa', kid: 'k1', signature, digest: 'SHA1' }));
  expect(await connection.post(body, { 'x-ebay-signature': header.toString('base64') })).toBe(204);
  expect(await connection.delivered()).toEqual([
    {
      status: 'processed',
      topic: 'ORDER_CONFIRMATION',
      deliveryId: 'e9569bb0-0001_64aa8d87-0001',
      body,
      meaning: [{ kind: 'orderChanged', orderId: '12-00001-00001' }],
      note: null,
    },
  ]);
  expect(await connection.orders()).toEqual([
    twoMugs({ orderId: '12-00001-00001', raw }, { lineId: '10000000001' }),
  ]);
  expect(await connection.item('MUG-BLUE')).toEqual({ quantity: 5, reserved: 2 });
});
