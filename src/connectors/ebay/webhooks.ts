/** Checks eBay's notifications against eBay's own public keys and answers its endpoint check; says which order to fetch. */

import { createHash, createVerify } from 'node:crypto';
import { z } from 'zod';
import { ChannelError, type ChannelMessage, type WebhookReceipt, type WebhookRequest } from '../connector.ts';
import { jsonOrNull, parseBody } from '../wire.ts';
import type { EbayApi } from './auth.ts';
import { createPublicKeys, type PublicKey, type PublicKeys } from './publicKeys.ts';

/** eBay asks for this status when a notification fails its check. */
const signatureWrong = 412;

export type EbayWebhooks = {
  receive(request: WebhookRequest): Promise<WebhookReceipt>;
};

export function createWebhooks(api: EbayApi): EbayWebhooks {
  const publicKeys = createPublicKeys(api);
  return {
    receive: async (request) => {
      if (request.method === 'GET') return challenge(api, request);
      if (request.method === 'POST') return notification(publicKeys, request);
      return refused(405, `method ${request.method.slice(0, 20)}`);
    },
  };
}

/** eBay event notification SDK: hex SHA-256 of challenge code, verification token and endpoint, in this order. */
async function challenge(api: EbayApi, request: WebhookRequest): Promise<WebhookReceipt> {
  const code = request.query.get('challenge_code') ?? '';
  if (code === '' || code.length > 500) return refused(400, 'no challenge_code');
  const verificationToken = (await api.credentials())['verificationToken'] ?? '';
  if (verificationToken === '') {
    throw new ChannelError('misconfigured', 'ebay credentials: verificationToken is missing');
  }
  const endpoint = api.settings.webhookUrl ?? request.url;
  const challengeResponse = createHash('sha256')
    .update(code)
    .update(verificationToken)
    .update(endpoint)
    .digest('hex');
  return { kind: 'challenge', contentType: 'application/json', body: JSON.stringify({ challengeResponse }) };
}

const envelopeSchema = z.object({
  metadata: z.object({ topic: z.string().min(1) }),
  notification: z.object({ notificationId: z.string().min(1) }),
});

async function notification(publicKeys: PublicKeys, request: WebhookRequest): Promise<WebhookReceipt> {
  const claim = signatureIn(request.headers['x-ebay-signature'] ?? '');
  if (claim === null) return refused(signatureWrong, 'X-EBAY-SIGNATURE is missing or malformed');
  const key = await publicKeys.find(claim.kid);
  if (key === 'unavailable') return refused(503, 'the public key cannot be fetched now');
  if (key === null) return refused(signatureWrong, 'the public key is not known to eBay');
  if (!isSigned(key, claim.signature, request.body))
    return refused(signatureWrong, 'the signature does not match');
  const envelope = envelopeSchema.safeParse(jsonOrNull(request.body.toString('utf8'))).data;
  if (envelope === undefined) return refused(400, 'the body names no topic and notificationId');
  return {
    kind: 'verified',
    deliveryId: envelope.notification.notificationId,
    topic: envelope.metadata.topic,
  };
}

const claimSchema = z.object({
  kid: z.string().regex(/^[\w-]{1,100}$/),
  signature: z.string().regex(/^[A-Za-z0-9+/]{16,400}={0,2}$/),
});

/** The header is base64 of `{"alg","kid","signature","digest"}`. Algorithm and digest are taken from the key, never from here. */
function signatureIn(header: string): z.output<typeof claimSchema> | null {
  if (header.length > 2_000) return null;
  return claimSchema.safeParse(jsonOrNull(Buffer.from(header, 'base64').toString('utf8'))).data ?? null;
}

/** Over the raw bytes; then, as eBay's own SDK does it, over the body parsed and written again. */
function isSigned(key: PublicKey, signature: string, body: Buffer): boolean {
  if (verifies(key, signature, body)) return true;
  const parsed = jsonOrNull(body.toString('utf8'));
  return parsed !== null && verifies(key, signature, Buffer.from(JSON.stringify(parsed)));
}

function verifies({ pem, digest }: PublicKey, signature: string, content: Buffer): boolean {
  try {
    return createVerify(digest).update(content).verify(pem, signature, 'base64');
  } catch {
    // A signature that is no DER, or a key that is none.
    return false;
  }
}

// --------------------------------------------------------------------------------------------------------------- meaning

const orderTopics: ReadonlySet<string> = new Set([
  'ORDER_CONFIRMATION',
  'ITEM_MARKED_SHIPPED',
  'ORDER_CANCELLATION_ACTIVITY',
  'ORDER_RETURN_ACTIVITY',
]);
/** eBay documents where the order stands in these; in the others it has been seen in several places. */
const documentedTopics: ReadonlySet<string> = new Set(['ORDER_CONFIRMATION', 'ITEM_MARKED_SHIPPED']);

const namesOrder = z.object({ orderId: z.string().min(1) });
const dataSchema = z.object({ notification: z.object({ data: z.record(z.string(), z.unknown()) }) });

/** Throws `ChannelError` (`invalid_response`) when an order topic names no order. */
export function parseWebhook(topic: string, body: Buffer): readonly ChannelMessage[] {
  if (topic === 'AUTHORIZATION_REVOCATION') return [{ kind: 'authorizationRevoked' }];
  if (!orderTopics.has(topic)) return [{ kind: 'ignored', reason: `topic ${topic} changes no order` }];
  const operation = `ebay.webhook ${topic}`;
  const { data } = parseBody(dataSchema, { text: body.toString('utf8') }, operation).notification;
  for (const place of [data['order'], data, ...Object.values(data)]) {
    const found = namesOrder.safeParse(place).data;
    if (found !== undefined) return [{ kind: 'orderChanged', orderId: found.orderId }];
  }
  if (documentedTopics.has(topic))
    throw new ChannelError('invalid_response', `${operation}: no order.orderId`);
  return [{ kind: 'ignored', reason: `${topic} names no order; the next poll finds the change` }];
}

function refused(status: number, reason: string): WebhookReceipt {
  return { kind: 'refused', status, reason };
}
