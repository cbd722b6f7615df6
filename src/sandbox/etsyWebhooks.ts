/** Etsy's webhooks: four order events and nothing about stock, signed as Standard Webhooks. */
import { createHmac } from 'node:crypto';
import type { Delivery } from './channel.ts';
import { epochSeconds } from './etsyBodies.ts';
import { etsyApp, etsyShopId } from './etsyTokens.ts';
import type { Order, OrderChangeKind, ShopEvent } from './goods.ts';
import type { Random } from './random.ts';

/** The signed text is `id.timestamp.body`, the key the secret's base64 part. */
export function etsySignature(secret: string, id: string, timestamp: number, body: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/u, ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`, 'utf8').digest('base64')}`;
}

/** Unpaid orders and edits are not told. */
function eventType(change: OrderChangeKind, order: Order): string | null {
  if (change === 'placed') return order.paidAt === null ? null : 'order.paid';
  const types: Partial<Record<OrderChangeKind, string>> = {
    paid: 'order.paid',
    cancelled: 'order.canceled',
    shipped: 'order.shipped',
    delivered: 'order.delivered',
  };
  return types[change] ?? null;
}

export function etsyDeliveries(event: ShopEvent, random: Random): readonly Delivery[] {
  if (event.kind !== 'order') return [];
  const topic = eventType(event.change, event.order);
  if (topic === null) return [];
  const id = `msg_${random.text(24)}`;
  const body = JSON.stringify({
    event_type: topic,
    resource_url: `https://openapi.etsy.com/v3/application/shops/${etsyShopId}/receipts/${event.order.id}`,
    shop_id: etsyShopId,
  });
  const headers = (_attempt: number, at: number) => {
    const timestamp = epochSeconds(at);
    return {
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': etsySignature(etsyApp.webhookSecret, id, timestamp, body),
    };
  };
  return [{ id, topic, body, headers }];
}
