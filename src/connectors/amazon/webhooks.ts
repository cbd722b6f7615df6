/** Takes Amazon notifications over HTTP behind a bearer token, bare or in an EventBridge envelope, and says what each means. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import {
  ChannelError,
  type ChannelMessage,
  type Credentials,
  type WebhookReceipt,
  type WebhookRequest,
} from '../connector.ts';
import { instantSchema, jsonOrNull, parseValue } from '../wire.ts';
import type { AmazonSettings } from './auth.ts';

const notificationSchema = z.looseObject({
  NotificationType: z.string().min(1),
  EventTime: instantSchema,
  Payload: z.unknown(),
  NotificationMetadata: z.looseObject({ NotificationId: z.string().min(1) }),
});

/** Some notification types spell every member in lower camel case. Only their name is needed, to ignore them. */
const lowerCaseSchema = z.looseObject({
  notificationType: z.string().min(1),
  notificationMetadata: z.looseObject({ notificationId: z.string().min(1) }),
});

const orderChangeSchema = z.looseObject({
  OrderChangeNotification: z.looseObject({
    SellerId: z.string(),
    AmazonOrderId: z.string().min(1),
    Summary: z.looseObject({ MarketplaceId: z.string().nullish() }).nullish(),
  }),
});

const quantityChangeSchema = z.looseObject({
  SellerId: z.string(),
  FulfillmentChannelCode: z.string(),
  Sku: z.string().min(1),
  Quantity: z.int(),
});

/** Amazon signs nothing: who may deliver is decided by the token that the seller's own forwarder sends. */
export function receiveAmazonWebhook(request: WebhookRequest, credentials: Credentials): WebhookReceipt {
  const token = credentials['webhookToken'] ?? '';
  if (token === '') return { kind: 'refused', status: 404, reason: 'the connection has no webhookToken' };
  const given = /^Bearer +(\S+)$/i.exec(request.headers['authorization'] ?? '')?.[1] ?? '';
  if (!sameSecret(token, given))
    return { kind: 'refused', status: 401, reason: 'the bearer token does not match' };
  const value = notificationOf(request.body);
  const notification = notificationSchema.safeParse(value);
  if (notification.success) {
    const { NotificationMetadata, NotificationType } = notification.data;
    return { kind: 'verified', deliveryId: NotificationMetadata.NotificationId, topic: NotificationType };
  }
  const lower = lowerCaseSchema.safeParse(value);
  if (lower.success) {
    const { notificationMetadata, notificationType } = lower.data;
    return { kind: 'verified', deliveryId: notificationMetadata.notificationId, topic: notificationType };
  }
  return { kind: 'refused', status: 400, reason: 'the body is not an Amazon notification' };
}

/** Over digests, so that neither content nor length shows in the time taken. */
function sameSecret(expected: string, given: string): boolean {
  return timingSafeEqual(digestOf(expected), digestOf(given));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The notification itself, taken out of an EventBridge envelope when there is one. Null when the body is not a JSON object. */
function notificationOf(body: Buffer): unknown {
  const value = jsonOrNull(body.toString('utf8'));
  if (typeof value !== 'object' || value === null) return null;
  return 'detail' in value && 'detail-type' in value ? value.detail : value;
}

/** Throws `ChannelError` (`invalid_response`) when the body is not what the topic promises. */
export function parseAmazonWebhook(
  topic: string,
  body: Buffer,
  settings: AmazonSettings,
): readonly ChannelMessage[] {
  const operation = `amazon notification ${topic.slice(0, 60)}`;
  if (topic === 'ORDER_CHANGE') return [orderMessage(read(body, operation), settings, operation)];
  if (topic === 'LISTINGS_ITEM_MFN_QUANTITY_CHANGE') {
    return [quantityMessage(read(body, operation), settings, operation)];
  }
  return [{ kind: 'ignored', reason: `${topic.slice(0, 60)} changes neither orders nor the seller's stock` }];
}

function read(body: Buffer, operation: string): z.output<typeof notificationSchema> {
  const value = notificationOf(body);
  if (value === null)
    throw new ChannelError('invalid_response', `${operation}: the body is not a JSON object`);
  return parseValue(notificationSchema, value, operation);
}

type Notification = z.output<typeof notificationSchema>;

function orderMessage(
  notification: Notification,
  settings: AmazonSettings,
  operation: string,
): ChannelMessage {
  const { OrderChangeNotification: change } = parseValue(orderChangeSchema, notification.Payload, operation);
  if (change.SellerId !== settings.sellerId) return { kind: 'ignored', reason: 'another seller' };
  const marketplaceId = change.Summary?.MarketplaceId ?? settings.marketplaceId;
  if (marketplaceId !== settings.marketplaceId) return { kind: 'ignored', reason: 'another marketplace' };
  return { kind: 'orderChanged', orderId: change.AmazonOrderId };
}

function quantityMessage(
  notification: Notification,
  settings: AmazonSettings,
  operation: string,
): ChannelMessage {
  const change = parseValue(quantityChangeSchema, notification.Payload, operation);
  if (change.SellerId !== settings.sellerId) return { kind: 'ignored', reason: 'another seller' };
  if (change.FulfillmentChannelCode !== 'DEFAULT') {
    return { kind: 'ignored', reason: 'a quantity that the seller does not keep' };
  }
  const address = { unitId: change.Sku, variantId: '' };
  return { kind: 'stockChanged', address, quantity: change.Quantity, at: notification.EventTime };
}
