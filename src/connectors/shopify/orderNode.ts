/** What a Shopify order says in GraphQL, and the `Order` it means. */

import { z } from 'zod';
import type { Order, OrderLine } from '../connector.ts';
import { identifierSchema, instantSchema, moneyOrNull } from '../wire.ts';
import { connectionSchema } from './graphql.ts';
import { plainId, stockAddress } from './ids.ts';
import { lineLevels, shopifyOrderStatus } from './orderLevels.ts';

const moneyBagSchema = z
  .looseObject({ shopMoney: z.looseObject({ amount: z.string(), currencyCode: z.string() }) })
  .nullish();

export const lineSchema = z.looseObject({
  id: z.string(),
  sku: z.string().nullish(),
  title: z.string().nullish(),
  quantity: z.int().min(0),
  currentQuantity: z.int(),
  unfulfilledQuantity: z.int(),
  variant: z.looseObject({ inventoryItem: z.looseObject({ id: z.string() }).nullish() }).nullish(),
  originalUnitPriceSet: moneyBagSchema,
});

export const fulfillmentSchema = z.looseObject({
  status: z.string().nullish(),
  displayStatus: z.string().nullish(),
  deliveredAt: z.string().nullish(),
});

export const orderSchema = z.looseObject({
  id: z.string(),
  legacyResourceId: identifierSchema.nullish(),
  createdAt: instantSchema,
  updatedAt: instantSchema,
  cancelledAt: z.string().nullish(),
  test: z.boolean().nullish(),
  displayFinancialStatus: z.string().nullish(),
  displayFulfillmentStatus: z.string().nullish(),
  totalPriceSet: moneyBagSchema,
  customer: z.looseObject({ displayName: z.string().nullish() }).nullish(),
  shippingAddress: z.looseObject({ name: z.string().nullish() }).nullish(),
  lineItems: connectionSchema(lineSchema),
  fulfillments: z.array(fulfillmentSchema).nullish(),
});

export const refundLineSchema = z.looseObject({
  quantity: z.int().min(0),
  restockType: z.string(),
  restocked: z.boolean().nullish(),
  lineItem: z.looseObject({ id: z.string() }),
});

export type OrderNode = z.output<typeof orderSchema>;
export type LineNode = z.output<typeof lineSchema>;
export type RefundLineNode = z.output<typeof refundLineSchema>;
export type FulfillmentNode = z.output<typeof fulfillmentSchema>;
/** The order as checked, and as Shopify wrote it. */
export type RawOrder = { readonly value: OrderNode; readonly raw: unknown };

/** One lost unit per unit refunded with NO_RESTOCK; the deprecated LEGACY_RESTOCK says in `restocked` whether it came back. */
function lostUnits(lineId: string, refundLines: readonly RefundLineNode[]): number {
  return refundLines
    .filter((refund) => refund.lineItem.id === lineId)
    .filter(
      ({ restockType, restocked }) =>
        restockType === 'NO_RESTOCK' || (restockType === 'LEGACY_RESTOCK' && restocked === false),
    )
    .reduce((sum, refund) => sum + refund.quantity, 0);
}

/** An order with everything that did not fit into its page. */
export type WholeOrder = RawOrder & {
  readonly lines: readonly LineNode[];
  readonly refundLines: readonly RefundLineNode[];
  readonly fulfillments: readonly FulfillmentNode[];
};

export function orderOf(whole: WholeOrder, locationId: string): Order {
  const { value: node, raw, lines, refundLines, fulfillments } = whole;
  const sent = fulfillments.filter((fulfillment) => fulfillment.status !== 'CANCELLED');
  const status = shopifyOrderStatus({
    cancelled: typeof node.cancelledAt === 'string',
    financial: node.displayFinancialStatus ?? null,
    fulfillment: node.displayFulfillmentStatus ?? null,
    allDelivered:
      sent.length > 0 &&
      sent.every(
        ({ deliveredAt, displayStatus }) => typeof deliveredAt === 'string' || displayStatus === 'DELIVERED',
      ),
  });
  const state = { cancelled: status === 'cancelled', test: node.test ?? false };
  const total = node.totalPriceSet?.shopMoney;
  return {
    orderId: node.legacyResourceId ?? plainId(node.id),
    status,
    customerName: node.customer?.displayName ?? node.shippingAddress?.name ?? null,
    total: moneyOrNull(total?.amount, total?.currencyCode),
    createdAt: node.createdAt,
    updatedAt: node.updatedAt,
    lines: lines.map((line) => lineOf(line, lostUnits(line.id, refundLines), state, locationId)),
    raw: { ...asObject(raw), lineItems: { nodes: lines }, refundLineItems: refundLines, fulfillments },
  };
}

function lineOf(
  line: LineNode,
  lost: number,
  state: { readonly cancelled: boolean; readonly test: boolean },
  locationId: string,
): OrderLine {
  const itemId = line.variant?.inventoryItem?.id;
  const price = line.originalUnitPriceSet?.shopMoney;
  const counts = {
    ordered: line.quantity,
    current: line.currentQuantity,
    unfulfilled: line.unfulfilledQuantity,
    lost,
  };
  return {
    lineId: plainId(line.id),
    address: itemId === undefined ? null : stockAddress(itemId, locationId),
    sku: line.sku === '' ? null : (line.sku ?? null),
    title: line.title ?? '',
    ordered: line.quantity,
    ...lineLevels(counts, state),
    unitPrice: moneyOrNull(price?.amount, price?.currencyCode),
  };
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}
