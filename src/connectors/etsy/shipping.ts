/** Tells Etsy that a receipt has been shipped, once: what Etsy already knows is not sent again, because each call e-mails the buyer. */

import { ChannelError, type Shipment } from '../connector.ts';
import type { EtsyApi } from './auth.ts';
import { findReceipt, type Receipt } from './orders.ts';

/**
 * Marks the whole receipt as shipped, with the tracking number when there is one. Throws `ChannelError`: `not_found`, or `rejected` for a
 * part of a receipt, which Etsy cannot express.
 */
export async function shipReceipt(api: EtsyApi, orderId: string, shipment: Shipment): Promise<void> {
  const found = await findReceipt(api, orderId);
  if (found === null) throw new ChannelError('not_found', `etsy: the shop has no receipt ${orderId}`);
  assertWhole(found.receipt, shipment);
  if (isKnown(found.receipt, shipment)) return;
  const path = `/v3/application/shops/${api.settings.shopId}/receipts/${orderId}`;
  const response = await api.call({
    method: 'POST',
    path: `${path}/tracking`,
    operation: 'etsy.createReceiptShipment',
    retry: 'never',
    json: tracking(shipment),
    answers: [403],
  });
  if (response.status !== 403) return;
  // Where the Preferred Partner Program is enforced Etsy takes no tracking from this application, but still the fact itself.
  await api.call({
    method: 'PUT',
    path,
    operation: 'etsy.updateShopReceipt',
    retry: 'safe',
    form: { was_shipped: 'true' },
  });
}

function tracking({ carrier, trackingNumber }: Shipment): Record<string, string> {
  if (trackingNumber === null) return {};
  return { tracking_code: trackingNumber, carrier_name: carrier ?? 'other' };
}

function isKnown(receipt: Receipt, { trackingNumber }: Shipment): boolean {
  if (trackingNumber === null) return receipt.is_shipped === true;
  return (receipt.shipments ?? []).some(({ tracking_code }) => tracking_code === trackingNumber);
}

function assertWhole(receipt: Receipt, { lines }: Shipment): void {
  if (lines.length === 0) return;
  const quantities = new Map(lines.map((line) => [line.lineId, line.quantity]));
  const whole = receipt.transactions.every(
    (line) => (quantities.get(String(line.transaction_id)) ?? 0) >= line.quantity,
  );
  if (!whole) throw new ChannelError('rejected', 'etsy: a receipt can only be shipped as a whole');
}
