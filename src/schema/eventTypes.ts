/** The events of each topic in its own words, each with the whole object as it is now. */
import type { OrderStatus as OrderStatusName, Platform as PlatformName } from '../connectors/connector.ts';
import type { AlertKind as AlertKindName } from '../sync/alerts.ts';
import type { LogEvent } from '../sync/eventStream.ts';
import type { StockReason as Reason } from '../sync/sync.ts';
import { Alert, messageOf, readAlert } from './alert.ts';
import { builder } from './builder.ts';
import {
  AlertKind,
  AlertStatus,
  JobKind,
  MovementKind,
  OperationStatus,
  OrderStatus,
  Platform,
  StockReason,
} from './enums.ts';
import { encodeId, type NodeType } from './globalId.ts';
import { InventoryItem, readItem } from './inventoryItem.ts';
import { Job, readJob } from './job.ts';
import { Order, readOrder } from './order.ts';
import { sellableOf } from './sellable.ts';
import { envelopeOf, StreamEvent } from './stream.ts';

const StockEvent = builder.objectRef<LogEvent>('StockEvent').implement({
  description:
    'The stock of an item changed. The numbers are those right after the change; `item` is as of now. A bundle has such an event whenever that of a component changed, or its recipe: its `available` and `seq` are as of now.',
  interfaces: [StreamEvent],
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    itemId: t.id({
      description: 'The item.',
      resolve: ({ subjectId }) => encodeId('InventoryItem', subjectId),
    }),
    sku: t.string({ description: 'Its SKU.', resolve: (event) => stockOf(event).sku }),
    quantity: t.int({ description: 'Units on hand.', resolve: (event) => stockOf(event).quantity }),
    reserved: t.int({
      description: 'Units reserved, 0 or more.',
      resolve: (event) => stockOf(event).reserved,
    }),
    available: t.int({
      description: 'Units that can still be sold; below zero when oversold.',
      resolve: async (event, _args, context) =>
        stockOf(event).bundle
          ? (await sellableOf(context, event.subjectId)).available
          : stockOf(event).available,
    }),
    onHandDelta: t.int({
      description: 'Units added to what is on hand.',
      resolve: (event) => stockOf(event).onHandDelta,
    }),
    reservedDelta: t.int({
      description: 'Units added to what is reserved.',
      resolve: (event) => stockOf(event).reservedDelta,
    }),
    seq: t.int({
      description: 'Grows with every change of the item. An event with a smaller one is older.',
      resolve: async (event, _args, context) =>
        stockOf(event).bundle
          ? (await sellableOf(context, event.subjectId)).seq
          : (event.itemSeq ?? stockOf(event).seq),
    }),
    kind: t.field({
      type: MovementKind,
      description: 'What caused it.',
      resolve: (event) => stockOf(event).kind,
    }),
    // Not `reason`: a client asks for that of gaps, in the same selection.
    stockReason: t.field({
      type: StockReason,
      nullable: true,
      description: 'Why, for a change by hand.',
      resolve: (event) => stockOf(event).reason,
    }),
    orderId: t.id({
      nullable: true,
      description: 'The order that caused it; null for a change by hand.',
      resolve: (event) => idIn(event, 'orderId', 'Order'),
    }),
    item: t.prismaField({
      type: InventoryItem,
      nullable: true,
      description: 'The item as it is now; null when it is gone.',
      resolve: (query, event, _args, context) => readItem(query, context, event.subjectId),
    }),
  }),
});

const OrderEvent = builder.objectRef<LogEvent>('OrderEvent').implement({
  description: 'An order came in or changed.',
  interfaces: [StreamEvent],
  extensions: { scope: 'orders:read' },
  fields: (t) => ({
    orderId: t.id({ description: 'The order.', resolve: ({ subjectId }) => encodeId('Order', subjectId) }),
    platform: t.field({
      type: Platform,
      description: 'The marketplace.',
      resolve: (event) => orderOf(event).platform,
    }),
    platformOrderId: t.string({
      description: "The channel's own id.",
      resolve: (event) => orderOf(event).platformOrderId,
    }),
    status: t.field({
      type: OrderStatus,
      description: 'Its status right after.',
      resolve: (event) => orderOf(event).status,
    }),
    revision: t.int({
      description: 'Grows with every change of the order. An event with a smaller one is older.',
      resolve: (event) => orderOf(event).revision,
    }),
    created: t.boolean({
      description: 'True when it was seen for the first time.',
      resolve: (event) => orderOf(event).created,
    }),
    order: t.prismaField({
      type: Order,
      nullable: true,
      description: 'The order as it is now; null when it is gone.',
      resolve: (query, event, _args, context) => readOrder(query, context, event.subjectId),
    }),
  }),
});

const AlertEvent = builder.objectRef<LogEvent>('AlertEvent').implement({
  description: 'An alert was raised or changed.',
  interfaces: [StreamEvent],
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    alertId: t.id({ description: 'The alert.', resolve: ({ subjectId }) => encodeId('Alert', subjectId) }),
    kind: t.field({
      type: AlertKind,
      description: 'What it is about.',
      resolve: (event) => alertOf(event).kind,
    }),
    status: t.field({
      type: AlertStatus,
      description: 'Its status right after.',
      resolve: (event) => alertOf(event).status,
    }),
    itemId: t.id({
      nullable: true,
      description: 'The item concerned; null when it is about a connection.',
      resolve: (event) => idIn(event, 'itemId', 'InventoryItem'),
    }),
    connectionId: t.id({
      nullable: true,
      description: 'The marketplace account concerned; null when it is about an item.',
      resolve: (event) => idIn(event, 'connectionId', 'PlatformConnection'),
    }),
    message: t.string({
      nullable: true,
      description: 'What is wrong and the way out, in plain words; null where nothing is left to say.',
      resolve: (event, _args, context) => messageOf(alertOf(event), context),
    }),
    units: t.int({
      description: 'What it is about in units, as in `Alert.units`, 0 or more.',
      resolve: (event) => alertOf(event).units,
    }),
    orderIds: t.idList({
      description: 'The orders that together promise more than there is.',
      resolve: (event) => alertOf(event).orderIds.map((id) => encodeId('Order', id)),
    }),
    alert: t.prismaField({
      type: Alert,
      nullable: true,
      description: 'The alert as it is now; null when it is gone.',
      resolve: (query, event, _args, context) => readAlert(query, context, event.subjectId),
    }),
  }),
});

const JobEvent = builder.objectRef<LogEvent>('JobEvent').implement({
  description: 'A job made progress.',
  interfaces: [StreamEvent],
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    jobId: t.id({ description: 'The job.', resolve: ({ subjectId }) => encodeId('Job', subjectId) }),
    kind: t.field({ type: JobKind, description: 'What it does.', resolve: (event) => jobOf(event).kind }),
    status: t.field({
      type: OperationStatus,
      description: 'How far it is.',
      resolve: (event) => jobOf(event).status,
    }),
    total: t.int({
      description: 'Operations queued so far, 0 or more.',
      resolve: (event) => jobOf(event).total,
    }),
    completed: t.int({
      description: 'Operations done, 0 to `total`.',
      resolve: (event) => jobOf(event).completed,
    }),
    failed: t.int({
      description: 'Operations given up, 0 to `total`.',
      resolve: (event) => jobOf(event).failed,
    }),
    job: t.prismaField({
      type: Job,
      nullable: true,
      description: 'The job as it is now; null when it is gone.',
      resolve: (query, event, _args, context) => readJob(query, context, event.subjectId),
    }),
  }),
});

export const StockEventEnvelope = envelopeOf('StockEventEnvelope', StockEvent);
export const OrderEventEnvelope = envelopeOf('OrderEventEnvelope', OrderEvent);
export const AlertEventEnvelope = envelopeOf('AlertEventEnvelope', AlertEvent);
export const JobEventEnvelope = envelopeOf('JobEventEnvelope', JobEvent);

// The payloads have the shapes that the statements which write them promise.

type StockPayload = {
  /** True when it is about a bundle: then it carries neither `available` nor `seq`. */
  readonly bundle?: boolean;
  readonly sku: string;
  readonly quantity: number;
  readonly reserved: number;
  readonly available: number;
  readonly onHandDelta: number;
  readonly reservedDelta: number;
  readonly seq: number;
  readonly kind: 'order' | 'adjustment' | 'count' | 'opening' | 'resolution' | 'reservation';
  readonly reason: Reason | null;
};

function stockOf({ payload }: LogEvent): StockPayload {
  return payload as StockPayload;
}

type OrderPayload = {
  readonly platform: PlatformName;
  readonly platformOrderId: string;
  readonly status: OrderStatusName;
  readonly revision: number;
  readonly created: boolean;
};

function orderOf({ payload }: LogEvent): OrderPayload {
  return payload as OrderPayload;
}

type AlertPayload = {
  readonly kind: AlertKindName;
  readonly status: 'open' | 'acknowledged' | 'resolved';
  readonly message?: string | null;
  readonly itemId: string | null;
  readonly units: number;
  readonly orderIds: readonly string[];
};

function alertOf({ payload }: LogEvent): AlertPayload {
  return payload as AlertPayload;
}

type JobPayload = {
  readonly kind: 'sync_all';
  readonly status: 'pending' | 'processing' | 'completed' | 'failed';
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
};

function jobOf({ payload }: LogEvent): JobPayload {
  return payload as JobPayload;
}

export function idIn(event: LogEvent, name: string, type: NodeType): string | null {
  const id = event.payload[name];
  return typeof id === 'string' ? encodeId(type, id) : null;
}
