/** The root fields of Shopify's GraphQL: queries over the shop, and the mutations. */
import { type GraphQLResolveInfo, getDirectiveValues } from 'graphql';
import type { Call } from './channel.ts';
import type { Order, Variant } from './goods.ts';
import { createFulfillment, type FulfillmentInput } from './shopifyFulfillment.ts';
import {
  byId,
  createGoodsObjects,
  findByVariantId,
  legacyId,
  locationLegacyId,
  locationObject,
  shopObject,
  variantLegacyId,
} from './shopifyGoods.ts';
import type { AdjustQuantitiesInput, InventoryMutations, SetQuantitiesInput } from './shopifyInventory.ts';
import { createOrderObjects, financialStatus, fulfillmentStatus } from './shopifyOrders.ts';
import { assertInputSize, connection, type PageArguments, type SortKey } from './shopifyPaging.ts';
import { parseSearch, type SearchFields, type SearchWarning } from './shopifySearch.ts';
import { updateVariants, type VariantsBulkUpdate } from './shopifyVariants.ts';
import { type SubscriptionBook, subscriptionLegacyId, subscriptionObject } from './shopifyWebhooks.ts';
import type { Shop } from './world.ts';

type ListArguments = PageArguments & { readonly query?: string | null; readonly sortKey?: string };

export type RootParts = {
  readonly shop: Shop;
  readonly call: Call;
  readonly inventory: InventoryMutations;
  readonly subscriptions: SubscriptionBook;
  /** Collects what the search did not understand. */
  readonly warn: (path: string, query: string, warnings: readonly SearchWarning[]) => void;
};

const text = (value: string | null) => ({ kind: 'text', value }) as const;
const time = (value: number) => ({ kind: 'time', value }) as const;

const itemFields: SearchFields<Variant> = {
  id: (variant) => text(variant.id),
  sku: (variant) => text(variant.sku),
  updated_at: (variant) => time(variant.updatedAt),
  created_at: (variant) => time(variant.updatedAt),
};

const variantFields: SearchFields<Variant> = {
  ...itemFields,
  id: (variant) => text(variantLegacyId(variant)),
  product_id: (variant) => text(variant.listingId),
};

const orderSort: Readonly<Record<string, (shop: Shop, order: Order) => number>> = {
  UPDATED_AT: (shop, order) => shop.orders.indexedAt(order) ?? order.updatedAt,
  CREATED_AT: (_shop, order) => order.createdAt,
  PROCESSED_AT: (_shop, order) => order.createdAt,
  ID: (_shop, order) => Number(order.id),
};

const variantKey =
  (sortKey: string | undefined) =>
  (variant: Variant): SortKey =>
    sortKey === 'SKU' ? { key: variant.sku, id: variant.id } : byId(variant.id);

/** The root value of one request. */
export function createRoot(parts: RootParts): object {
  const objects = objectsOf(parts);
  return { ...queries(parts, objects), ...mutations(parts, objects) };
}

type Objects = ReturnType<typeof objectsOf>;

function objectsOf({ shop, call }: RootParts) {
  const goods = createGoodsObjects(shop, call.view(), call);
  return { goods, orders: createOrderObjects(shop, goods, call) };
}

function queries(parts: RootParts, { goods, orders }: Objects) {
  const { shop, call, warn, subscriptions } = parts;

  function list<R>(
    path: string,
    rows: readonly R[],
    fields: SearchFields<R>,
    query: string | null | undefined,
  ): readonly R[] {
    const search = parseSearch(query, fields);
    warn(path, query ?? '', search.warnings);
    return rows.filter(search.matches);
  }

  const orderFields: SearchFields<Order> = {
    id: (order) => text(order.id),
    name: (order) => text(`#${order.number}`),
    updated_at: (order) => time(shop.orders.indexedAt(order) ?? order.updatedAt),
    created_at: (order) => time(order.createdAt),
    financial_status: (order) => text(financialStatus(order)),
    fulfillment_status: (order) => text(fulfillmentStatus(order)),
  };

  const findRefund = (id: string): object | null => {
    for (const order of shop.orders.all()) {
      const found = order.refunds.find((each) => each.id === id);
      if (found !== undefined) return orders.refund(order, found);
    }
    return null;
  };

  const finders: Readonly<Record<string, (id: string) => object | null>> = {
    InventoryItem: (id) => shown(shop.variant(id), goods.item),
    ProductVariant: (id) => shown(findByVariantId(shop, id), goods.variant),
    Product: (id) => shown(shop.listing(id), goods.product),
    Order: (id) => shown(shop.orders.get(id), orders.order),
    FulfillmentOrder: (id) => shown(shop.orders.get(id), orders.fulfillmentOrder),
    Refund: findRefund,
    Location: (id) => (id === locationLegacyId ? locationObject() : null),
  };

  const inventoryLevel = ({ id }: { id: string }) => {
    const item = /\?inventory_item_id=(?<item>\d+)$/u.exec(id)?.groups?.['item'];
    if (legacyId('InventoryLevel', id) !== locationLegacyId || item === undefined) return null;
    return shown(shop.variant(item), goods.level);
  };

  const node = ({ id }: { id: string }): object | null => {
    const type = /^gid:\/\/shopify\/(?<type>[A-Za-z]+)\//u.exec(id)?.groups?.['type'] ?? '';
    if (type === 'InventoryLevel') return inventoryLevel({ id });
    return finders[type]?.(legacyId(type, id) ?? '') ?? null;
  };

  const ofType =
    (type: string) =>
    ({ id }: { id: string }) =>
      finders[type]?.(legacyId(type, id) ?? '') ?? null;

  return {
    node,
    inventoryLevel,
    inventoryItem: ofType('InventoryItem'),
    productVariant: ofType('ProductVariant'),
    order: ofType('Order'),
    fulfillmentOrder: ofType('FulfillmentOrder'),
    refund: ofType('Refund'),
    shop: () => shopObject(shop.variants()[0]?.price.currency ?? 'USD'),
    location: ({ id }: { id?: string | null }) =>
      typeof id === 'string' ? ofType('Location')({ id }) : locationObject(),
    locations: (page: PageArguments) => connection([locationLegacyId], page, byId, locationObject),
    nodes: ({ ids }: { ids: readonly string[] }) => {
      assertInputSize(ids);
      return call.cut(ids.map((id) => node({ id })));
    },
    inventoryItems: (page: ListArguments) =>
      connection(
        list('inventoryItems', shop.variants(), itemFields, page.query),
        page,
        variantKey('ID'),
        goods.item,
        call,
      ),
    products: (page: ListArguments) =>
      connection(shop.listings(), page, (listing) => byId(listing.id), goods.product, call),
    productVariants: (page: ListArguments) =>
      connection(
        list('productVariants', shop.variants(), variantFields, page.query),
        page,
        variantKey(page.sortKey),
        goods.variant,
        call,
      ),
    orders: (page: ListArguments) => {
      const key = orderSort[page.sortKey ?? 'PROCESSED_AT'];
      const indexed = shop.orders.modified(Number.NEGATIVE_INFINITY);
      return connection(
        list('orders', indexed, orderFields, page.query),
        page,
        (order) => ({ key: key?.(shop, order) ?? order.createdAt, id: order.id }),
        orders.order,
        call,
      );
    },
    webhookSubscriptions: (
      page: PageArguments & { topics?: readonly string[] | null; uri?: string | null },
    ) =>
      connection(
        subscriptions
          .list()
          .filter(({ topic, uri }) => (page.topics?.includes(topic) ?? true) && uri === (page.uri ?? uri)),
        page,
        ({ id }) => byId(id),
        subscriptionObject,
      ),
  };
}

function shown<T>(value: T | undefined, show: (value: T) => object): object | null {
  return value === undefined ? null : show(value);
}

function mutations(parts: RootParts, { goods, orders }: Objects) {
  const { shop, inventory, subscriptions } = parts;
  return {
    inventorySetQuantities: (
      { input }: { input: SetQuantitiesInput },
      _context: unknown,
      info: GraphQLResolveInfo,
    ) => inventory.set(input, { key: idempotencyKey(info), goods }),
    inventoryAdjustQuantities: (
      { input }: { input: AdjustQuantitiesInput },
      _context: unknown,
      info: GraphQLResolveInfo,
    ) => inventory.adjust(input, { key: idempotencyKey(info), goods }),
    fulfillmentCreate: ({ fulfillment }: { fulfillment: FulfillmentInput }) => {
      const result = createFulfillment(shop, fulfillment);
      return result.kind === 'created'
        ? { fulfillment: orders.fulfillment(result.order, result.parcel), userErrors: [] }
        : { fulfillment: null, userErrors: [{ field: result.field, message: result.message }] };
    },
    productVariantsBulkUpdate: (input: VariantsBulkUpdate) => updateVariants(shop, goods, input),
    webhookSubscriptionCreate: (input: { topic: string; webhookSubscription: { uri?: string | null } }) => {
      const { uri } = input.webhookSubscription;
      if (!URL.canParse(uri ?? ''))
        return {
          webhookSubscription: null,
          userErrors: [{ field: ['webhookSubscription', 'uri'], message: 'Address is invalid' }],
        };
      return {
        webhookSubscription: subscriptionObject(subscriptions.create(input.topic, uri ?? '')),
        userErrors: [],
      };
    },
    webhookSubscriptionDelete: ({ id }: { id: string }) =>
      subscriptions.remove(subscriptionLegacyId(id) ?? '')
        ? { deletedWebhookSubscriptionId: id, userErrors: [] }
        : {
            deletedWebhookSubscriptionId: null,
            userErrors: [{ field: ['id'], message: 'Webhook subscription does not exist' }],
          },
  };
}

/** The key of `@idempotent` on the field being executed; null without the directive. */
function idempotencyKey(info: GraphQLResolveInfo): string | null {
  const directive = info.schema.getDirective('idempotent');
  const field = info.fieldNodes[0];
  if (directive === null || directive === undefined || field === undefined) return null;
  const key = getDirectiveValues(directive, field, info.variableValues)?.['key'];
  return typeof key === 'string' ? key : null;
}
