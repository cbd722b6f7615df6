/** Works on what a claim gives out, only so much of one subject at once: what one subject holds up, it holds up for itself. */

export type LanesOptions<Work> = {
  /** Ends the claiming; what is under way goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Pieces of work under way at once. */
  readonly max: number;
  /** Takes at most `limit` pieces, given how many of each subject are under way here. */
  readonly claim: (limit: number, underWay: ReadonlyMap<string, number>) => Promise<readonly Work[]>;
  readonly subjectOf: (work: Work) => string;
  readonly carryOut: (work: Work) => Promise<void>;
  readonly onError: (error: unknown) => void;
};

export type Lanes = {
  /** Takes what may be taken now. Resolves when there is no more, or no room; what was taken goes on, and makes room for a look of its own. */
  look(): Promise<void>;
  /** Resolves when nothing is under way any more. */
  idle(): Promise<void>;
};

export function createLanes<Work>(options: LanesOptions<Work>): Lanes {
  const { max, subjectOf } = options;
  const underWay = new Map<string, number>();
  const running = new Set<Promise<void>>();
  let looking: Promise<void> | undefined;
  let again = false;
  const mayTake = (): boolean => again && options.signal?.aborted !== true;
  const isBusy = (): boolean => running.size > 0 || looking !== undefined;

  async function takeAll(): Promise<void> {
    try {
      while (mayTake()) {
        again = false;
        const taken = running.size < max ? await options.claim(max - running.size, underWay) : [];
        for (const work of taken) start(work);
        again ||= taken.length > 0;
      }
    } finally {
      looking = undefined;
    }
  }

  function start(work: Work): void {
    const subject = subjectOf(work);
    underWay.set(subject, (underWay.get(subject) ?? 0) + 1);
    const lane = options
      .carryOut(work)
      .catch(options.onError)
      .finally(() => {
        const left = (underWay.get(subject) ?? 1) - 1;
        if (left === 0) underWay.delete(subject);
        else underWay.set(subject, left);
        running.delete(lane);
        look().catch(options.onError);
      });
    running.add(lane);
  }

  // One claim at a time: each is told what the one before has taken.
  function look(): Promise<void> {
    again = true;
    // Not called here: a look that ends at once would end before it is remembered.
    looking ??= Promise.resolve().then(takeAll);
    return looking;
  }

  return {
    look,
    async idle() {
      while (isBusy()) await Promise.allSettled([...running, looking]);
    },
  };
}
