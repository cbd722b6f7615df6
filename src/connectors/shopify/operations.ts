/** Every GraphQL operation sent to Shopify, in one place, so that a test validates each against the published schema. */

const lineFields = `
  id sku title quantity currentQuantity unfulfilledQuantity
  variant { id inventoryItem { id } }
  originalUnitPriceSet { shopMoney { amount currencyCode } }`;

const orderFields = `
  id legacyResourceId name createdAt updatedAt cancelledAt cancelReason test
  displayFinancialStatus displayFulfillmentStatus returnStatus currencyCode
  totalPriceSet { shopMoney { amount currencyCode } }
  currentTotalPriceSet { shopMoney { amount currencyCode } }
  customer { displayName }
  shippingAddress { name }
  lineItems(first: $lines) { pageInfo { hasNextPage endCursor } nodes { ${lineFields} } }
  fulfillments(first: 10) { id status displayStatus deliveredAt trackingInfo { company number url } }`;

const refundLineFields = `
  pageInfo { hasNextPage endCursor }
  nodes { quantity restockType restocked lineItem { id } }`;

const stockFields = `
  id sku tracked
  inventoryLevel(locationId: $locationId) { id updatedAt quantities(names: ["available"]) { name quantity updatedAt } }`;

export const shopifyOperations = {
  shop: `query Shop { shop { id myshopifyDomain currencyCode } }`,

  ordersSince: `query OrdersSince($first: Int!, $after: String, $query: String!, $lines: Int!) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    pageInfo { hasNextPage endCursor }
    nodes { ${orderFields} }
  }
}`,

  order: `query Order($id: ID!, $lines: Int!) { order(id: $id) { ${orderFields} } }`,

  orderLines: `query OrderLines($id: ID!, $first: Int!, $after: String) {
  order(id: $id) { lineItems(first: $first, after: $after) { pageInfo { hasNextPage endCursor } nodes { ${lineFields} } } }
}`,

  orderFulfillments: `query OrderFulfillments($id: ID!) {
  order(id: $id) { fulfillments { id status displayStatus deliveredAt trackingInfo { company number url } } }
}`,

  orderRefunds: `query OrderRefunds($id: ID!, $first: Int!) {
  order(id: $id) { refunds { id createdAt refundLineItems(first: $first) { ${refundLineFields} } } }
}`,

  refundLines: `query RefundLines($id: ID!, $first: Int!, $after: String) {
  refund(id: $id) { refundLineItems(first: $first, after: $after) { ${refundLineFields} } }
}`,

  stock: `query Stock($ids: [ID!]!, $locationId: ID!) {
  nodes(ids: $ids) { ... on InventoryItem { ${stockFields} } }
}`,

  setAvailable: `mutation SetAvailable($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    userErrors { code field message }
  }
}`,

  prices: `query Prices($ids: [ID!]!) {
  shop { currencyCode }
  nodes(ids: $ids) { ... on InventoryItem { id variants(first: 2) { nodes { id price product { id } } } } }
}`,

  setPrices: `mutation SetPrices($productId: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants, allowPartialUpdates: true) {
    productVariants { id price }
    userErrors { code field message }
  }
}`,

  catalogue: `query Catalogue($first: Int!, $after: String, $query: String, $locationId: ID!) {
  productVariants(first: $first, after: $after, query: $query, sortKey: ID) {
    pageInfo { hasNextPage endCursor }
    nodes { id sku title displayName price inventoryPolicy
      product { title onlineStoreUrl }
      inventoryItem { ${stockFields} }
    }
  }
}`,

  openFulfillments: `query OpenFulfillments($id: ID!, $first: Int!, $after: String) {
  order(id: $id) {
    fulfillments { id status trackingInfo { company number } }
    fulfillmentOrders(first: $first, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { id status assignedLocation { location { id } }
        lineItems(first: 100) { pageInfo { hasNextPage endCursor } nodes { id remainingQuantity lineItem { id } } }
      }
    }
  }
}`,

  fulfillmentOrderLines: `query FulfillmentOrderLines($id: ID!, $first: Int!, $after: String) {
  fulfillmentOrder(id: $id) {
    lineItems(first: $first, after: $after) { pageInfo { hasNextPage endCursor } nodes { id remainingQuantity lineItem { id } } }
  }
}`,

  createFulfillment: `mutation CreateFulfillment($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) { fulfillment { id status } userErrors { field message } }
}`,
} as const;

export type ShopifyOperation = keyof typeof shopifyOperations;
