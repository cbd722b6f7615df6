/**
 * Keyset pagination: a cursor is a sort value and an id, so a page costs the same anywhere in the list, and rows that come and go elsewhere
 * neither shift nor repeat the ones that stay.
 */
import { apiError } from './apiError.ts';

export const pageSizeMax = 100;

type Kind = 'date' | 'bigint' | 'number' | 'text';
type Value = Date | bigint | number | string;

/** One way to sort. Ties are broken by the UUID `id`. `column` null sorts by `id` alone, which is the order of creation. */
export type Sort = {
  readonly name: string;
  readonly column: string | null;
  readonly kind: Kind;
  readonly descending: boolean;
};

export type PageArguments = {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
};

/** What to ask the database for: `take` is one more than the page, to see whether there is a next one. */
export type PageQuery = {
  readonly where: object;
  readonly orderBy: object[];
  readonly take: number;
};

type Row = { readonly id: string };
type Position = { readonly value: Value | null; readonly id: string };
type Side = 'before' | 'after';

export type Page<Node> = {
  readonly edges: readonly { readonly cursor: string; readonly node: Node }[];
  readonly pageInfo: PageInfoShape;
  readonly totalCount: () => Promise<number> | number | null;
};

export type PageInfoShape = {
  readonly startCursor: string | null;
  readonly endCursor: string | null;
  readonly hasNextPage: () => Promise<boolean> | boolean;
  readonly hasPreviousPage: () => Promise<boolean> | boolean;
};

/** Throws BAD_USER_INPUT unless exactly one of `first` and `last` is given, within 1 to 100. */
export function pageSize({ first, last }: PageArguments): {
  readonly size: number;
  readonly backward: boolean;
} {
  const backward = last !== null && last !== undefined;
  const forward = first !== null && first !== undefined;
  if (forward === backward) throw apiError('BAD_USER_INPUT', 'Give either `first` or `last`.');
  const size = backward ? last : (first ?? 0);
  if (size < 1 || size > pageSizeMax) {
    throw apiError('LIMIT_PAGE_SIZE', `A page has 1 to ${pageSizeMax} nodes, not ${size}.`, {
      limit: pageSizeMax,
    });
  }
  return { size, backward };
}

export function pageQuery(sort: Sort, args: PageArguments): PageQuery {
  const { size, backward } = pageSize(args);
  const bounds: object[] = [];
  if (args.after) bounds.push(...beyond(sort, decode(sort, args.after), 'after'));
  if (args.before) bounds.push(...beyond(sort, decode(sort, args.before), 'before'));
  const direction = sort.descending === backward ? 'asc' : 'desc';
  return {
    where: bounds.length === 0 ? {} : { AND: bounds },
    orderBy: [...(sort.column === null ? [] : [{ [sort.column]: direction }]), { id: direction }],
    take: size + 1,
  };
}

/** The columns that a cursor is made of. */
export function cursorColumns(sort: Sort): Record<string, true> {
  return sort.column === null ? { id: true } : { id: true, [sort.column]: true };
}

/**
 * Turns the rows of a `pageQuery` into a page. `exists` says whether any row of the whole list lies within a condition; it is asked only for
 * the side of the page that the rows themselves cannot answer, and only when a client selects that.
 */
export function toPage<Node extends Row>(
  sort: Sort,
  args: PageArguments,
  rows: readonly Node[],
  more: {
    readonly exists: ((where: object) => Promise<boolean>) | null;
    readonly totalCount: () => Promise<number> | number | null;
  },
): Page<Node> {
  const { size, backward } = pageSize(args);
  const taken = rows.slice(0, size);
  if (backward) taken.reverse();
  const edges = taken.map((node) => ({ cursor: encode(sort, positionOf(sort, node)), node }));
  const far = rows.length > size;
  const beyondStart = neighbour('before', args.after ?? null, edges.at(0)?.cursor);
  const beyondEnd = neighbour('after', args.before ?? null, edges.at(-1)?.cursor);
  return {
    edges,
    pageInfo: {
      startCursor: edges.at(0)?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
      hasNextPage: backward || !far ? beyondEnd : () => true,
      hasPreviousPage: backward && far ? () => true : beyondStart,
    },
    totalCount: more.totalCount,
  };

  function neighbour(
    side: Side,
    bound: string | null,
    edge: string | undefined,
  ): () => Promise<boolean> | boolean {
    // Without a bound on that side the page began, or ended, with the list itself.
    if (bound === null) return () => false;
    if (more.exists === null) return () => true;
    const { exists } = more;
    const position = decode(sort, edge ?? bound);
    const condition = beyond(sort, position, side);
    // An empty page has no edge of its own: then the row of the bound counts too, if it is still there.
    return () =>
      exists(edge === undefined ? { OR: [{ AND: condition }, { id: position.id }] } : { AND: condition });
  }
}

/**
 * The rows on one side of a position. The first condition follows from the second, but only as a plain range does PostgreSQL start reading the
 * index there instead of at its beginning.
 */
function beyond(sort: Sort, { value, id }: Position, side: Side): object[] {
  const greater = (side === 'after') !== sort.descending;
  const strict = greater ? 'gt' : 'lt';
  if (sort.column === null) return [{ id: { [strict]: id } }];
  return [
    { [sort.column]: { [greater ? 'gte' : 'lte']: value } },
    { OR: [{ [sort.column]: { [strict]: value } }, { [sort.column]: value, id: { [strict]: id } }] },
  ];
}

function positionOf(sort: Sort, row: Row): Position {
  if (sort.column === null) return { value: null, id: row.id };
  return { value: (row as Row & Readonly<Record<string, Value>>)[sort.column] ?? null, id: row.id };
}

function encode(sort: Sort, { value, id }: Position): string {
  const text = value instanceof Date ? value.toISOString() : value === null ? null : String(value);
  return Buffer.from(JSON.stringify([sort.name, text, id]), 'utf8').toString('base64url');
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The position in a cursor. Throws BAD_USER_INPUT when it was not made for this order. */
export function decode(sort: Sort, cursor: string): Position {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    parts = null;
  }
  const [name, text, id] = Array.isArray(parts) ? (parts as unknown[]) : [];
  if (typeof id !== 'string' || !uuid.test(id))
    throw apiError('BAD_USER_INPUT', 'This cursor is none of ours.');
  if (name !== sort.name) {
    throw apiError(
      'BAD_USER_INPUT',
      'This cursor belongs to a list in another order: start again without it.',
    );
  }
  if (sort.column === null) return { value: null, id };
  const value = typeof text === 'string' ? parsers[sort.kind](text) : null;
  if (value === null) throw apiError('BAD_USER_INPUT', 'This cursor is none of ours.');
  return { value, id };
}

const parsers: Readonly<Record<Kind, (text: string) => Value | null>> = {
  text: (text) => text,
  date: (text) => validOrNull(new Date(text)),
  number: (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : null),
  bigint: (text) => (/^-?\d{1,18}$/.test(text) ? BigInt(text) : null),
};

function validOrNull(date: Date): Date | null {
  return Number.isNaN(date.getTime()) ? null : date;
}
