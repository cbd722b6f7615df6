/** Tells eBay that a parcel has left, once: a parcel that eBay already knows is not sent again. */

import { ChannelError, type Shipment } from '../connector.ts';
import type { EbayApi } from './auth.ts';
import { findOrder, fulfillments, orderPath, unitsSent } from './orders.ts';

/** One parcel. Throws `ChannelError`; `not_found` when eBay does not know the order. */
export async function shipOrder(api: EbayApi, orderId: string, shipment: Shipment): Promise<void> {
  const parcels = await fulfillments(api, orderId);
  const trackingNumber = plainTrackingNumber(shipment.trackingNumber);
  const known = parcels.some(
    (parcel) => plainTrackingNumber(parcel.shipmentTrackingNumber) === trackingNumber,
  );
  if (trackingNumber !== null && known) return;
  const lineItems = await openLines(api, orderId, shipment, unitsSent(parcels));
  if (lineItems.length === 0) return;
  await api.call({
    api: 'fulfillment',
    method: 'POST',
    path: `${orderPath(orderId)}/shipping_fulfillment`,
    operation: 'ebay.createShippingFulfillment',
    retry: 'never',
    json: {
      lineItems,
      shippedDate: shipment.shippedAt.toISOString(),
      // eBay takes both or neither.
      ...(trackingNumber === null
        ? {}
        : { shippingCarrierCode: shipment.carrier ?? 'Other', trackingNumber }),
    },
  });
}

type LineReference = { readonly lineItemId: string; readonly quantity: number };

/** What was asked for, less what has been sent before. */
async function openLines(
  api: EbayApi,
  orderId: string,
  shipment: Shipment,
  sent: ReadonlyMap<string, number>,
): Promise<readonly LineReference[]> {
  const order = await findOrder(api, orderId);
  if (order === null) throw new ChannelError('not_found', `ebay: no order ${orderId}`);
  const asked = new Map(shipment.lines.map((line) => [line.lineId, line.quantity]));
  return order.lines.flatMap((line) => {
    const open = line.reserved + line.shipped - Math.max(line.shipped, sent.get(line.lineId) ?? 0);
    const wanted = shipment.lines.length === 0 ? open : (asked.get(line.lineId) ?? 0);
    const quantity = Math.min(open, wanted);
    return quantity > 0 ? [{ lineItemId: line.lineId, quantity }] : [];
  });
}

/** eBay takes letters and digits only. */
function plainTrackingNumber(trackingNumber: string | null | undefined): string | null {
  return trackingNumber?.replaceAll(/[^0-9A-Za-z]/g, '') || null;
}
