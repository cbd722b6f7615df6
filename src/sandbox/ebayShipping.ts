/** eBay's shipping fulfilments: one per parcel, named by its tracking number. */
import { z } from 'zod';
import type { Call, Route } from './channel.ts';
import { type EbayAccess, ebayApis, ebayRefusal } from './ebayAccess.ts';
import type { EbayCatalogue } from './ebayCatalogue.ts';
import { findOrder } from './ebayOrders.ts';
import { type Order, type Parcel, RuleError } from './goods.ts';
import { jsonBody, type Reply } from './http.ts';
import { openQuantity } from './orderState.ts';

const request = z.object({
  lineItems: z
    .array(z.object({ lineItemId: z.string(), quantity: z.number().int().min(1).default(1) }))
    .min(1),
  shippedDate: z.string().optional(),
  shippingCarrierCode: z.string().min(1).optional(),
  trackingNumber: z.string().min(1).optional(),
});
type Request = z.infer<typeof request>;

/** eBay uses the tracking number as the id; a parcel without one has an id of eBay's own. */
const fulfillmentId = (parcel: Parcel): string => parcel.trackingNumber ?? parcel.id;

function fulfillmentBody(parcel: Parcel): unknown {
  return {
    fulfillmentId: fulfillmentId(parcel),
    lineItems: parcel.lines.map(({ lineId, quantity }) => ({ lineItemId: lineId, quantity })),
    shippedDate: new Date(parcel.at).toISOString(),
    ...(parcel.carrier === null ? {} : { shippingCarrierCode: parcel.carrier }),
    ...(parcel.trackingNumber === null ? {} : { shipmentTrackingNumber: parcel.trackingNumber }),
  };
}

/** Why the parcel is refused; null when it may be booked. */
function fault(
  order: Order,
  { lineItems, shippedDate, shippingCarrierCode, trackingNumber }: Request,
): Reply | null {
  if ((shippingCarrierCode === undefined) !== (trackingNumber === undefined)) return ebayRefusal(32300);
  if (trackingNumber !== undefined && !/^[A-Za-z0-9]+$/.test(trackingNumber)) return ebayRefusal(32300);
  if (shippedDate !== undefined && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(shippedDate))
    return ebayRefusal(32500);
  if (new Set(lineItems.map(({ lineItemId }) => lineItemId)).size < lineItems.length)
    return ebayRefusal(32210);
  for (const { lineItemId, quantity } of lineItems) {
    const line = order.lines.find(({ id }) => id === lineItemId);
    if (line === undefined) return ebayRefusal(32200, lineItemId);
    if (quantity > openQuantity(line)) return ebayRefusal(32600, `quantity of ${lineItemId}`);
  }
  return null;
}

function create(catalogue: EbayCatalogue, call: Call): Reply {
  const order = findOrder(catalogue, call, 400);
  const read = request.safeParse(jsonBody(call.body));
  if (!read.success) return ebayRefusal(32600, read.error.issues[0]?.path.join('.') ?? 'body');
  const refusal = fault(order, read.data);
  if (refusal !== null) return refusal;
  const { shippingCarrierCode, trackingNumber, lineItems } = read.data;
  const tracking = { carrier: shippingCarrierCode ?? null, trackingNumber: trackingNumber ?? null };
  const lines = lineItems.map(({ lineItemId, quantity }) => ({ lineId: lineItemId, quantity }));
  try {
    const parcel = catalogue.shop.orders.ship(order.id, tracking, lines);
    const path = `${ebayApis.fulfillment.path}/order/${order.id}/shipping_fulfillment/${fulfillmentId(parcel)}`;
    return { status: 201, headers: { location: `http://${call.headers.host ?? '127.0.0.1'}${path}` } };
  } catch (error) {
    if (error instanceof RuleError) return ebayRefusal(32600, error.message);
    throw error;
  }
}

export function ebayShippingRoutes(catalogue: EbayCatalogue, access: EbayAccess): readonly Route[] {
  const path = '/order/:orderId/shipping_fulfillment';
  return [
    access.route('fulfillment', `POST ${path}`, 'createShippingFulfillment', (call) =>
      create(catalogue, call),
    ),
    access.route('fulfillment', `GET ${path}`, 'getShippingFulfillments', (call) => {
      const { parcels } = findOrder(catalogue, call, 400);
      return {
        status: 200,
        body: { fulfillments: parcels.map(fulfillmentBody), total: parcels.length, warnings: [] },
      };
    }),
    access.route('fulfillment', `GET ${path}/:fulfillmentId`, 'getShippingFulfillment', (call) => {
      const { parcels } = findOrder(catalogue, call);
      const parcel = parcels.find((each) => fulfillmentId(each) === call.params['fulfillmentId']);
      return parcel === undefined ? ebayRefusal(32100) : { status: 200, body: fulfillmentBody(parcel) };
    }),
  ];
}
