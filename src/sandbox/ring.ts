/** Keeps the newest `capacity` entries and forgets the oldest, so that a journal never grows without limit. */

export class Ring<T> {
  readonly capacity: number;
  #entries: T[] = [];
  #total = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  push(entry: T): void {
    this.#total++;
    this.#entries.push(entry);
    // Cutting in batches keeps a push cheap: an array shift per push would move every entry.
    if (this.#entries.length >= this.capacity * 2) this.#entries = this.#entries.slice(-this.capacity);
  }

  /** Oldest first, at most `capacity`. */
  values(): readonly T[] {
    return this.#entries.slice(-this.capacity);
  }

  /** Everything ever pushed, forgotten entries included. */
  get total(): number {
    return this.#total;
  }

  clear(): void {
    this.#entries = [];
  }
}
