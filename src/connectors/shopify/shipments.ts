/** Records a parcel at Shopify once: reads what is still open, skips a parcel that is already recorded, and reads back after a lost answer. */

import { z } from 'zod';
import { ChannelError, type Shipment } from '../connector.ts';
import { connectionSchema, nextCursor, type ShopifyApi } from './graphql.ts';
import { globalId, plainId } from './ids.ts';

const pageSize = 50;
const shippable = new Set(['OPEN', 'IN_PROGRESS']);

const openLineSchema = z.looseObject({
  id: z.string(),
  remainingQuantity: z.int(),
  lineItem: z.looseObject({ id: z.string() }),
});
const openLinesSchema = connectionSchema(openLineSchema);
const fulfillmentOrderSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  assignedLocation: z.looseObject({ location: z.looseObject({ id: z.string() }).nullish() }).nullish(),
  lineItems: openLinesSchema,
});
const openSchema = z.object({
  order: z
    .looseObject({
      fulfillments: z.array(
        z.looseObject({
          status: z.string().nullish(),
          trackingInfo: z.array(z.looseObject({ number: z.string().nullish() })).nullish(),
        }),
      ),
      fulfillmentOrders: connectionSchema(fulfillmentOrderSchema),
    })
    .nullable(),
});
const moreLinesSchema = z.object({
  fulfillmentOrder: z.looseObject({ lineItems: openLinesSchema }).nullable(),
});
const createdSchema = z.object({
  fulfillmentCreate: z.looseObject({
    fulfillment: z.looseObject({ id: z.string() }).nullish(),
    userErrors: z.array(z.looseObject({ message: z.string() })),
  }),
});

type OpenLine = { readonly id: string; readonly lineItemId: string; readonly remaining: number };
type OpenFulfillment = {
  readonly id: string;
  readonly locationId: string;
  readonly lines: readonly OpenLine[];
};
type OpenState = { readonly recorded: boolean; readonly open: readonly OpenFulfillment[] };

export async function shipShopifyOrder(api: ShopifyApi, orderId: string, shipment: Shipment): Promise<void> {
  const first = await readOpen(api, orderId, shipment);
  // Named lines with a known tracking number are a repeat. "Everything open" repeats safely: it ships only what is left.
  if (first.recorded && shipment.lines.length > 0) return;
  const parcels = parcelsOf(first.open, shipment);
  if (parcels.length === 0) {
    // Nothing named and nothing open: an earlier attempt, or somebody in the admin, has shipped it all.
    if (shipment.lines.length === 0) return;
    throw new ChannelError('rejected', `shopify.ship: order ${orderId} has nothing open to ship`);
  }
  // Shopify takes one location per call.
  for (const parcel of parcels) await createOnce(api, orderId, shipment, parcel);
}

type ParcelEntry = {
  readonly fulfillmentOrderId: string;
  readonly lines: readonly { readonly id: string; readonly quantity: number; readonly openBefore: number }[];
};
type Parcel = readonly ParcelEntry[];

async function createOnce(
  api: ShopifyApi,
  orderId: string,
  shipment: Shipment,
  parcel: Parcel,
): Promise<void> {
  try {
    await create(api, shipment, parcel);
  } catch (error) {
    if (!(error instanceof ChannelError && error.maybeApplied)) throw error;
    const { open } = await readOpen(api, orderId, shipment);
    const remaining = new Map(open.flatMap((entry) => entry.lines).map((line) => [line.id, line.remaining]));
    const taken = parcel
      .flatMap((entry) => entry.lines)
      .some((line) => (remaining.get(line.id) ?? 0) < line.openBefore);
    if (!taken) await create(api, shipment, parcel);
  }
}

async function create(api: ShopifyApi, shipment: Shipment, parcel: Parcel): Promise<void> {
  const trackingInfo = {
    ...(shipment.carrier === null ? {} : { company: shipment.carrier }),
    ...(shipment.trackingNumber === null ? {} : { number: shipment.trackingNumber }),
  };
  const { fulfillmentCreate } = await api.run({
    operation: 'createFulfillment',
    variables: {
      fulfillment: {
        notifyCustomer: true,
        trackingInfo,
        lineItemsByFulfillmentOrder: parcel.map((entry) => ({
          fulfillmentOrderId: entry.fulfillmentOrderId,
          fulfillmentOrderLineItems: entry.lines.map(({ id, quantity }) => ({ id, quantity })),
        })),
      },
    },
    schema: createdSchema,
    retry: 'never',
  });
  const error = fulfillmentCreate.userErrors[0];
  if (error === undefined) return;
  throw new ChannelError('rejected', `shopify.createFulfillment: ${error.message}`, {
    raw: fulfillmentCreate.userErrors,
  });
}

/** What this shipment takes from each location's open fulfilment orders. Throws when more is asked than is open. */
function parcelsOf(open: readonly OpenFulfillment[], shipment: Shipment): Parcel[] {
  const wanted = new Map(shipment.lines.map((line) => [line.lineId, line.quantity]));
  const byLocation = new Map<string, ParcelEntry[]>();
  for (const entry of open) {
    const lines = entry.lines.flatMap((line) => {
      const asked = shipment.lines.length === 0 ? line.remaining : (wanted.get(line.lineItemId) ?? 0);
      const quantity = Math.min(asked, line.remaining);
      if (quantity < 1) return [];
      wanted.set(line.lineItemId, asked - quantity);
      return [{ id: line.id, quantity, openBefore: line.remaining }];
    });
    if (lines.length === 0) continue;
    const group = byLocation.get(entry.locationId) ?? [];
    byLocation.set(entry.locationId, [...group, { fulfillmentOrderId: entry.id, lines }]);
  }
  const missing = [...wanted].find(([, quantity]) => shipment.lines.length > 0 && quantity > 0);
  if (missing !== undefined) {
    throw new ChannelError(
      'rejected',
      `shopify.ship: line ${missing[0]} has ${missing[1]} units fewer open than asked`,
    );
  }
  return [...byLocation.values()];
}

async function readOpen(api: ShopifyApi, orderId: string, shipment: Shipment): Promise<OpenState> {
  const id = globalId('Order', plainId(orderId));
  const open: OpenFulfillment[] = [];
  let recorded = false;
  let after: string | null = null;
  do {
    const variables = { id, first: pageSize, after };
    const answer: z.output<typeof openSchema> = await api.run({
      operation: 'openFulfillments',
      variables,
      schema: openSchema,
      retry: 'safe',
    });
    const { order } = answer;
    if (order === null) throw new ChannelError('not_found', `shopify.ship: there is no order ${orderId}`);
    recorded ||= order.fulfillments.some(
      (fulfillment) =>
        fulfillment.status !== 'CANCELLED' &&
        shipment.trackingNumber !== null &&
        (fulfillment.trackingInfo ?? []).some((info) => info.number === shipment.trackingNumber),
    );
    for (const node of order.fulfillmentOrders.nodes) {
      if (shippable.has(node.status)) open.push(await openFulfillment(api, node));
    }
    after = nextCursor(order.fulfillmentOrders.pageInfo);
  } while (after !== null);
  return { recorded, open };
}

async function openFulfillment(
  api: ShopifyApi,
  node: z.output<typeof fulfillmentOrderSchema>,
): Promise<OpenFulfillment> {
  const nodes = [...node.lineItems.nodes];
  let after = nextCursor(node.lineItems.pageInfo);
  while (after !== null) {
    const variables = { id: node.id, first: pageSize, after };
    const { fulfillmentOrder } = await api.run({
      operation: 'fulfillmentOrderLines',
      variables,
      schema: moreLinesSchema,
      retry: 'safe',
    });
    nodes.push(...(fulfillmentOrder?.lineItems.nodes ?? []));
    after = fulfillmentOrder === null ? null : nextCursor(fulfillmentOrder.lineItems.pageInfo);
  }
  return {
    id: node.id,
    locationId: node.assignedLocation?.location?.id ?? '',
    lines: nodes.map((line) => ({
      id: line.id,
      lineItemId: plainId(line.lineItem.id),
      remaining: line.remainingQuantity,
    })),
  };
}
