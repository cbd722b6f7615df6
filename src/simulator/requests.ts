/** What the hub asks of the channels: writes, reads, orders, and the fence that is made of both; each answer becomes knowledge. */
import { type WriteAnswer, writeAnswered } from '../sync/core/answers.ts';
import { watermarkAdvanced, writeSent } from '../sync/core/shadow.ts';
import type { Evidence } from './evidence.ts';
import { checkRaise } from './invariants.ts';
import type { Findings, Keeper, Keeping, KeptUnit } from './keeping.ts';
import type { Lifetime } from './lifetime.ts';
import { boundsOf, indexLagOf } from './parameters.ts';
import type { Stage } from './policy.ts';
import { type Answer, channelOf } from './world.ts';

/** Orders are fetched again from this long before the watermark, because channels sort by clocks of their own. */
const overlap = 10_000;
/** After a fence that could not be read. */
const fencePause = 5_000;

export type RequestsParts = {
  readonly stage: Stage;
  readonly items: readonly (readonly KeptUnit[])[];
  readonly findings: Findings;
  readonly lifetime: Lifetime;
  readonly evidence: () => Evidence;
  readonly keeping: () => Keeping;
  readonly reconcile: (item: number) => void;
  readonly wake: Keeper['wake'];
};

export type Requests = Pick<Keeper, 'send' | 'read' | 'fetchOrders' | 'fence'> & {
  /** A reading that nothing known explains: fetch orders, and read again. */
  lookAgain(kept: KeptUnit): void;
  /** When each channel's orders were asked for last. */
  readonly fetchedAt: readonly number[];
};

export function createRequests(parts: RequestsParts): Requests {
  const { stage, items, findings, lifetime, evidence, keeping, reconcile, wake } = parts;
  const { world, ledger } = stage;
  const { queue, parameters } = world;
  const watermarks = parameters.channels.map(() => 0);
  const fetchedAt = parameters.channels.map(() => 0);
  let keys = 0;

  function send(kept: KeptUnit, write: Parameters<Keeper['send']>[1]): string {
    keys += 1;
    const key = write.key ?? `w${keys}`;
    const targetSeq = Math.max(ledger.seq(kept.unit.item), kept.shadow.sentSeq);
    const { value, expected } = write;
    kept.shadow = writeSent(kept.shadow, { key, value, expected, targetSeq }, queue.now());
    kept.lastSentAt = queue.now();
    if (findings.edited?.unit === kept.unit) findings.edited.coveredAt ??= queue.now();
    if (write.raise) checkRaise(kept, key, queue.now());
    world.note(
      () =>
        `write ${kept.name} = ${value}${expected === null ? '' : ` if it shows ${expected}`}${write.key === null ? '' : ' again'}`,
    );
    // An absolute write erases what it replaces: looking at the same moment costs it no time and may still show an outside edit.
    if (expected === null) read(kept);
    world.write(kept.unit, { key, value, expected }, (answer) => takeAnswer(kept, key, answer));
    return key;
  }

  function takeAnswer(kept: KeptUnit, key: string, answer: Answer): void {
    const awaited = kept.shadow.candidates.some((one) => one.key === key && one.settledAt === null);
    if (lifetime.isAway() || !awaited) return;
    if (answer.kind === 'deferred') kept.notBefore = queue.now() + answer.retryAfter;
    const meaning: WriteAnswer = answer.kind === 'deferred' ? { kind: 'rejected' } : answer;
    kept.shadow = writeAnswered(kept.shadow, key, meaning, queue.now());
    keeping().answered(kept, key, meaning);
    evidence().weigh(kept);
    reconcile(kept.unit.item);
  }

  function look(kept: KeptUnit, done: (value: number | null) => void): void {
    const requestedAt = queue.now();
    world.read(
      kept.unit,
      lifetime.alive((value) => {
        evidence().take(kept, value, requestedAt);
        done(value);
      }),
    );
  }

  function read(kept: KeptUnit): void {
    if (kept.reading || lifetime.isAway()) return;
    kept.reading = true;
    look(kept, () => {
      kept.reading = false;
      reconcile(kept.unit.item);
    });
  }

  function fetchOrders(channel: number, done: () => void): void {
    if (lifetime.isAway()) return;
    const startedAt = queue.now();
    fetchedAt[channel] = startedAt;
    const covered = startedAt - indexLagOf(channelOf(parameters, channel));
    const answered = lifetime.alive((orders: Parameters<Parameters<typeof world.fetchOrders>[2]>[0]) => {
      if (orders !== null) {
        for (const order of orders) evidence().apply(order);
        watermarks[channel] = Math.max(watermarks[channel] ?? 0, covered);
        for (const units of items) {
          const kept = units[channel];
          if (kept === undefined) continue;
          kept.shadow = watermarkAdvanced(kept.shadow, covered, startedAt, queue.now());
          evidence().weigh(kept);
        }
      }
      done();
      items.forEach((_, item) => reconcile(item));
    });
    const { clockSkewMax } = boundsOf(channelOf(parameters, channel), parameters);
    world.fetchOrders(channel, (watermarks[channel] ?? 0) - clockSkewMax - overlap, answered);
  }

  function fence(kept: KeptUnit): void {
    if (kept.fencing) return;
    kept.fencing = true;
    fetchOrders(kept.unit.channel, () =>
      look(kept, (value) => {
        kept.fencing = false;
        if (value === null) wake(kept, queue.now() + fencePause);
        else reconcile(kept.unit.item);
      }),
    );
  }

  /** Late enough for the orders to cover this reading, and for another reading to speak of what is after it. */
  function lookAgain(kept: KeptUnit): void {
    const { channel } = kept.unit;
    fetchOrders(channel, () => undefined);
    const again = queue.now() + indexLagOf(kept.channel) + 2 * kept.shadow.bounds.clockSkewMax + 1_000;
    queue.at(again, () => {
      fetchOrders(channel, () => undefined);
      read(kept);
    });
  }

  return { send, read, fetchOrders, fence, lookAgain, fetchedAt };
}
