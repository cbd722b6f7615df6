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
  lastUpdatedBefore: instantSchema.nullish(),
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

/** Complete reads of all pages before orders that keep moving are an error. */
const walksMax = 3;

/**
 * Every order changed since then. Amazon documents no order of the results, so only each page is sorted. An order that changes while page after page is
 * read may leave its place and pull another over the edge of a page, where nobody reads it. So more than one page is followed by the changes made
 * meanwhile: when an order of those pages is among them, all is read once more.
 */
export async function* amazonOrdersSince(api: AmazonApi, since: Date): AsyncGenerator<Order[]> {
  for (let walk = 1; walk <= walksMax; walk++) {
    const seen = new Map<string, Date>();
    const movedIn = (orders: readonly Order[]) =>
      orders.some(({ orderId, updatedAt }) => updatedAt > (seen.get(orderId) ?? updatedAt));
    let startedAt: Date | null = null;
    let pages = 0;
    let moved = false;
    for await (const { orders, until } of orderPages(api, since, walk > 1)) {
      pages += 1;
      startedAt ??= until;
      moved ||= movedIn(orders);
      for (const { orderId, updatedAt } of orders) seen.set(orderId, updatedAt);
      if (orders.length > 0) yield orders;
    }
    if (pages < 2 || seen.size === 0) return;
    for await (const { orders } of orderPages(api, startedAt ?? since, true)) {
      moved ||= movedIn(orders);
      if (orders.length > 0) yield orders;
    }
    if (!moved) return;
  }
  throw new ChannelError('unavailable', 'amazon.searchOrders: the orders keep moving');
}

type OrderPage = {
  readonly orders: Order[];
  /** Up to when changes are in the answer, on Amazon's clock; null when it does not say. */
  readonly until: Date | null;
};

/**
 * Pages of 100. From the second page on, and from the first where `patient`, a call waits for the next token of the usage plan (about three minutes at
 * the default rate): giving up would start over with the first page.
 */
async function* orderPages(api: AmazonApi, since: Date, patient: boolean): AsyncGenerator<OrderPage> {
  const query = {
    marketplaceIds: api.settings.marketplaceId,
    lastUpdatedAfter: new Date(Math.floor(since.getTime() / 1000) * 1000).toISOString(),
    maxResultsPerPage: String(ordersPerPage),
    includedData,
  };
  let token: string | null = null;
  do {
    const response = await api.send({
      operation: 'searchOrders',
      method: 'GET',
      path: ordersPath,
      query: token === null ? query : { ...query, paginationToken: token },
      retry: 'safe',
      patient: patient || token !== null,
    });
    if (response.status !== 200) throw amazonError(response, 'searchOrders');
    const page: z.output<typeof pageSchema> = parseBody(pageSchema, response, 'amazon.searchOrders');
    const orders = page.orders.map((order) => orderOf(order));
    yield {
      orders: orders.toSorted((a, b) => a.updatedAt.getTime() - b.updatedAt.getTime()),
      until: page.lastUpdatedBefore ?? null,
    };
    token = page.pagination?.nextToken ?? null;
  } while (token !== null && token !== '');
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
