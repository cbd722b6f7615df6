/** The documents of these tests, typed by the generator. */
import { graphql } from '../../.generated/gql/gql.ts';

export const itemsPage = graphql(`
  query ItemsPage($first: Int, $after: Cursor, $last: Int, $before: Cursor, $orderBy: InventoryItemOrderBy, $where: InventoryItemWhere) {
    inventoryItems(first: $first, after: $after, last: $last, before: $before, orderBy: $orderBy, where: $where) {
      nodes { id sku }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
`);

export const itemsWithListings = graphql(`
  query ItemsWithListings($first: Int!, $listings: Int!) {
    inventoryItems(first: $first) {
      nodes {
        id sku title quantity reserved available seq syncStatus
        listings(first: $listings) {
          totalCount
          nodes { id platform platformId quantity pending price { amount currencyCode } connection { name } item { sku } }
          pageInfo { hasNextPage hasPreviousPage }
        }
      }
    }
  }
`);

export const countOfItems = graphql(`
  query CountOfItems($where: InventoryItemWhere) { inventoryItems(first: 1, where: $where) { totalCount } }
`);

export const itemById = graphql(`
  query ItemById($id: ID!) { inventoryItem(id: $id) { id sku } }
`);

export const itemBySku = graphql(`
  query ItemBySku($sku: String!) { inventoryItemBySku(sku: $sku) { id sku } }
`);

export const manyNodes = graphql(`
  query ManyNodes($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }
`);

export const oneNode = graphql(`
  query OneNode($id: ID!) { node(id: $id) { __typename id } }
`);

export const orderByPlatform = graphql(`
  query OrderByPlatform($connectionId: ID!, $platformOrderId: String!) {
    orderByPlatformId(connectionId: $connectionId, platformOrderId: $platformOrderId) { id }
  }
`);

export const everyList = graphql(`
  query EveryList {
    inventoryItems(first: 10) { nodes { sku } totalCount }
    listings(first: 10) { nodes { platformId } totalCount }
    orders(first: 10) { nodes { platformOrderId items(first: 10) { nodes { sku item { sku } } } } totalCount }
    conflicts(first: 10) { nodes { item { sku } platforms } totalCount }
    alerts(first: 10) { nodes { item { sku } orders(first: 10) { platformOrderId } } totalCount }
    operations(first: 10) { nodes { item { sku } job { id } targetPlatforms } totalCount }
    jobs(first: 10) { nodes { id operations(first: 10) { nodes { item { sku } } } } totalCount }
    connections(first: 10) { nodes { name listings(first: 10) { nodes { platformId } } } totalCount }
    movements(first: 10) { nodes { item { sku } seq actor { kind id } } totalCount }
    settingChanges(first: 10) { nodes { setting after listing { platformId } } totalCount }
    unmatchedSkus(first: 10) { nodes { sku lineCount reserved } totalCount }
    syncPlans(first: 10) { nodes { id connection { name } entries(first: 10) { nodes { item { sku } listing { platformId } } } } totalCount }
    reservations(first: 10) { nodes { status lines(first: 10) { nodes { quantity item { sku } } } } totalCount }
    viewer { account { name } scopes }
    oldestCursor
  }
`);

export const itemHistory = graphql(`
  query ItemHistory($id: ID!) {
    inventoryItem(id: $id) {
      movements(first: 2) { nodes { seq onHandDelta kind reason } pageInfo { endCursor hasNextPage } totalCount }
      conflicts(first: 5) { nodes { conflictType } }
      operations(first: 5) { nodes { action } }
      alerts(first: 5) { nodes { units } }
      orderLines(first: 5) { nodes { quantity order { platformOrderId } } }
    }
  }
`);

export const movementsAfter = graphql(`
  query MovementsAfter($id: ID!, $after: Cursor) {
    inventoryItem(id: $id) { movements(first: 2, after: $after) { nodes { seq } pageInfo { hasNextPage hasPreviousPage } } }
  }
`);

export const stockAdjust = graphql(`
  mutation StockAdjust($input: StockAdjustInput!) {
    stockAdjust(input: $input) {
      item { id sku quantity }
      movement { id seq }
      userErrors { __typename message code field }
    }
  }
`);

export const stockSet = graphql(`
  mutation StockSet($input: StockSetInput!) {
    stockSet(input: $input) {
      item { sku quantity }
      userErrors { code field message ... on StockChangedError { current } ... on IdempotencyError { retryable } }
    }
  }
`);

export const inventoryItemSync = graphql(`
  mutation InventoryItemSync($input: InventoryItemSyncInput!) {
    inventoryItemSync(input: $input) { item { sku } operation { id } userErrors { code } }
  }
`);

export const inventorySyncAll = graphql(`
  mutation InventorySyncAll($input: InventorySyncAllInput) { inventorySyncAll(input: $input) { job { id } userErrors { code } } }
`);

export const orderStatusUpdate = graphql(`
  mutation OrderStatusUpdate($input: OrderStatusUpdateInput!) {
    orderStatusUpdate(input: $input) {
      order { platformOrderId status }
      userErrors { code message ... on InvalidTransitionError { current } ... on ChannelRejectedError { raw } }
    }
  }
`);

export const alertAcknowledge = graphql(`
  mutation AlertAcknowledge($input: AlertAcknowledgeInput!) {
    alertAcknowledge(input: $input) { alert { status } userErrors { code } }
  }
`);

export const listingMap = graphql(`
  mutation ListingMap($input: ListingMapInput!) { listingMap(input: $input) { listing { platformId } userErrors { code field } } }
`);

export const skuMap = graphql(`
  mutation SkuMap($input: SkuMapInput!) { skuMap(input: $input) { item { sku } linesApplied userErrors { code field } } }
`);

export const bundlesPage = graphql(`
  query BundlesPage($first: Int!) {
    inventoryItems(first: $first, where: { role: { eq: BUNDLE } }) {
      nodes {
        sku role quantity available seq
        components(first: 5) { nodes { quantity item { sku role available bundles(first: 5) { nodes { bundle { sku } } } } } totalCount }
      }
    }
  }
`);

export const bundleSet = graphql(`
  mutation BundleSet($input: BundleSetInput!) {
    bundleSet(input: $input) { item { sku available } userErrors { __typename code field ... on BundleError { onHand } } }
  }
`);

export const reservationCreate = graphql(`
  mutation ReservationCreate($input: ReservationCreateInput!) {
    reservationCreate(input: $input) {
      reservation { status reference }
      userErrors { __typename code field ... on InsufficientStockError { available itemId item { sku } } }
    }
  }
`);

export const reservationEnds = graphql(`
  mutation ReservationEnds($extend: ReservationExtendInput!, $end: ReservationEndInput!) {
    reservationExtend(input: $extend) { reservation { status expiresAt } userErrors { code } }
    reservationCommit(input: $end) { reservation { status } userErrors { code ... on ReservationEndedError { current } } }
    reservationRelease(input: $end) { reservation { status endedAt } userErrors { code } }
  }
`);

export const orderReturn = graphql(`
  mutation OrderReturn($input: OrderReturnInput!) {
    orderReturn(input: $input) {
      order { platformOrderId items(first: 5) { nodes { returned restocked } } }
      userErrors { __typename code field ... on ExceedsShippedError { returnable } }
    }
  }
`);

export const stockEvents = graphql(`
  subscription StockEvents($after: Cursor, $where: StockEventsWhere) {
    stockEvents(after: $after, where: $where) {
      __typename
      ... on StockEvent { cursor sku quantity available kind stockReason item { title listings(first: 5) { nodes { platformId } } } }
      ... on Gap { from to reason }
      ... on Heartbeat { cursor }
    }
  }
`);

export const orderEvents = graphql(`
  subscription OrderEvents { orderEvents { __typename ... on OrderEvent { platformOrderId created order { customerName } } } }
`);

export const oversellAlerts = graphql(`
  subscription OversellAlerts($after: Cursor, $status: [AlertStatus!]) {
    oversellAlerts(after: $after, status: $status) {
      __typename
      ... on AlertEvent { cursor status units orderIds alert { item { sku } } }
      ... on Heartbeat { cursor }
    }
  }
`);

export const conflictEvents = graphql(`
  subscription ConflictEvents { conflictEvents { __typename ... on ConflictEvent { conflictId conflict { conflictType } } } }
`);

export const jobProgress = graphql(`
  subscription JobProgress($id: ID!) {
    jobProgress(id: $id) { __typename ... on JobEvent { status completed total job { kind } } }
  }
`);
