/** Reads the REST-shaped order inside a webhook; answers null when it does not say everything an order needs. */

import { z } from 'zod';
import type { Order, OrderLine } from '../connector.ts';
import { identifierSchema, instantSchema, moneyOrNull } from '../wire.ts';
import { lineLevels, shopifyOrderStatus } from './orderLevels.ts';

const lineSchema = z.looseObject({
  id: identifierSchema,
  sku: z.string().min(1),
  title: z.string().nullish(),
  quantity: z.int().min(0),
  current_quantity: z.int(),
  fulfillable_quantity: z.int(),
  price: z.string().nullish(),
});

const refundSchema = z.looseObject({
  refund_line_items: z.array(
    z.looseObject({ line_item_id: identifierSchema, quantity: z.int().min(0), restock_type: z.string() }),
  ),
});

const restOrderSchema = z.looseObject({
  id: identifierSchema,
  created_at: instantSchema,
  updated_at: instantSchema,
  cancelled_at: z.string().nullable(),
  test: z.boolean(),
  financial_status: z.string().nullable(),
  fulfillment_status: z.string().nullable(),
  currency: z.string(),
  total_price: z.string().nullish(),
  customer: z.looseObject({ first_name: z.string().nullish(), last_name: z.string().nullish() }).nullish(),
  shipping_address: z.looseObject({ name: z.string().nullish() }).nullish(),
  line_items: z.array(lineSchema).min(1),
  refunds: z.array(refundSchema),
  fulfillments: z
    .array(z.looseObject({ status: z.string().nullish(), shipment_status: z.string().nullish() }))
    .optional(),
});

type RestOrder = z.output<typeof restOrderSchema>;

/** REST spells "partly fulfilled" shorter, and says null for "not yet". */
const fulfillmentSpelling: Readonly<Record<string, string>> = { partial: 'PARTIALLY_FULFILLED' };

/**
 * The order, or null when a member is missing or a line has no SKU: such a line could only be matched by its inventory item, which the
 * webhook does not carry. The caller then fetches the order.
 */
export function orderFromRest(body: unknown): Order | null {
  const parsed = restOrderSchema.safeParse(body);
  if (!parsed.success) return null;
  const order = parsed.data;
  // Only the fulfilments tell shipped from delivered.
  if (order.fulfillment_status === 'fulfilled' && order.fulfillments === undefined) return null;
  const status = shopifyOrderStatus({
    cancelled: order.cancelled_at !== null,
    financial: order.financial_status?.toUpperCase() ?? null,
    fulfillment: fulfillmentOf(order),
    allDelivered: allDelivered(order),
  });
  const state = { cancelled: status === 'cancelled', test: order.test };
  return {
    orderId: order.id,
    status,
    customerName: customerName(order),
    total: moneyOrNull(order.total_price, order.currency),
    createdAt: order.created_at,
    updatedAt: order.updated_at,
    lines: order.line_items.map((line) => lineOf(order, line, state)),
    raw: body,
  };
}

function lineOf(
  order: RestOrder,
  line: z.output<typeof lineSchema>,
  state: { readonly cancelled: boolean; readonly test: boolean },
): OrderLine {
  const counts = {
    ordered: line.quantity,
    current: line.current_quantity,
    unfulfilled: line.fulfillable_quantity,
    lost: lostUnits(order, line.id),
  };
  return {
    lineId: line.id,
    address: null,
    sku: line.sku,
    title: line.title ?? '',
    ordered: line.quantity,
    ...lineLevels(counts, state),
    unitPrice: moneyOrNull(line.price, order.currency),
  };
}

function fulfillmentOf(order: RestOrder): string | null {
  const status = order.fulfillment_status;
  return status === null ? null : (fulfillmentSpelling[status] ?? status.toUpperCase());
}

function allDelivered(order: RestOrder): boolean {
  const sent = (order.fulfillments ?? []).filter((fulfillment) => fulfillment.status !== 'cancelled');
  return sent.length > 0 && sent.every((fulfillment) => fulfillment.shipment_status === 'delivered');
}

function lostUnits(order: RestOrder, lineId: string): number {
  return order.refunds
    .flatMap((refund) => refund.refund_line_items)
    .filter((refund) => refund.line_item_id === lineId && refund.restock_type === 'no_restock')
    .reduce((sum, refund) => sum + refund.quantity, 0);
}

function customerName(order: RestOrder): string | null {
  const names = [order.customer?.first_name, order.customer?.last_name].filter(
    (name) => typeof name === 'string' && name !== '',
  );
  return names.length > 0 ? names.join(' ') : (order.shipping_address?.name ?? null);
}
