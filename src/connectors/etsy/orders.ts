/** Reads Etsy receipts as orders: every changed receipt is seen although receipts move between pages while they are read. */

import { z } from 'zod';
import {
  ChannelError,
  type ListingAddress,
  type Money,
  type Order,
  type OrderLine,
  type OrderStatus,
} from '../connector.ts';
import { moneyFromFraction } from '../money.ts';
import { parseBody, parseValue } from '../wire.ts';
import type { EtsyApi } from './auth.ts';

const moneySchema = z.object({ amount: z.int(), divisor: z.int().positive(), currency_code: z.string() });

const transactionSchema = z.object({
  transaction_id: z.int(),
  listing_id: z.int().nullish(),
  product_id: z.int().nullish(),
  sku: z.string().nullish(),
  title: z.string().nullish(),
  quantity: z.int().nonnegative(),
  price: moneySchema.nullish(),
});

const receiptSchema = z.object({
  receipt_id: z.int(),
  status: z.string(),
  is_paid: z.boolean().nullish(),
  is_shipped: z.boolean().nullish(),
  // Etsy sends both spellings of each time; the older one is going away.
  created_timestamp: z.int().optional(),
  create_timestamp: z.int().optional(),
  updated_timestamp: z.int().optional(),
  update_timestamp: z.int().optional(),
  name: z.string().nullish(),
  grandtotal: moneySchema.nullish(),
  transactions: z.array(transactionSchema),
  shipments: z.array(z.object({ tracking_code: z.string().nullish() })).nullish(),
});
export type Receipt = z.output<typeof receiptSchema>;

const pageSchema = z.object({ count: z.int().nonnegative(), results: z.array(z.unknown()) });

type Row = {
  readonly receipt: Receipt;
  readonly raw: unknown;
  readonly updated: number;
  readonly key: string;
};

/** Etsy's largest page. */
const pageSize = 100;
/** The earliest time Etsy accepts: 2000-01-01, in epoch seconds. */
const earliestSeconds = 946_684_800;
/** Only receipts of one single second can make a page start over; a shop that keeps changing them this often is not read now. */
const restartsMax = 10;

/**
 * Pages by time, not by offset: the next page starts at the last second seen. A receipt that changes while it is read moves to the end and
 * pulls the others forward, so that an offset would skip as many. Only within one second offsets are needed; there each page repeats the
 * last row of the page before, and starts the second over when it does not.
 */
export async function* changedReceipts(api: EtsyApi, since: Date): AsyncIterable<readonly Order[]> {
  let second = Math.max(earliestSeconds, Math.floor(since.getTime() / 1000));
  let offset = 0;
  let lastKey: string | null = null;
  let seen = new Set<string>();
  let restarts = 0;
  for (;;) {
    const page = await receiptPage(api, { min_last_modified: second, limit: pageSize, offset });
    if (offset > 0 && page.rows[0]?.key !== lastKey) {
      restarts += 1;
      if (restarts > restartsMax)
        throw new ChannelError('unavailable', 'etsy.getShopReceipts: receipts keep moving');
      offset = 0;
      continue;
    }
    assertAscending(page.rows, second);
    const unseen = page.rows.filter((row) => !seen.has(row.key));
    if (unseen.length > 0) yield await ordersOf(api, unseen);
    if (offset + page.rows.length >= page.count) return;
    const last = page.rows.at(-1);
    if (last === undefined || page.rows.length < 2) {
      throw new ChannelError(
        'invalid_response',
        'etsy.getShopReceipts: a page ended before the promised count',
      );
    }
    if (last.updated > second) {
      second = last.updated;
      offset = 0;
      seen = new Set(page.rows.filter((row) => row.updated === second).map((row) => row.key));
    } else {
      offset += page.rows.length - 1;
      for (const row of page.rows) seen.add(row.key);
    }
    lastKey = last.key;
  }
}

/** One receipt, or null when the shop has none of that number. */
export async function findReceipt(
  api: EtsyApi,
  orderId: string,
): Promise<{ receipt: Receipt; raw: unknown } | null> {
  if (!/^\d{1,19}$/.test(orderId)) return null;
  const operation = 'etsy.getShopReceipt';
  const response = await api.call({
    method: 'GET',
    path: `/v3/application/shops/${api.settings.shopId}/receipts/${orderId}`,
    operation,
    retry: 'safe',
    answers: [404],
  });
  if (response.status === 404) return null;
  const raw = parseBody(z.unknown(), response, operation);
  return { receipt: parseValue(receiptSchema, raw, operation), raw };
}

export async function findOrder(api: EtsyApi, orderId: string): Promise<Order | null> {
  const found = await findReceipt(api, orderId);
  if (found === null) return null;
  const [order] = await ordersOf(api, [rowOf(found.receipt, found.raw)]);
  return order ?? null;
}

async function receiptPage(
  api: EtsyApi,
  query: Readonly<Record<string, number | boolean>>,
): Promise<{ readonly count: number; readonly rows: readonly Row[] }> {
  const operation = 'etsy.getShopReceipts';
  const search = new URLSearchParams({ sort_on: 'updated', sort_order: 'asc' });
  for (const [name, value] of Object.entries(query)) search.set(name, String(value));
  const response = await api.call({
    method: 'GET',
    path: `/v3/application/shops/${api.settings.shopId}/receipts?${search.toString()}`,
    operation,
    retry: 'safe',
  });
  const page = parseBody(pageSchema, response, operation);
  return {
    count: page.count,
    rows: page.results.map((raw) => rowOf(parseValue(receiptSchema, raw, operation), raw)),
  };
}

function rowOf(receipt: Receipt, raw: unknown): Row {
  const updated = updatedSeconds(receipt);
  return { receipt, raw, updated, key: `${receipt.receipt_id}@${updated}` };
}

/** Paging by time is only right on sorted rows: without them a page must not pass for complete. */
function assertAscending(rows: readonly Row[], second: number): void {
  let previous = second;
  for (const { updated } of rows) {
    if (updated < previous) {
      throw new ChannelError(
        'invalid_response',
        'etsy.getShopReceipts: the receipts are not sorted by their last change',
      );
    }
    previous = updated;
  }
}

/** A receipt does not say that it was delivered; the filter `was_delivered` does. Asked only when something was shipped. */
async function ordersOf(api: EtsyApi, rows: readonly Row[]): Promise<readonly Order[]> {
  const shipped = rows.filter(({ receipt }) => orderStatus(receipt, false) === 'shipped');
  const delivered = await deliveredReceipts(api, shipped);
  return rows.map((row) => orderOf(row, delivered.has(row.receipt.receipt_id)));
}

async function deliveredReceipts(api: EtsyApi, shipped: readonly Row[]): Promise<ReadonlySet<number>> {
  const delivered = new Set<number>();
  if (shipped.length === 0) return delivered;
  const times = shipped.map((row) => row.updated);
  const window = { min_last_modified: Math.min(...times), max_last_modified: Math.max(...times) };
  for (let offset = 0; ; offset += pageSize) {
    const page = await receiptPage(api, { ...window, was_delivered: true, limit: pageSize, offset });
    for (const { receipt } of page.rows) delivered.add(receipt.receipt_id);
    if (page.rows.length === 0 || offset + page.rows.length >= page.count) return delivered;
  }
}

function orderOf({ receipt, raw, updated }: Row, delivered: boolean): Order {
  const status = orderStatus(receipt, delivered);
  return {
    orderId: String(receipt.receipt_id),
    status,
    customerName: receipt.name || null,
    total: moneyOf(receipt.grandtotal),
    createdAt: new Date((receipt.created_timestamp ?? receipt.create_timestamp ?? updated) * 1000),
    updatedAt: new Date(updated * 1000),
    lines: receipt.transactions.map((transaction) => lineOf(transaction, status)),
    raw,
  };
}

/** First match wins. Etsy has been seen to capitalise the status. */
function orderStatus(receipt: Receipt, delivered: boolean): OrderStatus {
  const status = receipt.status.toLowerCase();
  const shipped = receipt.is_shipped === true || status === 'completed';
  if (status === 'canceled' || status === 'cancelled') return 'cancelled';
  if (status === 'fully refunded' && !shipped) return 'cancelled';
  if (delivered) return 'delivered';
  if (shipped) return 'shipped';
  const unpaid = status === 'open' || status === 'payment processing';
  return unpaid && receipt.is_paid !== true ? 'pending' : 'processing';
}

/** Etsy cancels and ships whole receipts, and refunds amounts, not units: every line follows its receipt. */
function lineOf(transaction: z.output<typeof transactionSchema>, status: OrderStatus): OrderLine {
  const left = status === 'shipped' || status === 'delivered';
  const held = status === 'pending' || status === 'processing';
  return {
    lineId: String(transaction.transaction_id),
    address: addressOf(transaction),
    sku: transaction.sku || null,
    title: transaction.title ?? '',
    ordered: transaction.quantity,
    reserved: held ? transaction.quantity : 0,
    shipped: left ? transaction.quantity : 0,
    unitPrice: moneyOf(transaction.price),
  };
}

function addressOf({
  listing_id,
  product_id,
  sku,
}: z.output<typeof transactionSchema>): ListingAddress | null {
  if (listing_id === null || listing_id === undefined) return null;
  if (sku) return { unitId: String(listing_id), variantId: sku };
  if (product_id === null || product_id === undefined) return null;
  return { unitId: String(listing_id), variantId: `#${product_id}` };
}

function moneyOf(money: z.output<typeof moneySchema> | null | undefined): Money | null {
  return money ? moneyFromFraction(money.amount, money.divisor, money.currency_code) : null;
}

function updatedSeconds(receipt: Receipt): number {
  const seconds = receipt.updated_timestamp ?? receipt.update_timestamp;
  if (seconds !== undefined) return seconds;
  throw new ChannelError('invalid_response', 'etsy: a receipt without updated_timestamp');
}
