/** Reads eBay orders changed since a time, oldest change first, and none is jumped over when orders move between pages. */

import { z } from 'zod';
import { ChannelError, type Order, type OrderLine, type OrderStatus } from '../connector.ts';
import { moneyPerUnit } from '../money.ts';
import { instantSchema, moneyOrNull, parseBody, parseValue } from '../wire.ts';
import type { EbayApi } from './auth.ts';

const amountSchema = z.object({ value: z.string(), currency: z.string() });

const lineItemSchema = z.object({
  lineItemId: z.string(),
  sku: z.string().nullish(),
  title: z.string().nullish(),
  quantity: z.int().nonnegative(),
  lineItemCost: amountSchema.nullish(),
  lineItemFulfillmentStatus: z.string().nullish(),
});
type LineItem = z.output<typeof lineItemSchema>;

const contactSchema = z.object({ fullName: z.string().nullish() }).nullish();
const orderSchema = z.object({
  orderId: z.string().min(1),
  creationDate: instantSchema,
  lastModifiedDate: instantSchema,
  orderFulfillmentStatus: z.string().nullish(),
  orderPaymentStatus: z.string().nullish(),
  cancelStatus: z.object({ cancelState: z.string().nullish() }).nullish(),
  buyer: z.object({ buyerRegistrationAddress: contactSchema }).nullish(),
  pricingSummary: z.object({ total: amountSchema.nullish() }).nullish(),
  fulfillmentStartInstructions: z
    .array(z.object({ shippingStep: z.object({ shipTo: contactSchema }).nullish() }))
    .nullish(),
  lineItems: z.array(lineItemSchema),
});
type EbayOrder = z.output<typeof orderSchema>;

type Row = { readonly order: EbayOrder; readonly raw: unknown };

/** eBay's largest page. Here `offset` counts orders. */
const pageSize = 200;
/** The span that is read and sorted as one: a busy week fits memory, and two years are about a hundred calls. */
const windowMs = 7 * 86_400_000;
/** eBay answers orders of the last two years. */
const reachMs = 730 * 86_400_000;
const restartsMax = 5;

/**
 * eBay promises no sorting. So each window of time is collected whole, sorted, and then handed on. An order that changes meanwhile leaves its
 * window for the last one, which has no end.
 */
export async function* changedOrders(api: EbayApi, since: Date): AsyncIterable<readonly Order[]> {
  const lastWindowAt = api.now() - windowMs;
  let from = Math.max(since.getTime(), api.now() - reachMs);
  while (from < lastWindowAt) {
    // eBay counts both ends in, and its times are whole milliseconds.
    yield* sortedWindow(api, from, from + windowMs - 1);
    from += windowMs;
  }
  yield* sortedWindow(api, from, null);
}

async function* sortedWindow(api: EbayApi, from: number, to: number | null): AsyncIterable<readonly Order[]> {
  const rows = await collectWindow(api, from, to);
  const sorted = rows.toSorted(
    (a, b) => a.order.lastModifiedDate.getTime() - b.order.lastModifiedDate.getTime(),
  );
  for (let start = 0; start < sorted.length; start += pageSize) {
    const page: Order[] = [];
    for (const row of sorted.slice(start, start + pageSize)) page.push(await orderOf(api, row));
    yield page;
  }
}

/**
 * The newest version of every order in the window. Each page repeats the last order of the page before; when it does not, rows have moved and
 * some may have been jumped over: the window is read again.
 */
async function collectWindow(api: EbayApi, from: number, to: number | null): Promise<readonly Row[]> {
  const rows = new Map<string, Row>();
  let offset = 0;
  let last: string | null = null;
  let restarts = 0;
  for (;;) {
    const page = await orderPage(api, from, to, offset);
    if (offset > 0 && page.rows[0]?.order.orderId !== last) {
      restarts += 1;
      if (restarts > restartsMax)
        throw new ChannelError('unavailable', 'ebay.getOrders: the orders keep moving');
      offset = 0;
      continue;
    }
    for (const row of page.rows) keepNewest(rows, row);
    if (!page.more) return [...rows.values()];
    if (page.rows.length < 2) {
      throw new ChannelError('invalid_response', 'ebay.getOrders: a page ended before the promised total');
    }
    last = page.rows.at(-1)?.order.orderId ?? null;
    offset += page.rows.length - 1;
  }
}

function keepNewest(rows: Map<string, Row>, row: Row): void {
  const known = rows.get(row.order.orderId)?.order.lastModifiedDate;
  if (known === undefined || row.order.lastModifiedDate >= known) rows.set(row.order.orderId, row);
}

const pageSchema = z.object({
  total: z.int().nonnegative().optional(),
  next: z.string().nullish(),
  orders: z.array(z.unknown()).default([]),
});

async function orderPage(
  api: EbayApi,
  from: number,
  to: number | null,
  offset: number,
): Promise<{ readonly rows: readonly Row[]; readonly more: boolean }> {
  const operation = 'ebay.getOrders';
  const end = to === null ? '' : new Date(to).toISOString();
  const filter = `lastmodifieddate:[${new Date(from).toISOString()}..${end}]`;
  // `next` is believed as a sign, never called: its host would be given the seller's token.
  const path = `/sell/fulfillment/v1/order?filter=${encodeURIComponent(filter)}&limit=${pageSize}&offset=${offset}`;
  const response = await api.call({ api: 'fulfillment', method: 'GET', path, operation, retry: 'safe' });
  const { total, next, orders } = parseBody(pageSchema, response, operation);
  const rows = orders.map((raw) => ({ order: parseValue(orderSchema, raw, operation), raw }));
  return { rows, more: Boolean(next) || (total !== undefined && offset + rows.length < total) };
}

/** One order, or null when eBay does not know it. */
export async function findOrder(api: EbayApi, orderId: string): Promise<Order | null> {
  const operation = 'ebay.getOrder';
  const response = await api.call({
    api: 'fulfillment',
    method: 'GET',
    path: orderPath(orderId),
    operation,
    retry: 'safe',
    answers: [404],
  });
  if (response.status === 404) return null;
  const raw = parseBody(z.unknown(), response, operation);
  return orderOf(api, { order: parseValue(orderSchema, raw, operation), raw });
}

export function orderPath(orderId: string): string {
  return `/sell/fulfillment/v1/order/${encodeURIComponent(orderId)}`;
}

async function orderOf(api: EbayApi, { order, raw }: Row): Promise<Order> {
  const status = statusOf(order);
  // Only a line of several units, some of them shipped, does not say how many.
  const partly = order.lineItems.some(
    (line) => line.lineItemFulfillmentStatus === 'IN_PROGRESS' && line.quantity > 1,
  );
  const parcels = partly && status !== 'cancelled' ? await fulfillments(api, order.orderId) : [];
  const sent = unitsSent(parcels);
  const { total } = order.pricingSummary ?? {};
  return {
    orderId: order.orderId,
    status,
    customerName: nameOf(order),
    total: moneyOrNull(total?.value, total?.currency),
    createdAt: order.creationDate,
    updatedAt: order.lastModifiedDate,
    lines: order.lineItems.map((line) => lineOf(line, status, sent.get(line.lineItemId) ?? 0)),
    raw,
  };
}

/** First match wins. A full refund alone is no cancellation: the goods may be on their way. */
function statusOf(order: EbayOrder): OrderStatus {
  const cancelState = order.cancelStatus?.cancelState ?? '';
  if (cancelState === 'CANCELED' || cancelState === 'CANCELLED') return 'cancelled';
  if (order.orderPaymentStatus === 'FAILED') return 'cancelled';
  if (order.orderFulfillmentStatus === 'FULFILLED') return 'shipped';
  return order.orderPaymentStatus === 'PENDING' ? 'pending' : 'processing';
}

function lineOf(line: LineItem, status: OrderStatus, sentInParcels: number): OrderLine {
  const shipped = status === 'cancelled' ? 0 : shippedUnits(line, status, sentInParcels);
  const cost = moneyOrNull(line.lineItemCost?.value, line.lineItemCost?.currency);
  return {
    lineId: line.lineItemId,
    address: line.sku ? { unitId: line.sku, variantId: '' } : null,
    sku: line.sku || null,
    title: line.title ?? '',
    ordered: line.quantity,
    reserved: status === 'cancelled' ? 0 : line.quantity - shipped,
    shipped,
    // eBay sends the cost of the whole line, before discounts.
    unitPrice: cost === null ? null : moneyPerUnit(cost, line.quantity),
  };
}

function shippedUnits(line: LineItem, status: OrderStatus, sentInParcels: number): number {
  if (status === 'shipped' || line.lineItemFulfillmentStatus === 'FULFILLED') return line.quantity;
  return line.lineItemFulfillmentStatus === 'IN_PROGRESS' ? Math.min(sentInParcels, line.quantity) : 0;
}

function nameOf(order: EbayOrder): string | null {
  const shipTo = order.fulfillmentStartInstructions?.[0]?.shippingStep?.shipTo?.fullName;
  return shipTo || order.buyer?.buyerRegistrationAddress?.fullName || null;
}

// --------------------------------------------------------------------------------------------------------------- parcels

const fulfillmentsSchema = z.object({
  fulfillments: z
    .array(
      z.object({
        shipmentTrackingNumber: z.string().nullish(),
        lineItems: z
          .array(z.object({ lineItemId: z.string(), quantity: z.int().positive().default(1) }))
          .default([]),
      }),
    )
    .default([]),
});
export type Fulfillment = z.output<typeof fulfillmentsSchema>['fulfillments'][number];

/** The parcels that eBay knows of an order. */
export async function fulfillments(api: EbayApi, orderId: string): Promise<readonly Fulfillment[]> {
  const operation = 'ebay.getShippingFulfillments';
  const path = `${orderPath(orderId)}/shipping_fulfillment`;
  const response = await api.call({ api: 'fulfillment', method: 'GET', path, operation, retry: 'safe' });
  return parseBody(fulfillmentsSchema, response, operation).fulfillments;
}

/** Units per line item over all parcels. */
export function unitsSent(parcels: readonly Fulfillment[]): ReadonlyMap<string, number> {
  const units = new Map<string, number>();
  for (const { lineItemId, quantity } of parcels.flatMap((parcel) => parcel.lineItems)) {
    units.set(lineItemId, (units.get(lineItemId) ?? 0) + quantity);
  }
  return units;
}
