/** Writes of one Etsy listing take turns: each replaces the whole record, and would undo another one that it has not read. */

import { mapBounded } from '../concurrency.ts';
import type { ListingAddress } from '../connector.ts';

/** Listings written at the same time: a read and a write each, well below the 10 calls a second of a small application. */
const listingsAtOnce = 4;

/** The end of the last write of each listing. For the whole process: two connectors of one shop must not rebuild one record at a time. */
const lastWrites = new Map<string, Promise<unknown>>();

async function exclusively<T>(listingId: string, task: () => Promise<T>): Promise<T> {
  const before = lastWrites.get(listingId) ?? Promise.resolve();
  const run = before.then(task);
  const settled = run.catch(() => null);
  lastWrites.set(listingId, settled);
  try {
    return await run;
  } finally {
    if (lastWrites.get(listingId) === settled) lastWrites.delete(listingId);
  }
}

export type Slot<Write> = { readonly write: Write; readonly index: number };

/** Writes of one listing go together, and `writeListing` answers each of them at its index. One result per write, in the order given. */
export async function byListing<Write extends { readonly address: ListingAddress }, Result>(
  writes: readonly Write[],
  writeListing: (listingId: string, group: readonly Slot<Write>[], results: Result[]) => Promise<void>,
): Promise<readonly Result[]> {
  const results: Result[] = Array.from({ length: writes.length });
  const slots = writes.map((write, index) => ({ write, index }));
  const groups = [...Map.groupBy(slots, ({ write }) => write.address.unitId)];
  await mapBounded(groups, listingsAtOnce, ([listingId, group]) =>
    exclusively(listingId, () => writeListing(listingId, group, results)),
  );
  return results;
}
