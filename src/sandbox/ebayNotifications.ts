/** eBay's notifications: one per order line, without SKU or price, signed over exactly the bytes that are sent. */
import type { Delivery } from './channel.ts';
import type { EbayCatalogue } from './ebayCatalogue.ts';
import type { EbaySigner } from './ebaySignature.ts';
import type { EbayTopic } from './ebaySubscriptions.ts';
import type { Order, OrderChangeKind, ShopEvent } from './goods.ts';
import type { Random } from './random.ts';
import { uuidText } from './uuid.ts';

export type EbayNotificationSource = {
  readonly catalogue: EbayCatalogue;
  readonly signer: EbaySigner;
  readonly ids: Random;
  /** `{}` is the channel's own target; null: nobody subscribed. */
  readonly targetOf: (topic: EbayTopic) => { readonly target?: string } | null;
};

const topics: Partial<Record<OrderChangeKind, EbayTopic>> = {
  placed: 'ORDER_CONFIRMATION',
  paid: 'ORDER_CONFIRMATION',
  shipped: 'ITEM_MARKED_SHIPPED',
  cancelled: 'ORDER_CANCELLATION_ACTIVITY',
};

/** A buyer's order is confirmed when it is paid: at once, or later for an unpaid one. */
function topicOf(change: OrderChangeKind, order: Order): EbayTopic | null {
  return change === 'placed' && order.paidAt === null ? null : (topics[change] ?? null);
}

type LineUnits = { readonly lineId: string; readonly quantity: number };

/** The lines that the event is about: those of the newest parcel, or all. */
function linesOf(change: OrderChangeKind, order: Order): readonly LineUnits[] {
  if (change === 'shipped') return order.parcels.at(-1)?.lines ?? [];
  return order.lines.map(({ id, ordered }) => ({ lineId: id, quantity: ordered }));
}

export function ebayDeliveries(source: EbayNotificationSource, event: ShopEvent): readonly Delivery[] {
  if (event.kind !== 'order') return [];
  const topic = topicOf(event.change, event.order);
  const target = topic === null ? null : source.targetOf(topic);
  if (topic === null || target === null) return [];
  return linesOf(event.change, event.order).map((line) =>
    Object.assign(delivery(source, topic, event.order, line, event.at), target),
  );
}

function delivery(
  { catalogue, signer, ids }: EbayNotificationSource,
  topic: EbayTopic,
  order: Order,
  line: LineUnits,
  at: number,
): Delivery {
  const { userId, username } = catalogue.account;
  const bought = order.lines.find(({ id }) => id === line.lineId);
  const variant = bought === undefined ? undefined : catalogue.shop.variant(bought.variantId);
  const listingId = variant === undefined ? bought?.listingId : catalogue.listingId(variant, order.createdAt);
  const notificationId = `${uuidText(ids)}_${uuidText(ids)}`;
  const eventDate = new Date(at).toISOString();
  const bodyOf = (attempt: number): string =>
    JSON.stringify({
      metadata: { topic, schemaVersion: '1.0', deprecated: false },
      notification: {
        notificationId,
        eventDate,
        publishDate: eventDate,
        publishAttemptCount: attempt,
        data: {
          user: { userId, username },
          order: {
            orderId: order.id,
            orderLineItems: [{ orderLineItemId: line.lineId, listingId, quantity: line.quantity }],
          },
        },
      },
    });
  return {
    id: notificationId,
    topic,
    body: bodyOf(1),
    bodyOf,
    headers: (attempt) => ({ 'x-ebay-signature': signer.sign(bodyOf(attempt)) }),
  };
}
