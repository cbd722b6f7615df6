/** The documents of the end-to-end tests, typed by the generator. */
import { graphql } from '../../.generated/gql/gql.ts';

export const stockStream = graphql(`
  subscription FlowStock($after: Cursor) {
    stockEvents(after: $after) {
      __typename
      ... on StockEvent { cursor sku seq quantity reserved available onHandDelta reservedDelta kind orderId }
      ... on Gap { from to reason }
      ... on Heartbeat { cursor }
    }
  }
`);

export const orderStream = graphql(`
  subscription FlowOrders($after: Cursor) {
    orderEvents(after: $after) {
      __typename
      ... on OrderEvent { cursor orderId platform platformOrderId status revision created }
      ... on Gap { to reason }
      ... on Heartbeat { cursor }
    }
  }
`);

export const alertStream = graphql(`
  subscription FlowAlerts($after: Cursor, $status: [AlertStatus!]) {
    oversellAlerts(after: $after, status: $status) {
      __typename
      ... on AlertEvent {
        cursor alertId status units orderIds
        alert { item { sku } orders(first: 10) { platformOrderId platform } }
      }
      ... on Gap { from to reason }
      ... on Heartbeat { cursor }
    }
  }
`);

export const everyAlertStream = graphql(`
  subscription FlowEveryAlert($after: Cursor) {
    alertEvents(after: $after) {
      __typename
      ... on AlertEvent { cursor alertId kind status units message }
      ... on Gap { from to reason }
      ... on Heartbeat { cursor }
    }
  }
`);

export const jobStream = graphql(`
  subscription FlowJob($id: ID!) {
    jobProgress(id: $id) {
      __typename
      ... on JobEvent { cursor status total completed failed }
      ... on Gap { to reason }
      ... on Heartbeat { cursor }
    }
  }
`);

export const itemBySku = graphql(`
  query FlowItem($sku: String!) {
    inventoryItemBySku(sku: $sku) {
      id quantity reserved available seq syncStatus
      listings(first: 10) { nodes { id platform quantity target pending lastError } }
      operations(first: 5) { nodes { id status error } }
    }
  }
`);

export const openAlerts = graphql(`
  query FlowOpenAlerts {
    alerts(first: 10, where: { status: { in: [OPEN, ACKNOWLEDGED] }, kind: { eq: OVERSELL } }) {
      nodes { id status units item { sku } orders(first: 10) { platform platformOrderId } }
    }
  }
`);

export const everyOrder = graphql(`
  query FlowOrdersPage($platform: Platform) {
    orders(first: 50, where: { platform: { eq: $platform } }) {
      nodes {
        id platform platformOrderId status channelStatus revision itemCount
        items(first: 10) { nodes { sku quantity reserved shipped item { sku } } }
      }
    }
  }
`);

export const connectionStates = graphql(`
  query FlowConnections { connections(first: 10) { nodes { id platform status lastError ordersWatermark } } }
`);

export const unmatched = graphql(`
  query FlowUnmatched { unmatchedSkus(first: 10) { nodes { sku } } }
`);

export const mapSkuTo = graphql(`
  mutation FlowSkuMap($input: SkuMapInput!) {
    skuMap(input: $input) { linesApplied item { sku } userErrors { code message } }
  }
`);

export const adjustStock = graphql(`
  mutation FlowAdjust($input: StockAdjustInput!) {
    stockAdjust(input: $input) { item { quantity available } userErrors { code message } }
  }
`);

export const syncItem = graphql(`
  mutation FlowSyncItem($input: InventoryItemSyncInput!) {
    inventoryItemSync(input: $input) { operation { id status } userErrors { code message } }
  }
`);

export const operationState = graphql(`
  query FlowOperation($id: ID!) { node(id: $id) { __typename ... on SyncOperation { status error } } }
`);

export const syncAll = graphql(`
  mutation FlowSyncAll { inventorySyncAll { job { id total status } userErrors { code message } } }
`);

export const updateStatus = graphql(`
  mutation FlowOrderStatus($input: OrderStatusUpdateInput!) {
    orderStatusUpdate(input: $input) { order { status channelStatus revision } userErrors { code message } }
  }
`);

export const orderCount = graphql(`
  query FlowOrderCount { orders(first: 1) { totalCount } }
`);
