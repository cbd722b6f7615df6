/** Etsy's order calls: receipts by change time, one receipt, tracking, marking as shipped. */
import type { Call, Route } from './channel.ts';
import { type EtsyAccess, etsyRefusal } from './etsyAccess.ts';
import { epochSeconds, isShipped, receiptBody } from './etsyBodies.ts';
import { pageOf, queryInteger, requireShop } from './etsyListings.ts';
import type { Order } from './goods.ts';
import { parameters, type Reply } from './http.ts';
import { openQuantity } from './orderState.ts';
import type { Shop } from './world.ts';

/** Etsy refuses times before the year 2000. */
const earliest = 946_684_800;

const flags: Readonly<Record<string, (order: Order) => boolean>> = {
  was_paid: (order) => order.paidAt !== null,
  was_shipped: isShipped,
  was_delivered: (order) =>
    order.parcels.length > 0 && order.parcels.every(({ deliveredAt }) => deliveredAt !== null),
  was_canceled: (order) => order.cancelledAt !== null,
};

const ascending = new Set(['asc', 'ascending', 'up']);

export function etsyReceiptRoutes(shop: Shop, access: EtsyAccess): readonly Route[] {
  const find = (call: Call): Order => {
    requireShop(call);
    const order = shop.orders.get(call.params['receiptId'] ?? '');
    if (order === undefined) throw etsyRefusal(404, 'Receipt not found');
    return order;
  };

  const changedAt = (order: Order) => epochSeconds(shop.orders.indexedAt(order) ?? order.updatedAt);

  const sortKeys: Readonly<Record<string, (order: Order) => number>> = {
    created: (order) => order.createdAt,
    updated: (order) => shop.orders.indexedAt(order) ?? order.updatedAt,
    receipt_id: (order) => Number(order.id),
  };

  function list(call: Call): Reply {
    requireShop(call);
    const { limit, offset } = pageOf(call.query);
    const inRange = (order: Order) =>
      within(call, 'last_modified', changedAt(order)) &&
      within(call, 'created', epochSeconds(order.createdAt));
    const flagged = (order: Order) =>
      Object.entries(flags).every(([name, read]) => {
        const wanted = call.query.get(name);
        return wanted === null || wanted === String(read(order));
      });
    const key = sortKeys[call.query.get('sort_on') ?? 'created'];
    if (key === undefined) throw etsyRefusal(400, 'Invalid value for sort_on');
    const direction = ascending.has(call.query.get('sort_order') ?? 'desc') ? 1 : -1;
    const found = shop.orders
      .modified(Number.NEGATIVE_INFINITY)
      .filter((order) => inRange(order) && flagged(order))
      .toSorted((a, b) => direction * (key(a) - key(b) || Number(a.id) - Number(b.id)));
    const results = call.cut(found.slice(offset, offset + limit)).map((order) => receiptBody(shop, order));
    return { status: 200, body: { count: found.length, results } };
  }

  const one = (call: Call): Reply => ({ status: 200, body: receiptBody(shop, find(call)) });

  /** Every call is another shipment, and another e-mail to the buyer. */
  function track(call: Call): Reply {
    const order = find(call);
    const form = parameters(call);
    const tracking = { carrier: form.get('carrier_name'), trackingNumber: form.get('tracking_code') };
    send(order, tracking);
    return { status: 200, body: receiptBody(shop, order) };
  }

  function send(
    order: Order,
    tracking: { readonly carrier: string | null; readonly trackingNumber: string | null },
  ): void {
    if (order.cancelledAt !== null) throw etsyRefusal(409, 'Receipt is canceled');
    if (order.lines.some((line) => openQuantity(line) > 0)) shop.orders.ship(order.id, tracking);
    else shop.orders.addParcel(order.id, tracking);
  }

  function update(call: Call): Reply {
    const order = find(call);
    const form = parameters(call);
    if (form.get('was_paid') === 'true') shop.orders.pay(order.id);
    if (form.get('was_shipped') === 'true' && !isShipped(order))
      send(order, { carrier: null, trackingNumber: null });
    return { status: 200, body: receiptBody(shop, order) };
  }

  const base = '/v3/application/shops/:shopId/receipts';
  return [
    { method: 'GET', path: base, operation: 'getShopReceipts', handle: access.guarded('user', list) },
    {
      method: 'GET',
      path: `${base}/:receiptId`,
      operation: 'getShopReceipt',
      handle: access.guarded('user', one),
    },
    {
      method: 'PUT',
      path: `${base}/:receiptId`,
      operation: 'updateShopReceipt',
      handle: access.guarded('user', update),
    },
    {
      method: 'POST',
      path: `${base}/:receiptId/tracking`,
      operation: 'createReceiptShipment',
      handle: access.guarded('user', track),
    },
  ];
}

/** `min_<name>` and `max_<name>` of the query, both included. */
function within(call: Call, name: string, seconds: number): boolean {
  const bounds = { min: earliest, max: Number.MAX_SAFE_INTEGER };
  const min = queryInteger(call.query, `min_${name}`, { ...bounds, fallback: earliest });
  const max = queryInteger(call.query, `max_${name}`, { ...bounds, fallback: Number.MAX_SAFE_INTEGER });
  return seconds >= min && seconds <= max;
}
