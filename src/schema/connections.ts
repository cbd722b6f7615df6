/** Relay connections named for people, over keyset pages: one helper for root lists, one for relations; and how one object is read by its id. */
import type { ObjectRef } from '@pothos/core';
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type PrismaTypes from '../../.generated/pothos.ts';
import { builder, type SchemaTypes } from './builder.ts';
import type { Context } from './context.ts';
import {
  cursorColumns,
  type Page,
  type PageArguments,
  type PageInfoShape,
  pageQuery,
  pageSizeMax,
  type Sort,
  toPage,
} from './paging.ts';
import type { Scope } from './scopes.ts';
import type { Where } from './where.ts';

type NodeRef<Shape> = ObjectRef<SchemaTypes, Shape>;

const nodePaths = [['nodes'], ['edges', 'node']];

const PageInfo = builder.objectRef<PageInfoShape>('PageInfo').implement({
  description: 'Where a page lies in its list.',
  fields: (t) => ({
    hasNextPage: t.boolean({
      description: 'Whether the list goes on after this page.',
      resolve: (info) => info.hasNextPage(),
    }),
    hasPreviousPage: t.boolean({
      description: 'Whether the list has anything before this page.',
      resolve: (info) => info.hasPreviousPage(),
    }),
    startCursor: t.expose('startCursor', {
      type: 'Cursor',
      nullable: true,
      description: 'Pass as `before` for the page before. Null on an empty page.',
    }),
    endCursor: t.expose('endCursor', {
      type: 'Cursor',
      nullable: true,
      description: 'Pass as `after` for the next page. Null on an empty page.',
    }),
  }),
});

/**
 * Defines `<Name>Connection` and `<Name>Edge`, which need the scope that their nodes need. `plural` is the word for the nodes in
 * descriptions.
 */
export function connectionOf<Shape>(name: string, plural: string, node: NodeRef<Shape>, scope: Scope | null) {
  const edge = builder.objectRef<Page<Shape>['edges'][number]>(`${name}Edge`).implement({
    description: `One of the ${plural} with its place in the list.`,
    extensions: { scope },
    fields: (t) => ({
      node: t.field({ type: node, description: 'The object itself.', resolve: (self) => self.node as never }),
      cursor: t.expose('cursor', {
        type: 'Cursor',
        description: 'Its place in the list, for `after` and `before`.',
      }),
    }),
  });
  return builder.objectRef<Page<Shape>>(`${name}Connection`).implement({
    description: `A page of ${plural}.`,
    extensions: { scope },
    fields: (t) => ({
      edges: t.field({
        type: [edge],
        description: `The ${plural} of this page with their cursors.`,
        resolve: (page) => page.edges,
      }),
      nodes: t.field({
        type: [node],
        description: `The ${plural} of this page.`,
        resolve: (page) => page.edges.map((each) => each.node) as never,
      }),
      pageInfo: t.field({
        type: PageInfo,
        description: 'Where this page lies in the list.',
        resolve: (page) => page.pageInfo,
      }),
      totalCount: t.int({
        nullable: true,
        description:
          'How many the whole list has, counted only when selected. On a long list this costs far more than a page. Null where it cannot be said.',
        resolve: (page) => page.totalCount(),
      }),
    }),
  });
}

/** The arguments of every connection. */
export function pageArgs() {
  return builder.args((t) => ({
    first: t.int({
      description: `The first so many, 1 to ${pageSizeMax}. Either \`first\` or \`last\` must be given.`,
    }),
    after: t.field({ type: 'Cursor', description: 'Only what comes after this cursor.' }),
    last: t.int({ description: `The last so many, 1 to ${pageSizeMax}.` }),
    before: t.field({ type: 'Cursor', description: 'Only what comes before this cursor.' }),
  }));
}

/** What a root list needs of one Prisma model. */
type Model = {
  readonly findMany: (query: never) => PromiseLike<unknown>;
  readonly findFirst: (query: never) => PromiseLike<unknown>;
  readonly findUnique: (query: never) => PromiseLike<unknown>;
  readonly count: (query: never) => PromiseLike<unknown>;
};
type ModelName = Uncapitalize<keyof PrismaTypes>;

type ListOptions<Shape> = {
  readonly type: ObjectRef<SchemaTypes, Page<Shape>>;
  readonly model: ModelName;
  readonly node: NodeRef<Shape>;
  readonly description: string;
  readonly where: Where;
  readonly order: Order;
  /** The order of whoever names none. */
  readonly initial?: string;
};

/** Defines a root list: a page of the caller's own rows, filtered and sorted. */
export function listField<Shape>(name: string, options: ListOptions<Shape>): void {
  const { type, model, node, description, where, order, initial = order.initial } = options;
  builder.queryField(name, (t) =>
    t.field({
      type,
      description,
      args: {
        ...pageArgs(),
        where: t.arg({ type: where.type, description: 'Only these.' }),
        orderBy: t.arg({ type: order.type, defaultValue: initial, description: 'In which order.' }),
      },
      resolve: (_root, args, context, info) =>
        rootPage<Shape>(context.prisma[model] as Model, {
          typeName: node.name,
          sort: order.by(args.orderBy),
          where: { accountId: context.accountId, ...where.condition(args.where) },
          args,
          context,
          info,
        }),
    }),
  );
}

/** How one object of the caller's account is read. A null id is answered with null, so that a failed mutation can share it. */
export function readOne<Name extends ModelName>(model: Name) {
  type Row = PrismaTypes[Capitalize<Name>]['Shape'];
  return async (query: object, { prisma, accountId }: Context, id: string | null): Promise<Row | null> => {
    // Also copied where nothing is read: a selection that nobody has looked at is an error.
    const selection = { ...query };
    if (id === null) return null;
    const found = await (prisma[model] as Model).findUnique({
      ...selection,
      where: { id, accountId },
    } as never);
    return found as Row | null;
  };
}

/** One page of a root list in one statement; nested selections are read along. `where` must name the account. */
async function rootPage<Shape>(
  model: Model,
  options: {
    readonly typeName: string;
    readonly sort: Sort;
    readonly where: object;
    readonly args: PageArguments;
    readonly context: Context;
    readonly info: GraphQLResolveInfo;
  },
): Promise<Page<Shape>> {
  const { typeName, sort, where, args, context, info } = options;
  const page = pageQuery(sort, args);
  const selection = queryFromInfo({ context, info, typeName, select: cursorColumns(sort), paths: nodePaths });
  const query = { ...selection, orderBy: page.orderBy, take: page.take, where: { AND: [where, page.where] } };
  const rows = (await model.findMany(query as never)) as ({ id: string } & Shape)[];
  return toPage<{ id: string } & Shape>(sort, args, rows, {
    exists: async (side) =>
      (await model.findFirst({
        where: { AND: [where, side] },
        orderBy: page.orderBy,
        select: { id: true },
      } as never)) !== null,
    totalCount: async () => (await model.count({ where } as never)) as number,
  });
}

type Nested = (query: object, include: object) => object;
type SelectedNames = () => ReadonlySet<string>;

/**
 * A connection over a relation, read in the same statement as its parent. Spread into a field of a Prisma object. `condition` narrows it by further
 * arguments, which the field then declares beside those of the page.
 */
export function relatedPage<Shape>(
  relation: string,
  typeName: string,
  sort: Sort,
  condition: ((args: never) => object) | null = null,
) {
  const include = { getType: () => typeName, paths: nodePaths.map((path) => path.map((name) => ({ name }))) };
  return {
    args: pageArgs(),
    // What the plugin's own connections use: unlike a field's `select`, it is told which fields are selected.
    extensions: {
      pothosPrismaSelect: (
        args: PageArguments,
        _context: Context,
        nested: Nested,
        selected: SelectedNames,
      ) => {
        const page = pageQuery(sort, args);
        const narrowed = condition?.(args as never);
        const where = narrowed === undefined ? page.where : { AND: [narrowed, page.where] };
        const counted = narrowed === undefined ? true : { where: narrowed };
        return {
          select: {
            [relation]: nested({ ...page, where, select: cursorColumns(sort) }, include),
            ...(selected().has('totalCount') ? { _count: { select: { [relation]: counted } } } : {}),
          },
        };
      },
    },
    resolve: (parent: object, args: PageArguments): Page<Shape> => {
      const { _count: counts, ...loaded } = parent as { _count?: Record<string, number> };
      const rows = (loaded as Record<string, ({ id: string } & Shape)[]>)[relation] ?? [];
      // Asking the database per parent would be a statement for each of them; a cursor implies a row before it.
      return toPage<{ id: string } & Shape>(sort, args, rows, {
        exists: null,
        totalCount: () => counts?.[relation] ?? null,
      });
    },
  };
}

/** Sorts by the id alone: time-ordered UUIDs, so this is the order of creation. */
export function byCreation(descending: boolean): Sort {
  return { name: descending ? 'CREATED_AT_DESC' : 'CREATED_AT_ASC', column: null, kind: 'text', descending };
}

type Order = ReturnType<typeof orderOf>;
type Sorting = { readonly column: string | null; readonly kind: Sort['kind']; readonly description: string };

/**
 * Defines `<Name>OrderBy` with an `_ASC` and a `_DESC` member per sorting, each served by an index wherever an account has more than a handful of
 * rows. The first is the default.
 */
export function orderOf(name: string, plural: string, sortings: Readonly<Record<string, Sorting>>) {
  const sorts = Object.entries(sortings).flatMap(([key, { column, kind, description }]) =>
    [false, true].map((descending) => ({
      sort: { name: `${key}_${descending ? 'DESC' : 'ASC'}`, column, kind, descending } satisfies Sort,
      description: `By ${description}, ${descending ? 'largest or newest first' : 'smallest or oldest first'}.`,
    })),
  );
  const [first] = sorts;
  if (first === undefined) throw new Error(`${name} has no member`);
  const byName = new Map(sorts.map(({ sort }) => [sort.name, sort]));
  return {
    type: builder.enumType(name, {
      description: `The order of ${plural}.`,
      values: Object.fromEntries(
        sorts.map(({ sort, description }) => [sort.name, { value: sort.name, description }]),
      ),
    }),
    initial: first.sort.name,
    by: (member: string | null | undefined): Sort => byName.get(member ?? '') ?? first.sort,
  };
}
