/** The search index behind order list calls: an order change can be found only once its index lag has passed. */

type Entry = { readonly updatedAt: number; readonly visibleAt: number };

export type OrderIndex = {
  add(orderId: string, updatedAt: number, visibleAt: number, now: number): void;
  /** The newest change of the order that is visible at `now`. */
  indexedAt(orderId: string, now: number): number | undefined;
  /** Ids of the orders whose newest visible change lies in [since, until], oldest first. */
  find(now: number, since: number, until: number): readonly string[];
  remove(orderId: string): void;
  clear(): void;
};

export function createOrderIndex(): OrderIndex {
  const entries = new Map<string, Entry[]>();

  const newestVisible = (list: readonly Entry[], now: number) =>
    list.findLast((entry) => entry.visibleAt <= now);

  const indexedAt = (orderId: string, now: number) => {
    const list = entries.get(orderId);
    return list === undefined ? undefined : newestVisible(list, now)?.updatedAt;
  };

  return {
    indexedAt,
    add(orderId, updatedAt, visibleAt, now) {
      const list = entries.get(orderId) ?? [];
      const visible = newestVisible(list, now);
      const waiting = list.filter((entry) => entry.visibleAt > now);
      const kept = visible === undefined ? waiting : [visible, ...waiting];
      entries.set(orderId, [...kept, { updatedAt, visibleAt }]);
    },
    find(now, since, until) {
      const found: { readonly id: string; readonly at: number }[] = [];
      for (const id of entries.keys()) {
        const at = indexedAt(id, now);
        if (at !== undefined && at >= since && at <= until) found.push({ id, at });
      }
      return found.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1)).map(({ id }) => id);
    },
    remove(orderId) {
      entries.delete(orderId);
    },
    clear() {
      entries.clear();
    },
  };
}
