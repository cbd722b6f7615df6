/** What may be sold of a bundle, read for all bundles of an answer in one statement. */
import DataLoader from 'dataloader';
import type { Context } from './context.ts';

export type Sellable = { readonly available: number; readonly seq: number };

const loaders = new WeakMap<Context, DataLoader<string, Sellable>>();

/** Units available and the number that they are from, both of one moment. An item that is gone can sell none. */
export function sellableOf(context: Context, itemId: string): Promise<Sellable> {
  const known = loaders.get(context);
  // Not cached: a request with two mutations reads twice and must not see the first answer again.
  const loader =
    known ?? new DataLoader<string, Sellable>((ids) => readSellable(context, ids), { cache: false });
  if (known === undefined) loaders.set(context, loader);
  return loader.load(itemId);
}

async function readSellable({ database }: Context, ids: readonly string[]): Promise<readonly Sellable[]> {
  const { rows } = await database.query<{ id: string; available: number; seq: string }>(
    'SELECT asked.id, sellable.available, sellable.seq FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL item_sellable(asked.id) sellable',
    [[...new Set(ids)]],
  );
  const found = new Map(rows.map((row) => [row.id, { available: row.available, seq: Number(row.seq) }]));
  return ids.map((id) => found.get(id) ?? { available: 0, seq: 0 });
}
