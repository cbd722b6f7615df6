/** Reads Amazon orders (Orders API 2026-01-01); orders that Amazon ships from its own warehouses hold none of the seller's units. */

import { z } from 'zod';
import { ChannelError, type Order, type OrderLine, type OrderStatus } from '../connector.ts';
import { instantSchema, moneyOrNull, parseBody, withRaw } from '../wire.ts';
import { type AmazonApi, amazonError } from './api.ts';

const ordersPath = '/orders/2026-01-01/orders';
/** Data sets that the order below is read from. Those the application has no role for are simply absent from the answer. */
const includedData = 'BUYER,RECIPIENT,PROCEEDS,FULFILLMENT,CANCELLATION,PACKAGES';
const ordersPerPage = 100;

const moneySchema = z.looseObject({ amount: z.string(), currencyCode: z.string() }).nullish();

const itemSchema = z.looseObject({
  orderItemId: z.string().min(1),
  quantityOrdered: z.int().min(0),
  product: z.looseObject({
    title: z.string().nullish(),
    sellerSku: z.string().nullish(),
    price: z.looseObject({ unitPrice: moneySchema }).nullish(),
  }),
  fulfillment: z
    .looseObject({
      quantityFulfilled: z.int().min(0).nullish(),
      quantityUnfulfilled: z.int().min(0).nullish(),
    })
    .nullish(),
});

const packageSchema = z.looseObject({
  packageReferenceId: z.string(),
  trackingNumber: z.string().nullish(),
  packageStatus: z.looseObject({ status: z.string() }).nullish(),
  packageItems: z.array(z.looseObject({ orderItemId: z.string(), quantity: z.int() })).nullish(),
});

const amazonOrderSchema = z.looseObject({
  orderId: z.string().min(1),
  createdTime: instantSchema,
  lastUpdatedTime: instantSchema,
  buyer: z.looseObject({ buyerName: z.string().nullish() }).nullish(),
  recipient: z
    .looseObject({ deliveryAddress: z.looseObject({ name: z.string().nullish() }).nullish() })
    .nullish(),
  proceeds: z.looseObject({ grandTotal: moneySchema }).nullish(),
  fulfillment: z.looseObject({ fulfillmentStatus: z.string(), fulfilledBy: z.string().nullish() }).nullish(),
  orderItems: z.array(itemSchema),
  packages: z.array(packageSchema).nullish(),
});

const pageSchema = z.looseObject({
  orders: z.array(withRaw(amazonOrderSchema)),
  pagination: z.looseObject({ nextToken: z.string().nullish() }).nullish(),
});
const oneSchema = z.looseObject({ order: withRaw(amazonOrderSchema) });

export type AmazonOrder = z.output<typeof amazonOrderSchema>;

/** An order as checked, and as Amazon wrote it. */
export type AmazonOrderAnswer = { readonly value: AmazonOrder; readonly raw: unknown };

/** Null when Amazon does not know the order. */
export async function fetchAmazonOrder(api: AmazonApi, orderId: string): Promise<AmazonOrderAnswer | null> {
  const response = await api.send({
    operation: 'getOrder',
    method: 'GET',
    path: `${ordersPath}/${encodeURIComponent(orderId)}`,
    query: { includedData },
    retry: 'safe',
  });
  if (response.status === 404) return null;
  if (response.status !== 200) throw amazonError(response, 'getOrder');
  return parseBody(oneSchema, response, 'amazon.getOrder').order;
}

/** Changes of so long ago can be asked for by themselves: Amazon takes an end of the window that is two minutes past, and clocks differ. */
const settledAfterMs = 150_000;
/** Readings of the newest changes, page after page, before orders that keep moving are an error. */
const walksMax = 3;
const secondMs = 1_000;
/** How far Amazon's clock may be from ours. */
const clockSkewMs = 1_000;

type TimeSpan = { readonly from: number; readonly to: number | null };
type OrderPage = { readonly orders: Order[]; readonly next: string | null };

/**
 * Every order changed since then. Amazon documents no order of the results, so only each page is sorted. An order that changes while page after page is
 * read leaves its place, and may pull another over the edge of a page, where nobody reads it. One page is one answer: so a span of time that has more is
 * halved until each part fits one, oldest first, and an order that moves is met again in a later part. Only the newest changes, which cannot be asked for
 * by themselves yet, are read page after page, and once more when one of their orders moved meanwhile.
 */
export async function* amazonOrdersSince(api: AmazonApi, since: Date): AsyncGenerator<Order[]> {
  let from = Math.floor(since.getTime() / secondMs) * secondMs;
  const first = await orderPage(api, { from, to: null }, null, false);
  yield first.orders;
  if (first.next === null) return;
  for (let walk = 1; walk <= walksMax; walk++) {
    const settled = Math.floor((api.now() - settledAfterMs) / secondMs) * secondMs;
    if (settled > from) {
      yield* settledOrders(api, from, settled);
      from = settled;
    }
    if (!(yield* newestOrders(api, from))) return;
  }
  throw new ChannelError('unavailable', 'amazon.searchOrders: the orders keep moving');
}

/** Both ends are counted in, so that two halves meet in a second that both of them read. */
async function* settledOrders(api: AmazonApi, from: number, to: number): AsyncGenerator<Order[]> {
  const { orders, next } = await orderPage(api, { from, to }, null, true);
  yield orders;
  if (next === null) return;
  const middle = from + Math.floor((to - from) / 2 / secondMs) * secondMs;
  if (middle <= from)
    throw new ChannelError('unavailable', 'amazon.searchOrders: too many orders in a second');
  yield* settledOrders(api, from, middle);
  yield* settledOrders(api, middle, to);
}

/** Page after page, and then what changed meanwhile. True when an order was met that had moved, so that another may have been jumped over. */
async function* newestOrders(api: AmazonApi, from: number): AsyncGenerator<Order[], boolean> {
  const seen = new Map<string, Date>();
  const startedAt = Math.floor((api.now() - clockSkewMs) / secondMs) * secondMs;
  let moved = false;
  let pages = 0;
  const take = (orders: readonly Order[]) => {
    moved ||= orders.some(({ orderId, updatedAt }) => updatedAt > (seen.get(orderId) ?? updatedAt));
    for (const { orderId, updatedAt } of orders) seen.set(orderId, updatedAt);
  };
  for (const span of [
    { from, to: null },
    { from: Math.max(from, startedAt), to: null },
  ]) {
    let token: string | null = null;
    do {
      const page: OrderPage = await orderPage(api, span, token, true);
      take(page.orders);
      yield page.orders;
      pages += 1;
      token = page.next;
    } while (token !== null);
    if (pages === 1) return false;
  }
  return moved;
}

/**
 * At most 100. With a `token`, and where `patient`, the call waits for the next token of the usage plan (about three minutes at the default rate): giving
 * up would start over with the first page.
 */
async function orderPage(
  api: AmazonApi,
  { from, to }: TimeSpan,
  token: string | null,
  patient: boolean,
): Promise<OrderPage> {
  const response = await api.send({
    operation: 'searchOrders',
    method: 'GET',
    path: ordersPath,
    query: {
      marketplaceIds: api.settings.marketplaceId,
      lastUpdatedAfter: new Date(from).toISOString(),
      ...(to === null ? {} : { lastUpdatedBefore: new Date(to).toISOString() }),
      maxResultsPerPage: String(ordersPerPage),
      includedData,
      ...(token === null ? {} : { paginationToken: token }),
    },
    retry: 'safe',
    patient: patient || token !== null,
  });
  if (response.status !== 200) throw amazonError(response, 'searchOrders');
  const page: z.output<typeof pageSchema> = parseBody(pageSchema, response, 'amazon.searchOrders');
  const orders = page.orders.map((order) => orderOf(order));
  const next = page.pagination?.nextToken ?? '';
  return {
    orders: orders.toSorted((a, b) => a.updatedAt.getTime() - b.updatedAt.getTime()),
    next: next === '' ? null : next,
  };
}

export function orderOf({ value: order, raw }: AmazonOrderAnswer): Order {
  const status = statusOf(order);
  // Amazon's own stock: the seller's shelf neither holds nor loses these units.
  const byAmazon = order.fulfillment?.fulfilledBy === 'AMAZON';
  const total = order.proceeds?.grandTotal;
  return {
    orderId: order.orderId,
    status,
    customerName: order.buyer?.buyerName ?? order.recipient?.deliveryAddress?.name ?? null,
    total: moneyOrNull(total?.amount, total?.currencyCode),
    createdAt: order.createdTime,
    updatedAt: order.lastUpdatedTime,
    lines: order.orderItems.map((item) => lineOf(item, status, byAmazon)),
    raw,
  };
}

/** First match wins. `UNFULFILLABLE` counts as cancelled: nothing will leave the shelf for it. */
function statusOf(order: AmazonOrder): OrderStatus {
  const packages = (order.packages ?? []).filter((parcel) => parcel.packageStatus?.status !== 'CANCELLED');
  const status = order.fulfillment?.fulfillmentStatus ?? '';
  switch (status) {
    case 'CANCELLED':
    case 'UNFULFILLABLE':
      return 'cancelled';
    case 'SHIPPED':
      return packages.length > 0 && packages.every((parcel) => parcel.packageStatus?.status === 'DELIVERED')
        ? 'delivered'
        : 'shipped';
    case 'PENDING':
    case 'PENDING_AVAILABILITY':
      return 'pending';
    default:
      return 'processing';
  }
}

function lineOf(item: AmazonOrder['orderItems'][number], status: OrderStatus, byAmazon: boolean): OrderLine {
  const sku = item.product.sellerSku ?? null;
  const price = item.product.price?.unitPrice;
  const levels = status === 'cancelled' || byAmazon ? { reserved: 0, shipped: 0 } : levelsOf(item, status);
  return {
    lineId: item.orderItemId,
    address: sku === null ? null : { unitId: sku, variantId: '' },
    sku,
    title: item.product.title ?? '',
    ordered: item.quantityOrdered,
    ...levels,
    unitPrice: moneyOrNull(price?.amount, price?.currencyCode),
  };
}

/** The two quantities of the FULFILLMENT data set follow partial cancellations; without it everything ordered counts. */
function levelsOf(
  item: AmazonOrder['orderItems'][number],
  status: OrderStatus,
): { readonly reserved: number; readonly shipped: number } {
  const fulfilled = item.fulfillment?.quantityFulfilled ?? null;
  const unfulfilled = item.fulfillment?.quantityUnfulfilled ?? null;
  if (fulfilled !== null || unfulfilled !== null) {
    const shipped = fulfilled ?? Math.max(0, item.quantityOrdered - (unfulfilled ?? 0));
    return { reserved: unfulfilled ?? Math.max(0, item.quantityOrdered - shipped), shipped };
  }
  const gone = status === 'shipped' || status === 'delivered';
  return gone
    ? { reserved: 0, shipped: item.quantityOrdered }
    : { reserved: item.quantityOrdered, shipped: 0 };
}
