/** Relay connections the way Shopify pages them: by cursor over a sort key, at most 250 at a time, `first` or `last` mandatory. */
import { GraphQLError } from 'graphql';

export type PageArguments = {
  readonly first?: number | null;
  readonly last?: number | null;
  readonly after?: string | null;
  readonly before?: string | null;
  readonly reverse?: boolean | null;
};

/** A number or text to sort by, and the id that makes it unique. */
export type SortKey = { readonly key: number | string; readonly id: string };

export type Connection<N> = {
  readonly nodes: readonly N[];
  readonly edges: readonly { readonly cursor: string; readonly node: N }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
};

const pageMax = 250;

/** Throws a GraphQL error when a list that is given has more entries than Shopify takes. */
export function assertInputSize(list: readonly unknown[]): void {
  if (list.length <= pageMax) return;
  const message = `The input array size of ${list.length} is greater than the maximum allowed of ${pageMax}.`;
  throw new GraphQLError(message, { extensions: { code: 'MAX_INPUT_SIZE_EXCEEDED' } });
}

const badRequest = (message: string) => new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } });

function order(a: SortKey, b: SortKey): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.id.length - b.id.length || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

const encode = (key: SortKey) => Buffer.from(JSON.stringify(key)).toString('base64url');

function decode(cursor: string): SortKey {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null && 'key' in value && 'id' in value)
      return value as SortKey;
  } catch {
    // Falls through to the refusal below.
  }
  throw badRequest('Invalid cursor for current pagination sort.');
}

export type Pager = {
  /** Cuts a page short when a fault says so. */
  cut<R>(rows: readonly R[]): readonly R[];
  readonly cutShort: boolean;
};

const whole: Pager = { cut: (rows) => rows, cutShort: false };

/** Sorts, pages and shows `rows`. Throws a GraphQL error when neither `first` nor `last` is given, or more than 250 are asked for. */
export function connection<R, N>(
  rows: readonly R[],
  page: PageArguments,
  sortKey: (row: R) => SortKey,
  show: (row: R) => N,
  pager: Pager = whole,
): Connection<N> {
  const size = page.first ?? page.last;
  if (size === null || size === undefined) throw badRequest('you must provide one of first or last');
  if (size < 0 || size > pageMax) throw badRequest(`first and last must be from 0 to ${pageMax}`);
  const direction = (page.reverse ?? false) ? -1 : 1;
  const sorted = rows
    .map((row) => ({ row, key: sortKey(row) }))
    .toSorted((a, b) => direction * order(a.key, b.key));
  const after = page.after ? decode(page.after) : null;
  const before = page.before ? decode(page.before) : null;
  const between = sorted.filter(
    ({ key }) =>
      (after === null || direction * order(key, after) > 0) &&
      (before === null || direction * order(key, before) < 0),
  );
  const fromEnd = typeof page.first !== 'number';
  const full = fromEnd ? between.slice(Math.max(0, between.length - size)) : between.slice(0, size);
  const shown = pager.cut(full);
  const edges = shown.map(({ row, key }) => ({ cursor: encode(key), node: show(row) }));
  return {
    nodes: edges.map(({ node }) => node),
    edges,
    pageInfo: {
      hasNextPage: pager.cutShort ? false : fromEnd ? before !== null : between.length > full.length,
      hasPreviousPage: fromEnd ? between.length > full.length : after !== null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}
