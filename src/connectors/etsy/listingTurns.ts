/** Writes of one Etsy listing take turns: each replaces the whole record, and would undo another one that it has not read. */

/** The end of the last write of each listing. For the whole process: two connectors of one shop must not rebuild one record at a time. */
const lastWrites = new Map<string, Promise<unknown>>();

export async function exclusively<T>(listingId: string, task: () => Promise<T>): Promise<T> {
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
