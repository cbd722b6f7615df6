/** Every root list of the API, in every order that it has, with the filters that people use and each of its filters alone: one page of each. */
import { type GraphQLInputObjectType, isEnumType, isInputObjectType } from 'graphql';
import { encodeId } from '../../src/schema/globalId.ts';
import { schema as apiSchema } from '../../src/schema/schema.ts';
import { noIndex } from '../../src/schema/where.ts';

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

// ---------------------------------------------------------------------------------------------------------------- filters

type Filter = {
  readonly list: string;
  readonly field: string;
  readonly description: string;
  /** What it compares with: `null` for a yes or no. */
  readonly comparison: GraphQLInputObjectType | null;
};

/** Every filter of every root list, as the schema declares them. */
export function filters(): readonly Filter[] {
  const root = apiSchema.getQueryType()?.getFields() ?? {};
  return Object.values(root).flatMap(({ name, args }) => {
    const where = args.find((argument) => argument.name === 'where')?.type;
    if (!isInputObjectType(where)) return [];
    return Object.values(where.getFields())
      .filter((field) => !['and', 'or', 'not'].includes(field.name))
      .map(({ name: field, type, description }) => ({
        list: name,
        field,
        description: description ?? '',
        comparison: isInputObjectType(type) ? type : null,
      }));
  });
}

/** True for a filter whose description says that it has none. */
export const hasNoIndex = ({ description }: Pick<Filter, 'description'>): boolean =>
  description.endsWith(noIndex);

const nodeTypeOf: Readonly<Record<string, string>> = {
  connectionId: 'PlatformConnection',
  itemId: 'InventoryItem',
  jobId: 'Job',
  listingId: 'Listing',
  orderId: 'Order',
};
const nodeTypeOfList: Readonly<Record<string, string>> = {
  inventoryItems: 'InventoryItem',
  listings: 'Listing',
  orders: 'Order',
};

/** One page for each kind of value: few rows or none hold, so that whoever has no index reads the whole list in vain. */
function valuesOf({ list, field, comparison }: Filter): readonly string[] {
  if (comparison === null) return ['true', 'false'];
  const { eq } = comparison.getFields();
  const type = eq?.type;
  if (isEnumType(type)) return type.getValues().map(({ name }) => `{eq: ${name}}`);
  switch (String(type)) {
    case 'ID': {
      const node = (field === 'id' ? nodeTypeOfList[list] : nodeTypeOf[field]) ?? '';
      return [`{eq: "${encodeId(node, '00000000-0000-7000-8000-00000000ffff')}"}`];
    }
    case 'Int':
      return ['{lte: -1000}', '{eq: 987654}'];
    case 'DateTime':
      return ['{gte: "2099-01-01T00:00:00Z"}', '{lte: "2001-01-01T00:00:00Z"}'];
    case 'String':
      return ['{eq: "nothing is called so"}'];
    default:
      throw new Error(`no value for the filter ${list}.${field} of ${String(type)}`);
  }
}

/** One list for every filter that an index must serve. */
export const filteredLists: Readonly<Record<string, string>> = Object.fromEntries(
  filters()
    .filter((filter) => !hasNoIndex(filter))
    .flatMap((filter) =>
      valuesOf(filter).map((value) => [
        `${filter.list} where ${filter.field} ${value}`,
        page(filter.list, `, where: {${filter.field}: ${value}}`),
      ]),
    ),
);
