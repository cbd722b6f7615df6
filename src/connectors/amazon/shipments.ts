/** Confirms a parcel to Amazon once: a tracking number that the order already carries is not confirmed again. */

import { ChannelError, type Shipment } from '../connector.ts';
import { type AmazonApi, amazonError } from './api.ts';
import { type AmazonOrder, fetchAmazonOrder } from './orders.ts';

/** Names that Amazon takes as `carrierCode`; any other goes as `Other` with its name. */
const carrierCodes = new Set([
  'USPS',
  'UPS',
  'FedEx',
  'DHL',
  'DPD',
  'GLS',
  'Hermes',
  'OnTrac',
  'Royal Mail',
  'Deutsche Post',
  'Canada Post',
  'Australia Post',
  'La Poste',
  'Correos',
  'YAMATO',
  'SAGAWA',
]);

export async function shipAmazonOrder(api: AmazonApi, orderId: string, shipment: Shipment): Promise<void> {
  if (shipment.trackingNumber === null || shipment.trackingNumber === '') {
    throw new ChannelError('rejected', 'amazon.confirmShipment: Amazon requires a tracking number');
  }
  // Two rounds: the second only after a lost answer, and only when reading back shows no trace of the parcel.
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetchAmazonOrder(api, orderId);
    if (answer === null)
      throw new ChannelError('not_found', `amazon.confirmShipment: there is no order ${orderId}`);
    const order = answer.value;
    const parcels = order.packages ?? [];
    if (parcels.some((parcel) => parcel.trackingNumber === shipment.trackingNumber)) return;
    const orderItems = itemsOf(order, shipment);
    // Somebody else has shipped the rest, or an earlier attempt has and the package is not shown yet.
    if (orderItems.length === 0) return;
    try {
      await confirm(api, order, shipment, orderItems);
      return;
    } catch (error) {
      if (attempt > 1 || !(error instanceof ChannelError && error.maybeApplied)) throw error;
    }
  }
}

type ConfirmedItem = { readonly orderItemId: string; readonly quantity: number };

function itemsOf(order: AmazonOrder, shipment: Shipment): ConfirmedItem[] {
  if (order.fulfillment?.fulfilledBy === 'AMAZON') {
    throw new ChannelError('rejected', 'amazon.confirmShipment: Amazon ships this order itself');
  }
  if (shipment.lines.length > 0) {
    return shipment.lines.map((line) => ({ orderItemId: line.lineId, quantity: line.quantity }));
  }
  return order.orderItems
    .map((item) => ({
      orderItemId: item.orderItemId,
      quantity: item.fulfillment?.quantityUnfulfilled ?? item.quantityOrdered,
    }))
    .filter((item) => item.quantity > 0);
}

async function confirm(
  api: AmazonApi,
  order: AmazonOrder,
  shipment: Shipment,
  orderItems: readonly ConfirmedItem[],
): Promise<void> {
  const carrier = shipment.carrier ?? 'Other';
  const response = await api.send({
    operation: 'confirmShipment',
    method: 'POST',
    path: `/orders/v0/orders/${encodeURIComponent(order.orderId)}/shipmentConfirmation`,
    json: {
      marketplaceId: api.settings.marketplaceId,
      packageDetail: {
        // Ours to choose; the same number again would correct that parcel instead of adding one.
        packageReferenceId: String((order.packages ?? []).length + 1),
        ...(carrierCodes.has(carrier)
          ? { carrierCode: carrier }
          : { carrierCode: 'Other', carrierName: carrier }),
        trackingNumber: shipment.trackingNumber,
        shipDate: shipment.shippedAt.toISOString(),
        orderItems,
      },
    },
    retry: 'never',
  });
  if (response.status !== 204 && response.status !== 200) throw amazonError(response, 'confirmShipment');
}
