/** Events in the order of their time, and of their making where times are equal: the only clock of a simulation. */

export type EventQueue = {
  /** Milliseconds since the start of the run. */
  now(): number;
  /** Runs `event` at `at`; what lies in the past runs next. */
  at(at: number, event: () => void): void;
  /** Runs the next event; false when there is none up to `until`. */
  step(until: number): boolean;
};

type Entry = { readonly at: number; readonly order: number; readonly event: () => void };

export function createEventQueue(): EventQueue {
  const heap: Entry[] = [];
  let now = 0;
  let made = 0;
  const earlier = (one: Entry, other: Entry) =>
    one.at < other.at || (one.at === other.at && one.order < other.order);

  function push(entry: Entry): void {
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !earlier(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  function pop(): Entry | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const right = heap[child + 1];
      let least = heap[child];
      if (least === undefined) break;
      if (right !== undefined && earlier(right, least)) {
        child += 1;
        least = right;
      }
      if (!earlier(least, last)) break;
      heap[index] = least;
      index = child;
    }
    heap[index] = last;
    return first;
  }

  return {
    now: () => now,
    at: (at, event) => push({ at: Math.max(now, Math.round(at)), order: made++, event }),
    step(until) {
      const next = heap[0];
      if (next === undefined || next.at > until) return false;
      pop();
      now = next.at;
      next.event();
      return true;
    },
  };
}
