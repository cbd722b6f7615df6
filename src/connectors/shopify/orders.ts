/** Reads Shopify orders whole: every line, and every refund that decides whether a unit came back to the shelf. */

import { z } from 'zod';
import { mapBounded } from '../concurrency.ts';
import type { Order } from '../connector.ts';
import { withRaw } from '../wire.ts';
import { connectionSchema, isTooExpensive, nextCursor, type ShopifyApi } from './graphql.ts';
import { globalId } from './ids.ts';
import {
  type FulfillmentNode,
  fulfillmentSchema,
  type LineNode,
  lineSchema,
  type OrderNode,
  orderOf,
  orderSchema,
  type RawOrder,
  type RefundLineNode,
  refundLineSchema,
} from './orderNode.ts';

const ordersPerPage = 50;
const linesPerPage = 50;
/** Paging ends at 25 000 objects (Shopify, API limits): before that the scan starts anew at the last update time. */
const objectsPerCursorMax = 20_000;
/** `fulfillments` is a list without pages: a full one may be cut. */
const fulfillmentsAsked = 10;
const completionsInFlight = 2;

const refundLinesSchema = connectionSchema(refundLineSchema);
const ordersSchema = z.object({ orders: connectionSchema(withRaw(orderSchema)) });
const oneOrderSchema = z.object({ order: withRaw(orderSchema.nullable()) });
const orderLinesSchema = z.object({
  order: z.looseObject({ lineItems: connectionSchema(lineSchema) }).nullable(),
});
const fulfillmentsSchema = z.object({
  order: z.looseObject({ fulfillments: z.array(fulfillmentSchema) }).nullable(),
});
const refundsSchema = z.object({
  order: z
    .looseObject({ refunds: z.array(z.looseObject({ id: z.string(), refundLineItems: refundLinesSchema })) })
    .nullable(),
});
const refundSchema = z.object({ refund: z.looseObject({ refundLineItems: refundLinesSchema }).nullable() });

export async function findShopifyOrder(
  api: ShopifyApi,
  locationId: string,
  orderId: string,
): Promise<Order | null> {
  if (!/^\d+$/.test(orderId)) return null;
  const variables = { id: globalId('Order', orderId), lines: linesPerPage };
  const { order } = await api.run({ operation: 'order', variables, schema: oneOrderSchema, retry: 'safe' });
  const { value, raw } = order;
  return value === null ? null : completeOrder(api, locationId, { value, raw });
}

/** Sorted by update time; `since` is rounded down to the second, which is all that Shopify stores. */
export async function* shopifyOrdersSince(
  api: ShopifyApi,
  locationId: string,
  since: Date,
): AsyncGenerator<Order[]> {
  let from = wholeSecond(since);
  let first = ordersPerPage;
  let lines = linesPerPage;
  let after: string | null = null;
  let seen = 0;
  for (;;) {
    let page: z.output<typeof ordersSchema>['orders'];
    try {
      const variables = { first, after, lines, query: `updated_at:>='${from}'` };
      const answer = await api.run({
        operation: 'ordersSince',
        variables,
        schema: ordersSchema,
        retry: 'safe',
      });
      page = answer.orders;
    } catch (error) {
      if (!isTooExpensive(error) || first === 1) throw error;
      first = Math.ceil(first / 2);
      lines = Math.max(10, Math.ceil(lines / 2));
      continue;
    }
    if (page.nodes.length > 0) {
      yield await mapBounded(page.nodes, completionsInFlight, (node) => completeOrder(api, locationId, node));
    }
    after = nextCursor(page.pageInfo);
    if (after === null) return;
    seen += page.nodes.length;
    const last = page.nodes.at(-1);
    const restart = last === undefined ? from : wholeSecond(last.value.updatedAt);
    if (seen >= objectsPerCursorMax && restart !== from) {
      from = restart;
      after = null;
      seen = 0;
    }
  }
}

function wholeSecond(at: Date): string {
  return new Date(Math.floor(at.getTime() / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

/** Fetches what did not fit into the page: further lines, refunds where units are missing, and further fulfilments. */
async function completeOrder(api: ShopifyApi, locationId: string, order: RawOrder): Promise<Order> {
  const node = order.value;
  const lines = await allLines(api, node);
  const anyRemoved = lines.some((line) => line.currentQuantity < line.quantity);
  const refundLines = anyRemoved ? await allRefundLines(api, node.id) : [];
  const fulfillments = await allFulfillments(api, node);
  return orderOf({ ...order, lines, refundLines, fulfillments }, locationId);
}

async function allLines(api: ShopifyApi, node: OrderNode): Promise<LineNode[]> {
  const lines = [...node.lineItems.nodes];
  let after = nextCursor(node.lineItems.pageInfo);
  while (after !== null) {
    const variables = { id: node.id, first: linesPerPage, after };
    const { order } = await api.run({
      operation: 'orderLines',
      variables,
      schema: orderLinesSchema,
      retry: 'safe',
    });
    lines.push(...(order?.lineItems.nodes ?? []));
    after = order === null ? null : nextCursor(order.lineItems.pageInfo);
  }
  return lines;
}

async function allRefundLines(api: ShopifyApi, orderId: string): Promise<RefundLineNode[]> {
  const first = linesPerPage;
  const variables = { id: orderId, first };
  const { order } = await api.run({
    operation: 'orderRefunds',
    variables,
    schema: refundsSchema,
    retry: 'safe',
  });
  const lines: RefundLineNode[] = [];
  for (const refund of order?.refunds ?? []) {
    lines.push(...refund.refundLineItems.nodes);
    let after = nextCursor(refund.refundLineItems.pageInfo);
    while (after !== null) {
      const next = { id: refund.id, first, after };
      const answer = await api.run({
        operation: 'refundLines',
        variables: next,
        schema: refundSchema,
        retry: 'safe',
      });
      lines.push(...(answer.refund?.refundLineItems.nodes ?? []));
      after = answer.refund === null ? null : nextCursor(answer.refund.refundLineItems.pageInfo);
    }
  }
  return lines;
}

async function allFulfillments(api: ShopifyApi, node: OrderNode): Promise<FulfillmentNode[]> {
  const known = node.fulfillments ?? [];
  if (known.length < fulfillmentsAsked) return known;
  const { order } = await api.run({
    operation: 'orderFulfillments',
    variables: { id: node.id },
    schema: fulfillmentsSchema,
    retry: 'safe',
  });
  return order?.fulfillments ?? known;
}
