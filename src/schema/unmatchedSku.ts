/** The inbox of SKUs that were sold and match no item: nothing is reserved for them until somebody says what they mean. */
import { builder } from './builder.ts';
import { connectionOf, orderOf, pageArgs } from './connections.ts';
import type { Context } from './context.ts';
import { decode, type PageArguments, pageSize, type Sort, toPage } from './paging.ts';

type UnmatchedSkuShape = {
  readonly id: string;
  readonly sku: string;
  readonly title: string;
  readonly lineCount: number;
  readonly reserved: number;
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
};

const UnmatchedSku = builder.objectRef<UnmatchedSkuShape>('UnmatchedSku').implement({
  description: 'A SKU that was sold on a channel and matches no item. Say which it is with `skuMap`.',
  extensions: { scope: 'stock:read' },
  fields: (t) => ({
    sku: t.exposeString('sku', { description: "The channel's spelling." }),
    title: t.exposeString('title', { description: 'A title it was sold under.' }),
    lineCount: t.exposeInt('lineCount', { description: 'Order lines waiting, 1 or more.' }),
    reserved: t.exposeInt('reserved', {
      description: 'Units these lines will reserve once matched, 0 or more.',
    }),
    firstSeenAt: t.expose('firstSeenAt', {
      type: 'DateTime',
      description: 'When the oldest waiting line was seen here.',
    }),
    lastSeenAt: t.expose('lastSeenAt', {
      type: 'DateTime',
      description: 'When the newest waiting line was seen here.',
    }),
  }),
});

const UnmatchedSkuConnection = connectionOf('UnmatchedSku', 'unmatched SKUs', UnmatchedSku, 'stock:read');

// When a SKU was first seen is known only once all its lines are read: there is no index for that.
const order = orderOf('UnmatchedSkuOrderBy', 'unmatched SKUs', {
  SKU: { column: 'sku', kind: 'text', description: 'SKU' },
});

builder.queryField('unmatchedSkus', (t) =>
  t.field({
    type: UnmatchedSkuConnection,
    description:
      'The SKUs that were sold and match no item. Lines without a SKU show as `listings(where: {hasItem: false})`.',
    args: {
      ...pageArgs(),
      orderBy: t.arg({ type: order.type, defaultValue: order.initial, description: 'In which order.' }),
    },
    resolve: async (_root, args, context) => {
      const sort = order.by(args.orderBy);
      const rows = await readUnmatched(context, sort, args);
      return toPage(sort, args, rows, { exists: null, totalCount: () => countUnmatched(context) });
    },
  }),
);

async function readUnmatched(
  context: Context,
  sort: Sort,
  args: PageArguments,
): Promise<UnmatchedSkuShape[]> {
  const { size, backward } = pageSize(args);
  const values: unknown[] = [context.accountId, size + 1];
  const [further, nearer] = sort.descending ? ['<', '>'] : ['>', '<'];
  const bound = (cursor: string | null | undefined, operator: string): string => {
    if (!cursor) return '';
    values.push(decode(sort, cursor).value);
    return `AND sku ${operator} $${values.length}`;
  };
  const { rows } = await context.database.query<UnmatchedSkuShape>(
    `SELECT min(id::text) AS id, sku, min(title) AS title, count(*)::int AS "lineCount", sum(reserved)::int AS reserved,
            min(created_at) AS "firstSeenAt", max(created_at) AS "lastSeenAt"
       FROM order_lines
      WHERE account_id = $1 AND item_id IS NULL AND sku IS NOT NULL ${bound(args.after, further)} ${bound(args.before, nearer)}
      GROUP BY sku ORDER BY sku ${backward === sort.descending ? 'ASC' : 'DESC'} LIMIT $2`,
    values,
  );
  return rows;
}

async function countUnmatched({ database, accountId }: Context): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    'SELECT count(DISTINCT sku)::int AS count FROM order_lines WHERE account_id = $1 AND item_id IS NULL',
    [accountId],
  );
  return rows[0]?.count ?? 0;
}
