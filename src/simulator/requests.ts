/** What the hub asks of the channels: writes, reads, orders, and the fence that is made of both; each answer becomes knowledge. */
import { type WriteAnswer, writeAnswered, writeWorkedOff } from '../sync/core/answers.ts';
import { queuedMaxMs, verifyIntervalMs } from '../sync/core/limits.ts';
import { readDueAt } from '../sync/core/readings.ts';
import { watermarkAdvanced, writeSent } from '../sync/core/shadow.ts';
import type { Evidence } from './evidence.ts';
import { checkRaise } from './invariants.ts';
import type { Findings, Keeper, Keeping, KeptUnit } from './keeping.ts';
import type { Lifetime } from './lifetime.ts';
import { boundsOf, indexLagOf } from './parameters.ts';
import type { Stage } from './policy.ts';
import type { QueueEnd } from './standing.ts';
import { type Answer, channelOf, clockOf } from './world.ts';

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
};

export type Requests = Pick<Keeper, 'send' | 'read' | 'fetchOrders' | 'fence'> & {
  readLater(kept: KeptUnit): void;
  /** A reading that nothing known explains: its channel's orders are asked for. */
  lookAgain(kept: KeptUnit): void;
  /** When each channel's orders were asked for last. */
  readonly fetchedAt: readonly number[];
};

export function createRequests(parts: RequestsParts): Requests {
  const { stage, items, findings, lifetime, evidence, keeping, reconcile } = parts;
  const { world, ledger } = stage;
  const { queue, parameters } = world;
  const pace = { verifyIntervalMs, reconcileIntervalMs: parameters.readEvery };
  const watermarks = parameters.channels.map(() => 0);
  const fetchedAt = parameters.channels.map(() => 0);
  let keys = 0;

  function send(kept: KeptUnit, write: Parameters<Keeper['send']>[1]): string {
    keys += 1;
    const key = write.key ?? `w${keys}`;
    const targetSeq = Math.max(ledger.seq(kept.unit.item), kept.shadow.sentSeq);
    const { value, expected, believed = null } = write;
    const queued = standsInQueue(kept, write);
    const sent = {
      key,
      value,
      expected,
      targetSeq,
      ...(leavesInCompany(write) ? { inCompany: true as const } : {}),
      ...(queued ? { queuedUntil: queue.now() + queuedMaxMs } : {}),
    };
    kept.shadow = writeSent(kept.shadow, sent, queue.now());
    kept.lastSentAt = queue.now();
    if (findings.edited?.unit === kept.unit) findings.edited.coveredAt ??= queue.now();
    if (write.raise) checkRaise(kept, key, queue.now());
    world.note(
      () =>
        `write ${kept.name} = ${value}${expected === null ? '' : ` if it shows ${expected}`}${write.key === null ? '' : ' again'}`,
    );
    const request = {
      key,
      value,
      expected,
      believed,
      ...(queued ? { queued: (end: QueueEnd) => takeEnd(kept, key, end) } : {}),
    };
    world.write(kept.unit, request, (answer) => takeAnswer(kept, key, answer));
    return key;
  }

  function takeEnd(kept: KeptUnit, key: string, { at, refused }: QueueEnd): void {
    lifetime.whenBack(() => {
      kept.shadow = refused
        ? writeAnswered(kept.shadow, key, { kind: 'rejected' }, queue.now())
        : writeWorkedOff(kept.shadow, key, clockOf(kept.channel, at), queue.now());
      evidence().weigh(kept);
      reconcile(kept.unit.item);
    });
  }

  /** Every second one, so that both kinds of lost answers come. A write without a comparison has no key that would be asked for again. */
  function leavesInCompany({ key, expected, packable }: Parameters<Keeper['send']>[1]): boolean {
    return packable === true && key === null && expected !== null && keys % 2 === 0;
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

  /** Sees to it that the unit is read when it is due. */
  function readLater(kept: KeptUnit): void {
    // By the same knowledge it is never due sooner than was found before.
    if (kept.readDue !== null && kept.dueBy === kept.shadow) return;
    kept.dueBy = kept.shadow;
    const due = Math.ceil(Math.max(readDueAt(kept.shadow, pace, queue.now()), kept.readNotBefore));
    if (kept.readDue !== null && kept.readDue <= due) return;
    kept.readDue = due;
    queue.at(due, () => {
      if (kept.readDue !== due) return;
      kept.readDue = null;
      if (readDueAt(kept.shadow, pace, queue.now()) > queue.now()) readLater(kept);
      else read(kept);
    });
  }

  function read(kept: KeptUnit): void {
    if (kept.reading || lifetime.isAway()) return;
    kept.reading = true;
    kept.readNotBefore = queue.now() + verifyIntervalMs;
    look(kept, () => {
      kept.reading = false;
      reconcile(kept.unit.item);
    });
  }

  function fetchOrders(channel: number, done: (told: boolean) => void): void {
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
      if (orders === null) for (const units of items) toldNothing(units[channel]);
      done(orders !== null);
      items.forEach((_, item) => reconcile(item));
    });
    const { clockSkewMax } = boundsOf(channelOf(parameters, channel), parameters);
    world.fetchOrders(channel, (watermarks[channel] ?? 0) - clockSkewMax - overlap, answered);
  }

  function toldNothing(kept: KeptUnit | undefined): void {
    if (kept !== undefined) kept.blindAt = queue.now();
  }

  function fence(kept: KeptUnit): void {
    if (kept.fencing) return;
    kept.fencing = true;
    const ended = () => {
      kept.fencing = false;
      reconcile(kept.unit.item);
    };
    const later = lifetime.alive(ended);
    const failed = () => queue.at(queue.now() + fencePause, () => later(undefined));
    fetchOrders(kept.unit.channel, (told) => {
      if (told) look(kept, (value) => (value === null ? failed() : ended()));
      else failed();
    });
  }

  /** The next reading that nothing explains asks again: until then the orders may have told. */
  function lookAgain({ unit }: KeptUnit): void {
    fetchOrders(unit.channel, () => undefined);
  }

  return { send, read, readLater, fetchOrders, fence, lookAgain, fetchedAt };
}

function standsInQueue(
  { channel }: KeptUnit,
  { key, raise, packable }: Parameters<Keeper['send']>[1],
): boolean {
  return packable === true && key === null && raise && channel.queueTime[1] > 0;
}
