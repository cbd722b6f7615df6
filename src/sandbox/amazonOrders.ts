/** Amazon's Orders API 2026-01-01: searches by one time window, exactly the data sets asked for, and shipment confirmation. */
import { z } from 'zod';
import { type AmazonAccess, amazonErrors } from './amazonAccess.ts';
import type { AmazonAccount } from './amazonAccount.ts';
import { decodeOffset, encodeToken, listParameter, sizeParameter, timeParameter } from './amazonListings.ts';
import {
  type AmazonParcels,
  amazonOrderBody,
  dataSets,
  fulfilledBy,
  fulfillmentStatus,
} from './amazonOrderBody.ts';
import type { Call, Route } from './channel.ts';
import type { Order } from './goods.ts';
import { RuleError } from './goods.ts';
import { jsonBody, Refusal, type Reply } from './http.ts';
import { openQuantity } from './orderState.ts';
import type { Shop } from './world.ts';

export type AmazonOrderParts = {
  readonly shop: Shop;
  readonly account: AmazonAccount;
  readonly parcels: AmazonParcels;
  /** False: the application lacks the restricted roles, and buyers stay nameless. */
  readonly personalData: boolean;
};

const statuses = [
  'PENDING_AVAILABILITY',
  'PENDING',
  'UNSHIPPED',
  'PARTIALLY_SHIPPED',
  'SHIPPED',
  'CANCELLED',
  'UNFULFILLABLE',
];
const settlingMs = 120_000;
const pageMax = 100;

type Window = {
  readonly by: 'createdAfter' | 'lastUpdatedAfter';
  readonly since: number;
  readonly until: number;
};

/** The time window of a search, by the rules of the operation's parameters. */
function readWindow(call: Call, now: number): Window {
  const created = timeParameter(call, 'createdAfter');
  const updated = timeParameter(call, 'lastUpdatedAfter');
  if ((created === null) === (updated === null))
    throw new Refusal(
      amazonErrors.invalidInput('Exactly one of createdAfter and lastUpdatedAfter is required.'),
    );
  const by = created === null ? 'lastUpdatedAfter' : 'createdAfter';
  const [own, other] =
    by === 'createdAfter' ? ['createdBefore', 'lastUpdatedBefore'] : ['lastUpdatedBefore', 'createdBefore'];
  if (own === undefined || other === undefined || call.query.has(other))
    throw new Refusal(amazonErrors.invalidInput(`${other} cannot be combined with ${by}.`));
  const since = created ?? updated ?? 0;
  const until = timeParameter(call, own);
  if (until !== null && (until < since || until > now - settlingMs)) {
    throw new Refusal(
      amazonErrors.invalidInput(
        `${own} must not be before ${by} and must be at least two minutes in the past.`,
      ),
    );
  }
  return { by, since, until: until ?? now };
}

function search({ shop, account, ...rest }: AmazonOrderParts, call: Call): Reply {
  const now = shop.clock.now();
  const included = new Set(listParameter(call, 'includedData', dataSets));
  const wanted = listParameter(call, 'fulfillmentStatuses', statuses);
  const by = listParameter(call, 'fulfilledBy', ['MERCHANT', 'AMAZON']);
  const marketplaces = listParameter(call, 'marketplaceIds');
  const size = sizeParameter(call, 'maxResultsPerPage', pageMax, pageMax);
  const offset = decodeOffset(call, 'paginationToken');
  const window = readWindow(call, now);
  const inWindow =
    window.by === 'lastUpdatedAfter'
      ? shop.orders.modified(window.since, window.until)
      : shop.orders
          .modified(0)
          .filter(({ createdAt }) => createdAt >= window.since && createdAt <= window.until)
          .toSorted((a, b) => a.createdAt - b.createdAt);
  const found = inWindow.filter(
    (order) =>
      (wanted.length === 0 || wanted.includes(fulfillmentStatus(order))) &&
      (by.length === 0 || by.includes(fulfilledBy(shop, order))) &&
      (marketplaces.length === 0 || marketplaces.includes(account.marketplaceId)),
  );
  const more = offset + size < found.length && !call.cutShort;
  const rows = call.cut(found.slice(offset, offset + size));
  const until = new Date(window.until).toISOString();
  return {
    status: 200,
    body: {
      orders: rows.map((order) => amazonOrderBody({ shop, account, ...rest }, order, included)),
      ...(more ? { pagination: { nextToken: encodeToken(offset + size) } } : {}),
      ...(window.by === 'lastUpdatedAfter' ? { lastUpdatedBefore: until } : { createdBefore: until }),
    },
  };
}

const confirmation = z.object({
  marketplaceId: z.string(),
  packageDetail: z.object({
    packageReferenceId: z.string().regex(/^[1-9]\d*$/),
    carrierCode: z.string().min(1),
    carrierName: z.string().optional(),
    trackingNumber: z.string().min(1),
    shipDate: z.iso.datetime({ offset: true }),
    orderItems: z.array(z.object({ orderItemId: z.string(), quantity: z.number().int().min(1) })).min(1),
  }),
});

/** Why this shipment of this order is refused; null when it may be booked. */
function shipmentFault(order: Order, detail: z.infer<typeof confirmation>['packageDetail']): string | null {
  if (detail.carrierCode === 'Other' && (detail.carrierName ?? '') === '')
    return 'carrierName is required when carrierCode is Other.';
  if (Date.parse(detail.shipDate) < order.createdAt - 1000) return 'shipDate is before the order date.';
  for (const { orderItemId, quantity } of detail.orderItems) {
    const line = order.lines.find(({ id }) => id === orderItemId);
    if (line === undefined) return `orderItemId ${orderItemId} is not part of the order.`;
    if (quantity > openQuantity(line)) return `quantity of ${orderItemId} exceeds what is left to ship.`;
  }
  return null;
}

function confirmShipment({ shop, account, parcels }: AmazonOrderParts, call: Call): Reply {
  const order = shop.orders.get(call.params['orderId'] ?? '');
  if (order === undefined) return amazonErrors.notFound(`Order ${call.params['orderId']} not found.`);
  const read = confirmation.safeParse(jsonBody(call.body));
  if (!read.success || read.data.marketplaceId !== account.marketplaceId)
    return amazonErrors.invalidInput(`Invalid ${read.error?.issues[0]?.path.join('.') ?? 'marketplaceId'}.`);
  if (fulfilledBy(shop, order) === 'AMAZON')
    return amazonErrors.invalidInput('The order is fulfilled by Amazon.');
  const { packageDetail: detail } = read.data;
  const tracking = {
    carrier: detail.carrierName ?? detail.carrierCode,
    trackingNumber: detail.trackingNumber,
  };
  // A reference used before corrects that parcel; the units stay booked as they are.
  const known = order.parcels.findIndex(({ id }) => parcels.get(id) === detail.packageReferenceId);
  const parcel = order.parcels[known];
  if (parcel !== undefined) {
    order.parcels[known] = { ...parcel, ...tracking };
    return { status: 204 };
  }
  const fault = shipmentFault(order, detail);
  if (fault !== null) return amazonErrors.invalidInput(fault);
  const lines = detail.orderItems.map(({ orderItemId, quantity }) => ({ lineId: orderItemId, quantity }));
  try {
    parcels.set(shop.orders.ship(order.id, tracking, lines).id, detail.packageReferenceId);
    return { status: 204 };
  } catch (error) {
    if (error instanceof RuleError) return amazonErrors.invalidInput(error.message);
    throw error;
  }
}

export function amazonOrderRoutes(parts: AmazonOrderParts, access: AmazonAccess): readonly Route[] {
  return [
    access.route('GET', '/orders/2026-01-01/orders', 'searchOrders', (call) => search(parts, call)),
    access.route('GET', '/orders/2026-01-01/orders/:orderId', 'getOrder', (call) => {
      const included = new Set(listParameter(call, 'includedData', dataSets));
      const order = parts.shop.orders.get(call.params['orderId'] ?? '');
      if (order === undefined) return amazonErrors.notFound(`Order ${call.params['orderId']} not found.`);
      return { status: 200, body: { order: amazonOrderBody(parts, order, included) } };
    }),
    access.route('POST', '/orders/v0/orders/:orderId/shipmentConfirmation', 'confirmShipment', (call) =>
      confirmShipment(parts, call),
    ),
  ];
}
