/** The part of Shopify's GraphQL Admin schema (2026-10) that the sandbox executes: names, types and arguments exactly as in the official one. */

export const shopifyApiVersion = '2026-10';

const scalars = /* GraphQL */ `
  directive @idempotent(key: String!) on FIELD
  scalar DateTime
  scalar Decimal
  scalar Money
  scalar URL
  scalar UnsignedInt64

  enum CurrencyCode { USD EUR GBP CAD AUD JPY }
  enum FulfillmentDisplayStatus { DELIVERED FULFILLED IN_TRANSIT }
  enum FulfillmentOrderStatus { CANCELLED CLOSED IN_PROGRESS OPEN }
  enum FulfillmentStatus { SUCCESS CANCELLED }
  enum OrderCancelReason { CUSTOMER DECLINED FRAUD INVENTORY OTHER STAFF }
  enum OrderDisplayFinancialStatus { AUTHORIZED EXPIRED PAID PARTIALLY_PAID PARTIALLY_REFUNDED PENDING REFUNDED VOIDED }
  enum OrderDisplayFulfillmentStatus { FULFILLED PARTIALLY_FULFILLED UNFULFILLED }
  enum OrderReturnStatus { NO_RETURN RETURNED }
  enum OrderSortKeys { CREATED_AT ID PROCESSED_AT UPDATED_AT }
  enum ProductStatus { ACTIVE ARCHIVED DRAFT UNLISTED }
  enum ProductVariantInventoryPolicy { CONTINUE DENY }
  enum ProductVariantSortKeys { ID SKU }
  enum RefundLineItemRestockType { CANCEL LEGACY_RESTOCK NO_RESTOCK RETURN }
  enum WebhookSubscriptionFormat { JSON }
  enum WebhookSubscriptionTopic {
    APP_UNINSTALLED FULFILLMENTS_CREATE FULFILLMENTS_UPDATE INVENTORY_LEVELS_UPDATE ORDERS_CANCELLED ORDERS_CREATE ORDERS_EDITED
    ORDERS_FULFILLED ORDERS_PAID ORDERS_PARTIALLY_FULFILLED ORDERS_UPDATED REFUNDS_CREATE
  }
  enum InventorySetQuantitiesUserErrorCode {
    CHANGE_FROM_QUANTITY_STALE IDEMPOTENCY_CONCURRENT_REQUEST IDEMPOTENCY_KEY_PARAMETER_MISMATCH IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED
    INVALID_INVENTORY_ITEM INVALID_LOCATION INVALID_NAME INVALID_QUANTITY_NEGATIVE INVALID_QUANTITY_TOO_HIGH INVALID_QUANTITY_TOO_LOW
    INVALID_REASON INVALID_REFERENCE_DOCUMENT NON_MUTABLE_INVENTORY_ITEM NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR
  }
  enum InventoryAdjustQuantitiesUserErrorCode {
    ADJUST_QUANTITIES_FAILED CHANGE_FROM_QUANTITY_STALE IDEMPOTENCY_CONCURRENT_REQUEST IDEMPOTENCY_KEY_PARAMETER_MISMATCH
    IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED INVALID_INVENTORY_ITEM INVALID_LOCATION INVALID_QUANTITY_NAME INVALID_QUANTITY_TOO_HIGH
    INVALID_QUANTITY_TOO_LOW INVALID_REASON INVALID_REFERENCE_DOCUMENT NON_MUTABLE_INVENTORY_ITEM
  }

  enum ProductVariantsBulkUpdateUserErrorCode {
    GREATER_THAN_OR_EQUAL_TO INVALID_INPUT PRODUCT_DOES_NOT_EXIST PRODUCT_VARIANT_DOES_NOT_EXIST PRODUCT_VARIANT_ID_MISSING
  }

  interface Node { id: ID! }
  interface DisplayableError { field: [String!] message: String! }
  type UserError implements DisplayableError { field: [String!] message: String! }
  type PageInfo { endCursor: String hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String }
  type MoneyV2 { amount: Decimal! currencyCode: CurrencyCode! }
  type MoneyBag { presentmentMoney: MoneyV2! shopMoney: MoneyV2! }
`;

const goods = /* GraphQL */ `
  type Shop implements Node { id: ID! name: String! myshopifyDomain: String! currencyCode: CurrencyCode! url: URL! }
  type Location implements Node {
    id: ID! legacyResourceId: UnsignedInt64! name: String! isActive: Boolean! fulfillsOnlineOrders: Boolean!
  }
  type LocationEdge { cursor: String! node: Location! }
  type LocationConnection { edges: [LocationEdge!]! nodes: [Location!]! pageInfo: PageInfo! }

  type Product implements Node {
    id: ID! legacyResourceId: UnsignedInt64! title: String! handle: String! status: ProductStatus! createdAt: DateTime! updatedAt: DateTime!
    onlineStoreUrl: URL onlineStorePreviewUrl: URL
    variants(after: String, before: String, first: Int, last: Int, reverse: Boolean = false): ProductVariantConnection!
  }
  type ProductEdge { cursor: String! node: Product! }
  type ProductConnection { edges: [ProductEdge!]! nodes: [Product!]! pageInfo: PageInfo! }
  type ProductVariant implements Node {
    id: ID! legacyResourceId: UnsignedInt64! sku: String title: String! displayName: String! price: Money! inventoryItem: InventoryItem!
    inventoryPolicy: ProductVariantInventoryPolicy! inventoryQuantity: Int product: Product! createdAt: DateTime! updatedAt: DateTime!
  }
  type ProductVariantEdge { cursor: String! node: ProductVariant! }
  type ProductVariantConnection { edges: [ProductVariantEdge!]! nodes: [ProductVariant!]! pageInfo: PageInfo! }

  type InventoryItem implements Node {
    id: ID! legacyResourceId: UnsignedInt64! sku: String tracked: Boolean! createdAt: DateTime! updatedAt: DateTime! variant: ProductVariant!
    variants(after: String, before: String, first: Int, last: Int): ProductVariantConnection
    inventoryLevel(includeInactive: Boolean = false, locationId: ID!): InventoryLevel
    inventoryLevels(
      after: String, before: String, first: Int, includeInactive: Boolean = false, last: Int, query: String, reverse: Boolean = false
    ): InventoryLevelConnection!
  }
  type InventoryItemEdge { cursor: String! node: InventoryItem! }
  type InventoryItemConnection { edges: [InventoryItemEdge!]! nodes: [InventoryItem!]! pageInfo: PageInfo! }
  type InventoryLevel implements Node {
    id: ID! isActive: Boolean! createdAt: DateTime! updatedAt: DateTime! item: InventoryItem! location: Location!
    quantities(names: [String!]!): [InventoryQuantity!]!
  }
  type InventoryLevelEdge { cursor: String! node: InventoryLevel! }
  type InventoryLevelConnection { edges: [InventoryLevelEdge!]! nodes: [InventoryLevel!]! pageInfo: PageInfo! }
  type InventoryQuantity implements Node { id: ID! name: String! quantity: Int! updatedAt: DateTime }
`;

const orders = /* GraphQL */ `
  type Customer implements Node { id: ID! displayName: String! firstName: String lastName: String }
  type MailingAddress implements Node { id: ID! name: String firstName: String lastName: String }
  type Order implements Node {
    id: ID! legacyResourceId: UnsignedInt64! name: String! createdAt: DateTime! updatedAt: DateTime! processedAt: DateTime! closedAt: DateTime
    cancelledAt: DateTime cancelReason: OrderCancelReason test: Boolean! displayFinancialStatus: OrderDisplayFinancialStatus
    displayFulfillmentStatus: OrderDisplayFulfillmentStatus! returnStatus: OrderReturnStatus! currencyCode: CurrencyCode!
    totalPriceSet: MoneyBag! currentTotalPriceSet: MoneyBag! customer: Customer shippingAddress: MailingAddress
    lineItems(after: String, before: String, first: Int, last: Int, reverse: Boolean = false): LineItemConnection!
    fulfillments(first: Int, query: String): [Fulfillment!]!
    refunds(first: Int): [Refund!]!
    fulfillmentOrders(
      after: String, before: String, displayable: Boolean = false, first: Int, last: Int, query: String, reverse: Boolean = false
    ): FulfillmentOrderConnection!
  }
  type OrderEdge { cursor: String! node: Order! }
  type OrderConnection { edges: [OrderEdge!]! nodes: [Order!]! pageInfo: PageInfo! }
  type LineItem implements Node {
    id: ID! sku: String title: String! name: String! quantity: Int! currentQuantity: Int! unfulfilledQuantity: Int! refundableQuantity: Int!
    variant: ProductVariant originalUnitPriceSet: MoneyBag!
  }
  type LineItemEdge { cursor: String! node: LineItem! }
  type LineItemConnection { edges: [LineItemEdge!]! nodes: [LineItem!]! pageInfo: PageInfo! }
  type FulfillmentTrackingInfo { company: String number: String url: URL }
  type FulfillmentLineItem implements Node { id: ID! quantity: Int lineItem: LineItem! }
  type FulfillmentLineItemEdge { cursor: String! node: FulfillmentLineItem! }
  type FulfillmentLineItemConnection { edges: [FulfillmentLineItemEdge!]! nodes: [FulfillmentLineItem!]! pageInfo: PageInfo! }
  type Fulfillment implements Node {
    id: ID! legacyResourceId: UnsignedInt64! status: FulfillmentStatus! displayStatus: FulfillmentDisplayStatus createdAt: DateTime!
    deliveredAt: DateTime trackingInfo(first: Int): [FulfillmentTrackingInfo!]!
    fulfillmentLineItems(after: String, before: String, first: Int, last: Int, reverse: Boolean = false): FulfillmentLineItemConnection!
  }
  type Refund implements Node {
    id: ID! legacyResourceId: UnsignedInt64! createdAt: DateTime totalRefundedSet: MoneyBag!
    refundLineItems(after: String, before: String, first: Int, last: Int, reverse: Boolean = false): RefundLineItemConnection!
  }
  type RefundLineItem { id: ID quantity: Int! restockType: RefundLineItemRestockType! restocked: Boolean! lineItem: LineItem! }
  type RefundLineItemEdge { cursor: String! node: RefundLineItem! }
  type RefundLineItemConnection { edges: [RefundLineItemEdge!]! nodes: [RefundLineItem!]! pageInfo: PageInfo! }
  type FulfillmentOrderAssignedLocation { location: Location name: String! }
  type FulfillmentOrder implements Node {
    id: ID! status: FulfillmentOrderStatus! assignedLocation: FulfillmentOrderAssignedLocation!
    lineItems(after: String, before: String, first: Int, last: Int, reverse: Boolean = false): FulfillmentOrderLineItemConnection!
  }
  type FulfillmentOrderEdge { cursor: String! node: FulfillmentOrder! }
  type FulfillmentOrderConnection { edges: [FulfillmentOrderEdge!]! nodes: [FulfillmentOrder!]! pageInfo: PageInfo! }
  type FulfillmentOrderLineItem implements Node {
    id: ID! sku: String inventoryItemId: ID remainingQuantity: Int! totalQuantity: Int! lineItem: LineItem!
  }
  type FulfillmentOrderLineItemEdge { cursor: String! node: FulfillmentOrderLineItem! }
  type FulfillmentOrderLineItemConnection { edges: [FulfillmentOrderLineItemEdge!]! nodes: [FulfillmentOrderLineItem!]! pageInfo: PageInfo! }
`;

const mutations = /* GraphQL */ `
  input InventoryQuantityInput { changeFromQuantity: Int inventoryItemId: ID! locationId: ID! quantity: Int! }
  input InventorySetQuantitiesInput { name: String! quantities: [InventoryQuantityInput!]! reason: String! referenceDocumentUri: String }
  input InventoryChangeInput { changeFromQuantity: Int delta: Int! inventoryItemId: ID! ledgerDocumentUri: String locationId: ID! }
  input InventoryAdjustQuantitiesInput { changes: [InventoryChangeInput!]! name: String! reason: String! referenceDocumentUri: String }
  type InventoryChange { delta: Int! item: InventoryItem location: Location name: String! quantityAfterChange: Int }
  type InventoryAdjustmentGroup implements Node {
    id: ID! createdAt: DateTime! reason: String! referenceDocumentUri: String
    changes(inventoryItemIds: [ID!], locationIds: [ID!], quantityNames: [String!]): [InventoryChange!]!
  }
  type InventorySetQuantitiesUserError implements DisplayableError {
    code: InventorySetQuantitiesUserErrorCode field: [String!] message: String!
  }
  type InventorySetQuantitiesPayload { inventoryAdjustmentGroup: InventoryAdjustmentGroup userErrors: [InventorySetQuantitiesUserError!]! }
  type InventoryAdjustQuantitiesUserError implements DisplayableError {
    code: InventoryAdjustQuantitiesUserErrorCode field: [String!] message: String!
  }
  type InventoryAdjustQuantitiesPayload {
    inventoryAdjustmentGroup: InventoryAdjustmentGroup userErrors: [InventoryAdjustQuantitiesUserError!]!
  }

  input ProductVariantsBulkInput { compareAtPrice: Money id: ID price: Money }
  type ProductVariantsBulkUpdateUserError implements DisplayableError {
    code: ProductVariantsBulkUpdateUserErrorCode field: [String!] message: String!
  }
  type ProductVariantsBulkUpdatePayload {
    product: Product productVariants: [ProductVariant!] userErrors: [ProductVariantsBulkUpdateUserError!]!
  }

  input FulfillmentTrackingInput { company: String number: String numbers: [String!] url: URL urls: [URL!] }
  input FulfillmentOrderLineItemInput { id: ID! quantity: Int! }
  input FulfillmentOrderLineItemsInput { fulfillmentOrderId: ID! fulfillmentOrderLineItems: [FulfillmentOrderLineItemInput!] }
  input FulfillmentInput {
    lineItemsByFulfillmentOrder: [FulfillmentOrderLineItemsInput!]! notifyCustomer: Boolean trackingInfo: FulfillmentTrackingInput
  }
  type FulfillmentCreatePayload { fulfillment: Fulfillment userErrors: [UserError!]! }

  input WebhookSubscriptionInput { filter: String format: WebhookSubscriptionFormat includeFields: [String!] name: String uri: String }
  type WebhookSubscription implements Node {
    id: ID! legacyResourceId: UnsignedInt64! topic: WebhookSubscriptionTopic! uri: String! format: WebhookSubscriptionFormat!
    createdAt: DateTime! updatedAt: DateTime!
  }
  type WebhookSubscriptionEdge { cursor: String! node: WebhookSubscription! }
  type WebhookSubscriptionConnection { edges: [WebhookSubscriptionEdge!]! nodes: [WebhookSubscription!]! pageInfo: PageInfo! }
  type WebhookSubscriptionCreatePayload { userErrors: [UserError!]! webhookSubscription: WebhookSubscription }
  type WebhookSubscriptionDeletePayload { deletedWebhookSubscriptionId: ID userErrors: [UserError!]! }
`;

const roots = /* GraphQL */ `
  schema { query: QueryRoot mutation: Mutation }
  type QueryRoot {
    shop: Shop!
    node(id: ID!): Node
    nodes(ids: [ID!]!): [Node]!
    location(id: ID): Location
    locations(
      after: String, before: String, first: Int, includeInactive: Boolean = false, includeLegacy: Boolean = false, last: Int, query: String,
      reverse: Boolean = false
    ): LocationConnection!
    inventoryItem(id: ID!): InventoryItem
    inventoryItems(after: String, before: String, first: Int, last: Int, query: String, reverse: Boolean = false): InventoryItemConnection!
    inventoryLevel(id: ID!): InventoryLevel
    products(after: String, before: String, first: Int, last: Int, query: String, reverse: Boolean = false): ProductConnection!
    productVariant(id: ID!): ProductVariant
    productVariants(
      after: String, before: String, first: Int, last: Int, query: String, reverse: Boolean = false, sortKey: ProductVariantSortKeys = ID
    ): ProductVariantConnection!
    order(id: ID!): Order
    orders(
      after: String, before: String, first: Int, last: Int, query: String, reverse: Boolean = false, sortKey: OrderSortKeys = PROCESSED_AT
    ): OrderConnection!
    fulfillmentOrder(id: ID!): FulfillmentOrder
    refund(id: ID!): Refund
    webhookSubscriptions(
      after: String, before: String, first: Int, last: Int, reverse: Boolean = false, topics: [WebhookSubscriptionTopic!], uri: String
    ): WebhookSubscriptionConnection!
  }
  type Mutation {
    inventorySetQuantities(input: InventorySetQuantitiesInput!): InventorySetQuantitiesPayload
    inventoryAdjustQuantities(input: InventoryAdjustQuantitiesInput!): InventoryAdjustQuantitiesPayload
    fulfillmentCreate(fulfillment: FulfillmentInput!, message: String): FulfillmentCreatePayload
    productVariantsBulkUpdate(
      allowPartialUpdates: Boolean = false, productId: ID!, variants: [ProductVariantsBulkInput!]!
    ): ProductVariantsBulkUpdatePayload
    webhookSubscriptionCreate(
      topic: WebhookSubscriptionTopic!, webhookSubscription: WebhookSubscriptionInput!
    ): WebhookSubscriptionCreatePayload
    webhookSubscriptionDelete(id: ID!): WebhookSubscriptionDeletePayload
  }
`;

export const shopifySdl = [scalars, goods, orders, mutations, roots].join('\n');
