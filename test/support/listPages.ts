/** Every root list of the API, in every order that it has, with the filters that people use: one page of each. */

export const page = (field: string, more = '', body = 'id'): string =>
  `query ($after: Cursor) { page: ${field}(first: 20, after: $after${more}) { nodes { ${body} } pageInfo { endCursor hasNextPage hasPreviousPage } } }`;

export const lists: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['AVAILABLE', 'SKU', 'TITLE', 'UPDATED_AT'].flatMap((order) =>
      ['ASC', 'DESC'].map((direction) => [
        `items by ${order}_${direction}`,
        page('inventoryItems', `, orderBy: ${order}_${direction}`),
      ]),
    ),
  ),
  ...Object.fromEntries(
    [
      'listings UPDATED_AT_ASC',
      'listings UPDATED_AT_DESC',
      'orders CREATED_AT_ASC',
      'orders CREATED_AT_DESC',
      'orders UPDATED_AT_ASC',
      'orders UPDATED_AT_DESC',
      'alerts CREATED_AT_DESC',
      'alerts UPDATED_AT_ASC',
      'conflicts CREATED_AT_ASC',
      'conflicts CREATED_AT_DESC',
    ]
      .map((each) => each.split(' '))
      .map(([list = '', order = '']) => [`${list} by ${order}`, page(list, `, orderBy: ${order}`)]),
  ),
  movements: page('movements'),
  operations: page('operations'),
  plans: page('syncPlans'),
  reservations: page('reservations', '', 'id lines(first: 5) { nodes { quantity item { sku } } }'),
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
  'changed settings': page('settingChanges'),
  'open conflicts': page('conflicts', ', where: {status: {eq: OPEN}}'),
  'items with their listings': page('inventoryItems', '', 'id listings(first: 5) { nodes { id quantity } }'),
  'orders with their lines': page('orders', '', 'id items(first: 5) { nodes { id item { sku } } }'),
  'unmatched SKUs': page('unmatchedSkus', '', 'sku lineCount'),
};
