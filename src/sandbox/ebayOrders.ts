/** eBay's order searches: filters, order ids, and pages whose `offset` counts orders. */
import type { Call, Route } from './channel.ts';
import { type EbayAccess, ebayRefusal, refuse } from './ebayAccess.ts';
import type { EbayCatalogue } from './ebayCatalogue.ts';
import { pageLink } from './ebayItems.ts';
import { ebayOrderBody, orderFulfillmentStatus } from './ebayOrderBody.ts';
import type { Order } from './goods.ts';
import type { Reply } from './http.ts';

type Range = { readonly from: number; readonly to: number };
type Filter = {
  readonly creation: Range | null;
  readonly modified: Range | null;
  readonly fulfillment: readonly string[] | null;
};

const dayMs = 86_400_000;
const twoYearsMs = 731 * dayMs;
const presetRangeMs = 90 * dayMs;
const orderIdsMax = 50;

/** Only these combinations are supported, in either order. */
const fulfillmentCombinations = new Set(['IN_PROGRESS|NOT_STARTED', 'FULFILLED|IN_PROGRESS']);
const filterNames = new Set(['creationdate', 'lastmodifieddate', 'orderfulfillmentstatus']);

function readTime(text: string): number {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text)) refuse(30810, text);
  return Date.parse(text);
}

/** `[2026-11-22T08:00:00.000Z..]`, with or without an end. */
function readRange(value: string, now: number): Range {
  const found = /^\[(.*)\.\.(.*)\]$/.exec(value);
  if (found === null) refuse(30800, value);
  const [, start = '', end = ''] = found;
  if (start === '') refuse(30820);
  const from = readTime(start);
  const to = end === '' ? Number.POSITIVE_INFINITY : readTime(end);
  if (from > to) refuse(30840);
  if (from > now || (Number.isFinite(to) && to > now)) refuse(30850);
  if (now - from > twoYearsMs) refuse(30830);
  return { from, to };
}

function readFulfillment(value: string): readonly string[] {
  const statuses = /^\{(.*)\}$/.exec(value)?.[1]?.split('|') ?? [];
  if (!fulfillmentCombinations.has(statuses.toSorted().join('|'))) refuse(30800, value);
  return statuses;
}

function readFilter(text: string, now: number): Filter {
  const values = new Map<string, string>();
  for (const part of text === '' ? [] : text.split(/,(?=[a-z]+:)/)) {
    const separator = part.indexOf(':');
    const name = part.slice(0, separator);
    if (!filterNames.has(name)) refuse(30700, name);
    values.set(name, part.slice(separator + 1));
  }
  const rangeOf = (name: string) => (values.has(name) ? readRange(values.get(name) ?? '', now) : null);
  const fulfillment = values.get('orderfulfillmentstatus');
  return {
    creation: rangeOf('creationdate'),
    modified: rangeOf('lastmodifieddate'),
    fulfillment: fulfillment === undefined ? null : readFulfillment(fulfillment),
  };
}

const within = (order: Order, { from, to }: Range): boolean =>
  order.createdAt >= from && order.createdAt <= to;

/** By modification when that is asked for, else by creation; the oldest first. */
function matching({ shop }: EbayCatalogue, filter: Filter): readonly Order[] {
  const { creation, modified, fulfillment } = filter;
  const preset = { from: shop.clock.now() - presetRangeMs, to: Number.POSITIVE_INFINITY };
  const inRange =
    // eBay: "If creationdate and lastmodifieddate are both included, only creationdate is used."
    creation === null && modified !== null
      ? shop.orders.modified(modified.from, modified.to)
      : shop.orders
          .modified(0)
          .filter((order) => within(order, creation ?? preset))
          .toSorted((a, b) => a.createdAt - b.createdAt);
  return inRange.filter(
    (order) => fulfillment === null || fulfillment.includes(orderFulfillmentStatus(order)),
  );
}

function wholeNumber(call: Call, name: 'limit' | 'offset', preset: number, min: number, max: number): number {
  const value = Number(call.query.get(name) ?? preset);
  if (!Number.isInteger(value) || value < min || value > max)
    refuse(name === 'limit' ? 31100 : 31000, String(value));
  return value;
}

function byIds({ shop }: EbayCatalogue, call: Call): readonly Order[] | null {
  const text = call.query.get('orderIds');
  if (text === null) return null;
  const ids = [...new Set(text.split(',').filter((id) => id !== ''))];
  if (ids.length > orderIdsMax) refuse(30900);
  return ids.flatMap((id) => shop.orders.get(id) ?? []);
}

function search(catalogue: EbayCatalogue, call: Call): Reply {
  const named = byIds(catalogue, call);
  // With orderIds every other parameter is ignored, bad ones included.
  const limit = named === null ? wholeNumber(call, 'limit', 50, 1, 200) : orderIdsMax;
  const offset = named === null ? wholeNumber(call, 'offset', 0, 0, Number.MAX_SAFE_INTEGER) : 0;
  const now = catalogue.shop.clock.now();
  const found = named ?? matching(catalogue, readFilter(call.query.get('filter') ?? '', now));
  const rows = call.cut(found.slice(offset, offset + limit));
  const more = offset + limit < found.length && !call.cutShort;
  return {
    status: 200,
    body: {
      href: pageLink(call, limit, offset),
      total: call.cutShort ? offset + rows.length : found.length,
      limit,
      offset,
      ...(more ? { next: pageLink(call, limit, offset + limit) } : {}),
      ...(offset > 0 ? { prev: pageLink(call, limit, Math.max(0, offset - limit)) } : {}),
      orders: rows.map((order) => ebayOrderBody(catalogue, order, false)),
    },
  };
}

export function findOrder({ shop }: EbayCatalogue, call: Call, status?: number): Order {
  const orderId = call.params['orderId'] ?? '';
  return shop.orders.get(orderId) ?? refuse(32100, orderId, {}, status);
}

export function ebayOrderRoutes(catalogue: EbayCatalogue, access: EbayAccess): readonly Route[] {
  return [
    access.route('fulfillment', 'GET /order', 'getOrders', (call) => search(catalogue, call)),
    access.route('fulfillment', 'GET /order/:orderId', 'getOrder', (call) => {
      if (call.query.has('fieldGroups') && call.query.get('fieldGroups') !== 'TAX_BREAKDOWN')
        return ebayRefusal(32800);
      return { status: 200, body: ebayOrderBody(catalogue, findOrder(catalogue, call), true) };
    }),
  ];
}
