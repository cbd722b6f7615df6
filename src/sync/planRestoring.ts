/** Shows the old numbers again after an undo: only once every order is known that could have lowered them, and never more than is left of them. */
import type { StockReading, StockWrite, StockWriteResult } from '../connectors/connector.ts';
import { landingMaxMs } from './bounds.ts';
import { othersOf } from './companions.ts';
import { pollSoon } from './planApplying.ts';
import type { PlanReading, PlanSale } from './planDecision.ts';
import { type ChannelTime, readChannelTime, salesSince } from './planEvidence.ts';
import { type OpenRestore, type RestoreStep, restoreStep } from './planRestore.ts';
import {
  leaseListings,
  openRestores,
  recordRestores,
  releaseListings,
  settleRestores,
} from './planRestoreSql.ts';
import { keepPlan, type Pause, type PlanWork, underLease } from './planSql.ts';

const fenceMs = 1_000;
const pauseMaxMs = 30_000;

/** Answers null when nothing is left to restore. */
export async function restoreNumbers(work: PlanWork): Promise<Pause> {
  const { options, plan } = work;
  const { bounds } = await readChannelTime(options.pool, work);
  const settleMaxMs = landingMaxMs(bounds.settleMaxMs, options.readings(work.channel).context);
  let after: readonly [string, string] = ['', ''];
  let waiting = 0;
  let oldest = options.clock.now();
  for (;;) {
    if (options.signal?.aborted === true) return 0;
    const open = await openRestores(options.pool, plan.id, after, options.batchMax, settleMaxMs);
    const last = open.at(-1);
    if (last === undefined) break;
    after = [last.unitId, last.variantId];
    waiting += await restoreBatch(work, open, settleMaxMs);
    oldest = Math.min(oldest, ...open.map(({ withdrawnAt }) => withdrawnAt));
  }
  if (waiting === 0) return null;
  await pollSoon(work);
  // The longer it takes, the less often the channel is asked.
  return Math.min(pauseMaxMs, Math.max(fenceMs, (options.clock.now() - oldest) / 8));
}

/** Answers how many are still to be done. */
async function restoreBatch(
  work: PlanWork,
  open: readonly OpenRestore[],
  settleMaxMs: number,
): Promise<number> {
  const { options, owner } = work;
  const time = await readChannelTime(options.pool, work);
  // Until then an order may be under way that has lowered the number we would write over.
  const due = open.filter((entry) => entry.withdrawnAt <= time.ordersKnownUntil && !entry.foreignWrite);
  const leased = await leaseListings(options.pool, work, due);
  try {
    const { steps, decidedAt } = await decideBatch(work, leased, time, settleMaxMs);
    const over = steps.filter(({ step }) => step.kind === 'done' || step.kind === 'fail').length;
    return open.length - over - (await send(work, steps, decidedAt));
  } finally {
    await releaseListings(options.pool, owner, leased);
  }
}

type Decided = { readonly entry: OpenRestore; readonly step: RestoreStep };

/** Reads the channel, then decides and records in one transaction what is sent right after. */
async function decideBatch(
  work: PlanWork,
  leased: readonly OpenRestore[],
  { marginMs, bounds }: ChannelTime,
  settleMaxMs: number,
): Promise<{ readonly steps: readonly Decided[]; readonly decidedAt: number }> {
  if (leased.length === 0) return { steps: [], decidedAt: 0 };
  const { options, plan, channel } = work;
  const { connector } = channel;
  const from = options.clock.now() - bounds.staleMaxMs;
  const readings = await connector.readStock(leased);
  const until = options.clock.now();
  return underLease(work, async (client) => {
    const sales = await salesSince(client, plan.id, leased);
    const decided = leased.map((entry, index) => ({
      entry,
      step: restoreStep({
        entry,
        reading: readingOf(readings[index], from, until),
        sales: sales.get(entry.listingId) ?? ([] satisfies readonly PlanSale[]),
        marginMs,
        settleMaxMs,
        newId: options.newId,
      }),
    }));
    await recordRestores(client, work, decided, new Date(until));
    await keepPlan(client, work, {
      undone: decided.filter(({ step }) => step.kind === 'done').length,
      failed: decided.filter(({ step }) => step.kind === 'fail').length,
    });
    return { steps: decided, decidedAt: until };
  });
}

function readingOf(
  reading: StockReading | undefined,
  from: number,
  until: number,
): PlanReading | 'notTracked' | null {
  if (reading?.kind === 'quantity') return { shown: reading.quantity, from, until };
  return reading?.kind === 'notTracked' ? 'notTracked' : null;
}

const tooLate = {
  kind: 'deferred',
  reason: 'it waited for its turn for too long',
  retryAfterMs: fenceMs,
} as const;

type Sending = { readonly entry: OpenRestore; readonly step: Extract<RestoreStep, { kind: 'write' }> };

/** Lowering first. Answers how many are over by the channel's answer. */
async function send(work: PlanWork, steps: readonly Decided[], decidedAt: number): Promise<number> {
  const sending = steps.flatMap(({ entry, step }) => (step.kind === 'write' ? [{ entry, step }] : []));
  const [lowering, raising] = [false, true].map((raises) =>
    sending.filter(({ step }) => step.raises === raises),
  );
  const over = await sendPart(work, lowering ?? [], { urgency: 'lower', decidedAt });
  return over + (await sendPart(work, raising ?? [], { urgency: 'raise', decidedAt }));
}

/** Calls of one part under way at once. */
const callsMax = 4;

async function sendPart(
  work: PlanWork,
  sending: readonly Sending[],
  { urgency, decidedAt }: { readonly urgency: 'lower' | 'raise'; readonly decidedAt: number },
): Promise<number> {
  if (sending.length === 0) return 0;
  const { channel, options } = work;
  const { context, onConcerned } = options.readings(channel);
  const { others, wake } = await othersOf(
    context,
    sending.map(({ entry }) => entry),
  );
  onConcerned(wake);
  const { compareAndSet } = channel.connector.capabilities;
  const writes = sending.map(
    ({ entry, step }): StockWrite => ({
      address: { unitId: entry.unitId, variantId: entry.variantId },
      quantity: step.quantity,
      expected: compareAndSet ? step.expected : null,
      key: step.writeId,
      ...others(entry),
    }),
  );
  // What was decided longer ago is decided again: every bound counts from the decision.
  const leaveBy = decidedAt + context.sendWithinMs;
  // A lost answer is asked for again under the write's own key: where keys belong to calls, each write is one.
  const calls = compareAndSet ? writes.map((write) => [write]) : [writes];
  const answers: (readonly StockWriteResult[])[] = [];
  const waiting = calls.entries();
  const lane = async (): Promise<void> => {
    for (const [index, call] of waiting)
      answers[index] =
        options.clock.now() > leaveBy
          ? call.map(() => tooLate)
          : await channel.connector.setStock(call, { urgency, leaveBy });
  };
  await Promise.all(Array.from({ length: callsMax }, lane));
  const results = answers.flat();
  const unanswered: StockWriteResult = { kind: 'unknown', reason: 'the connector gave no result' };
  return underLease(work, async (client) => {
    const over = await settleRestores(
      client,
      work,
      sending.map(({ entry, step }, index) => ({ entry, step, result: results[index] ?? unanswered })),
    );
    await keepPlan(client, work, over);
    return over.undone + over.failed;
  });
}
