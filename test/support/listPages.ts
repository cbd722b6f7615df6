/** Every root list of the API, in every order that it has, with the filters that people use: one page of each. */

export const page = (field: string, more = '', body = 'id'): string =>
  `query ($after: Cursor) { page: ${field}(first: 20, after: $after${more}) { nodes { ${body} } pageInfo { endCursor hasNextPage hasPreviousPage } } }`;

const orders: Readonly<Record<string, readonly string[]>> = {
  inventoryItems: ['AVAILABLE', 'SKU', 'TITLE', 'UPDATED_AT'],
  listings: ['UPDATED_AT'],
  orders: ['CREATED_AT', 'UPDATED_AT'],
  alerts: ['CREATED_AT', 'UPDATED_AT'],
  conflicts: ['CREATED_AT', 'UPDATED_AT'],
  connections: ['CREATED_AT', 'UPDATED_AT'],
  movements: ['CREATED_AT'],
  operations: ['CREATED_AT', 'UPDATED_AT'],
  jobs: ['CREATED_AT', 'UPDATED_AT'],
  syncPlans: ['CREATED_AT', 'UPDATED_AT'],
  reservations: ['CREATED_AT', 'UPDATED_AT'],
  settingChanges: ['CREATED_AT'],
  unmatchedSkus: ['SKU'],
};

export const lists: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(orders).flatMap(([list, columns]) =>
      columns.flatMap((column) =>
        ['ASC', 'DESC'].map((direction) => [
          `${list} by ${column}_${direction}`,
          page(list, `, orderBy: ${column}_${direction}`, list === 'unmatchedSkus' ? 'sku lineCount' : 'id'),
        ]),
      ),
    ),
  ),
  'reservations with their lines': page(
    'reservations',
    '',
    'id lines(first: 5) { nodes { quantity item { sku } } }',
  ),
  'active reservations': page('reservations', ', where: {status: {eq: ACTIVE}}'),
  'bundles with their components': page(
    'inventoryItems',
    ', where: {role: {eq: BUNDLE}}',
    'id available components(first: 5) { nodes { item { sku } } }',
  ),
  'items that are out of step': page('inventoryItems', ', where: {syncStatus: {eq: ERROR}}'),
  'items changed since': page(
    'inventoryItems',
    ', orderBy: UPDATED_AT_ASC, where: {updatedAt: {gte: "2026-01-01T00:00:00Z"}}',
  ),
  'orders of a status': page('orders', ', where: {status: {eq: PENDING}}'),
  'orders of a platform': page('orders', ', where: {platform: {eq: SHOPIFY}}'),
  'listings without an item': page('listings', ', where: {hasItem: false}'),
  'open alerts': page('alerts', ', where: {status: {eq: OPEN}}'),
  'alerts of some kinds': page(
    'alerts',
    ', where: {kind: {in: [OVERSELL_RISK, LOW_STOCK]}, status: {eq: OPEN}}',
  ),
  'open conflicts': page('conflicts', ', where: {status: {eq: OPEN}}'),
  'items with their listings': page('inventoryItems', '', 'id listings(first: 5) { nodes { id quantity } }'),
  'orders with their lines': page('orders', '', 'id items(first: 5) { nodes { id item { sku } } }'),
};
