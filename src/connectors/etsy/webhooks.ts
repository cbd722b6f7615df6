/** Checks Etsy's deliveries (Standard Webhooks over the raw bytes) and says which order to fetch; no URL from a delivery is ever called. */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { ChannelError, type ChannelMessage, type WebhookReceipt, type WebhookRequest } from '../connector.ts';
import { identifierSchema, parseBody } from '../wire.ts';
import type { EtsyApi } from './auth.ts';

/** Standard Webhooks: a delivery older or newer than five minutes may be a replay. */
const toleranceMs = 300_000;
/** More signatures than any key rotation needs. */
const signaturesMax = 16;

const envelopeSchema = z.object({ event_type: z.string().min(1) });
const orderEventSchema = z.object({ resource_url: z.string(), shop_id: identifierSchema.optional() });

/** Throws `ChannelError` (`misconfigured`) when the connection has no webhook secret. */
export async function receiveWebhook(api: EtsyApi, request: WebhookRequest): Promise<WebhookReceipt> {
  if (request.method !== 'POST') return refused(405, `method ${request.method.slice(0, 20)}`);
  const deliveryId = request.headers['webhook-id'] ?? '';
  const timestamp = request.headers['webhook-timestamp'] ?? '';
  const signatures = request.headers['webhook-signature'] ?? '';
  if (deliveryId === '' || signatures === '' || !/^\d{1,12}$/.test(timestamp)) {
    return refused(401, 'a Standard Webhooks header is missing or malformed');
  }
  const secret = (await api.credentials())['webhookSecret'] ?? '';
  if (secret === '') throw new ChannelError('misconfigured', 'etsy credentials: webhookSecret is missing');
  const expected = createHmac('sha256', keyOf(secret))
    .update(`${deliveryId}.${timestamp}.`)
    .update(request.body)
    .digest();
  if (!anyMatches(signatures, expected)) return refused(401, 'no signature matches');
  if (Math.abs(api.now() - Number(timestamp) * 1000) > toleranceMs)
    return refused(401, 'the timestamp is too far off');
  const topic = topicOf(request.body);
  return topic === null
    ? refused(400, 'the body names no event_type')
    : { kind: 'verified', deliveryId, topic };
}

/** The body is a hint that an order changed. Throws `ChannelError` (`invalid_response`) when it does not name a receipt. */
export function parseWebhook(api: EtsyApi, topic: string, body: Buffer): readonly ChannelMessage[] {
  if (!topic.startsWith('order.'))
    return [{ kind: 'ignored', reason: `topic ${topic} says nothing about orders` }];
  const { resource_url, shop_id } = parseBody(
    orderEventSchema,
    { text: body.toString('utf8') },
    `etsy.webhook ${topic}`,
  );
  const receipt = receiptIn(resource_url);
  if (receipt === null) {
    throw new ChannelError(
      'invalid_response',
      `etsy.webhook ${topic}: resource_url is not the path of a receipt`,
    );
  }
  const ours = api.settings.shopId;
  if (receipt.shopId !== ours || (shop_id !== undefined && shop_id !== ours)) {
    return [{ kind: 'ignored', reason: 'the receipt belongs to another shop' }];
  }
  return [{ kind: 'orderChanged', orderId: receipt.receiptId }];
}

/** The numbers alone are taken: the host of the URL is whatever the sender wrote. */
function receiptIn(resourceUrl: string): { readonly shopId: string; readonly receiptId: string } | null {
  if (!URL.canParse(resourceUrl)) return null;
  const path = /^\/v3\/application\/shops\/(\d{1,19})\/receipts\/(\d{1,19})\/?$/.exec(
    new URL(resourceUrl).pathname,
  );
  const [, shopId, receiptId] = path ?? [];
  return shopId === undefined || receiptId === undefined ? null : { shopId, receiptId };
}

function keyOf(secret: string): Buffer {
  return Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
}

/** The header is a list separated by spaces, each `v1,<base64>`; Etsy's own page shows the base64 alone. */
function anyMatches(header: string, expected: Buffer): boolean {
  const candidates = header.split(' ').slice(0, signaturesMax);
  let matches = false;
  for (const candidate of candidates) {
    const given = Buffer.from(candidate.replace(/^v1,/, ''), 'base64');
    // No early end: the time taken must not tell which one was right.
    if (given.length === expected.length && timingSafeEqual(given, expected)) matches = true;
  }
  return matches;
}

function topicOf(body: Buffer): string | null {
  try {
    return parseBody(envelopeSchema, { text: body.toString('utf8') }, 'etsy.webhook').event_type;
  } catch {
    return null;
  }
}

function refused(status: number, reason: string): WebhookReceipt {
  return { kind: 'refused', status, reason };
}
