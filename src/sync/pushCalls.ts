/** The calls of a push: in the order of their danger, packed as the channel takes them, and every answer taken in as evidence. */
import type pg from 'pg';
import type { StockWriteResult, Turn } from '../connectors/connector.ts';
import { queueOf } from '../connectors/queue.ts';
import { companionsOf, othersOf, takeCompanion, writtenOver } from './companions.ts';
import { type WriteAnswer, writeAnswered } from './core/answers.ts';
import { stopsRaises } from './core/range.ts';
import { readingTaken, type Shadow } from './core/shadow.ts';
import { outOfStep, type PlannedWrite } from './decisions.ts';
import { grantRefused } from './escrows.ts';
import type { KeptListing } from './keptListing.ts';
import { decideKept, type Pending, postponed, type Run, type ToWrite } from './pushRun.ts';
import { type ClaimOutcome, markOutOfStep, markUndone, recordAnswers, settleClaims } from './pushSql.ts';
import { type Kept, withShadows } from './shadows.ts';
import { connectionErrors } from './writeErrors.ts';

/** Calls of one run under way at once: enough to hide the channel's latency, few enough that what waits is decided late. */
const callsMax = 4;

/** A raise never travels with a lowering. */
function lowers([first]: readonly ToWrite[]): boolean {
  return first?.write.direction !== 'raise';
}

/** Zeroes and lowering writes are answered before the first raise leaves. Answers what is still to be done. */
export async function sendWrites(run: Run, writes: readonly ToWrite[]): Promise<readonly Pending[]> {
  if (writes.length === 0) return [];
  const packed = [...Map.groupBy(writes, ({ write }) => write.call).values()];
  const lowering = packed.filter(lowers);
  const others = packed.filter((call) => !lowers(call));
  const pending: Pending[] = [];
  for (const [part, urgency] of [
    [lowering, 'lower'],
    [others, 'raise'],
  ] as const) {
    const waiting = part.values();
    const lane = async (): Promise<void> => {
      for (const call of waiting) pending.push(...(await sendCall(run, call, urgency)));
    };
    await Promise.all(Array.from({ length: callsMax }, lane));
  }
  return pending;
}

/** It waited for its turn until what it was decided from was too old, and did not leave. */
type Late = { readonly kind: 'late' };

type Answered = ToWrite & { readonly result: StockWriteResult | Late; readonly sentAt: number };

async function sendCall(
  run: Run,
  call: readonly ToWrite[],
  urgency: Turn['urgency'],
): Promise<readonly Pending[]> {
  const { connector } = run.channel;
  const { others, wake } = await othersOf(
    run.context,
    call.map(({ write }) => write.listing),
  );
  run.reading.onConcerned(wake);
  const sentAt = run.context.now();
  const leaveBy = Math.min(...call.map(({ write }) => write.decidedAt)) + run.options.sendWithinMs;
  if (sentAt > leaveBy) {
    return takeAnswers(
      run,
      call.map((one) => ({ ...one, result: { kind: 'late' }, sentAt })),
    );
  }
  const results = await connector.setStock(
    call.map(({ write: { listing, quantity, expected, believed, key, queued } }) => ({
      address: { unitId: listing.unitId, variantId: listing.variantId },
      quantity,
      ...writtenOver(connector.capabilities, { expected, believed }),
      key,
      ...others(listing),
      ...(queued ? { mayQueue: true as const } : {}),
    })),
    { urgency, leaveBy },
  );
  run.errors.push(...connectionErrors(results));
  const answered = call.map((one, index) => ({
    ...one,
    result: results[index] ?? ({ kind: 'unknown', reason: 'the connector gave no result' } as const),
    sentAt,
  }));
  for (const { write, result } of answered) logAnswer(run, write, result);
  return takeAnswers(run, answered);
}

function hasLeft(answer: Answered): answer is Answered & { readonly result: StockWriteResult } {
  return answer.result.kind !== 'late';
}

/** Answers that say that nothing was changed. */
const refusals = new Set<Answered['result']['kind']>(['stale', 'rejected', 'deferred', 'late']);
const unsent = new Set<Answered['result']['kind']>(['deferred', 'late']);
const spoken = new Set<StockWriteResult['kind']>(['effective', 'accepted', 'stale', 'rejected']);

function logAnswer(
  run: Run,
  { key, listing, quantity, targetSeq }: PlannedWrite,
  result: StockWriteResult,
): void {
  run.heard ||= spoken.has(result.kind);
  const { listingId, itemId, connectionId } = listing;
  const fields = { writeId: key, listingId, itemId, connectionId, quantity, targetSeq };
  if (result.kind === 'effective' || result.kind === 'accepted')
    run.options.log.info({ ...fields, result: result.kind }, 'stock written');
  else run.options.log.warn({ ...fields, result }, 'stock not written');
}

/** One transaction: the answers become evidence, and what follows from them is decided at once. */
async function takeAnswers(run: Run, answers: readonly Answered[]): Promise<readonly Pending[]> {
  const byListing = new Map(answers.map((answer) => [answer.claim.listingId, answer]));
  const { db, newId } = run.options;
  // One that was refused beside others of its unit is put back by their write.
  const refused = answers.filter(({ result }) => refusals.has(result.kind));
  const written = answers.filter((answer) => !refused.includes(answer)).map(({ claim }) => claim.listingId);
  const along = await companionsOf(db, run.channel.connection.id, answers.filter(hasLeft), new Set(written));
  const alongIds = along.map(({ listingId }) => listingId);
  let unexplained = false;
  const { result, wake } = await withShadows(
    run.context,
    [...new Set([...byListing.keys(), ...alongIds])],
    async (client, kept, now) => {
      for (const listing of kept.listings) {
        const answer = byListing.get(listing.listingId);
        if (answer === undefined || listing.shadow === null) continue;
        const before = listing.shadow;
        listing.shadow = evidence(before, answer, now);
        if (isUnexplained(before, listing.shadow)) unexplained = true;
        if (refused.includes(answer)) grantRefused(kept.escrows, listing, answer.write.key);
      }
      for (const write of along) {
        const listing = kept.listings.find(({ listingId }) => listingId === write.listingId);
        if (listing !== undefined && takeCompanion(listing, write, newId(), now)) unexplained = true;
      }
      await recordAnswers(
        client,
        answers.filter(hasLeft).map((answer) => toRow(answer, kept.listings)),
        run.options.verifyIntervalMs,
      );
      const others = alongIds.filter((id) => !byListing.has(id));
      if (others.length > 0) await markWrong(run, client, kept, new Set(others), now);
      await markUndone(
        client,
        refused.map(({ claim }) => claim),
      );
      const outcomes = answers.flatMap((answer) => followUp(run, answer));
      await settleClaims(client, run.owner, outcomes);
      const settled = new Set(outcomes.map(({ listingId }) => listingId));
      const open = answers.filter(({ claim }) => !settled.has(claim.listingId));
      // Nothing is known of what the channel shows then: it is read before anything else is said.
      const puzzling = open.filter(({ result: answer }) => answer.kind === 'stale' && answer.actual === null);
      const looks = puzzling.map(
        ({ claim, listing }): Pending => ({ claim, listing, kind: 'look', orders: false }),
      );
      const claims = open.filter((answer) => !puzzling.includes(answer)).map(({ claim }) => claim);
      return claims.length === 0 ? looks : [...looks, ...(await decideKept(run, client, claims, kept, now))];
    },
  );
  run.reading.onConcerned(wake);
  if (unexplained) await run.reading.onUnexplained();
  return result;
}

/** Of these listings, those that turn out to show a wrong number are decided about again. */
async function markWrong(
  run: Run,
  client: pg.PoolClient,
  kept: Kept,
  among: ReadonlySet<string>,
  now: number,
): Promise<void> {
  const wrong = await outOfStep(client, run.decisions, kept, now);
  const ids = wrong.map(({ listingId }) => listingId).filter((listingId) => among.has(listingId));
  await markOutOfStep(client, ids);
}

/** The answer has told of units that were sold, or put there, by somebody that we do not know of. */
function isUnexplained(before: Shadow, after: Shadow): boolean {
  return after.hold > before.hold || (stopsRaises(after) && !stopsRaises(before));
}

function evidence(shadow: Shadow, { write, result, sentAt }: Answered, now: number): Shadow {
  const { key, quantity } = write;
  if (result.kind === 'effective' && result.quantity !== quantity) {
    // The channel made another number of it: what it shows counts, not what was asked.
    const doubtful = writeAnswered(shadow, key, { kind: 'unknown' }, now);
    return readingTaken(doubtful, { value: result.quantity, from: sentAt, until: now }, now);
  }
  return writeAnswered(shadow, key, meaningOf(result), now);
}

function meaningOf(result: Answered['result']): WriteAnswer {
  switch (result.kind) {
    case 'effective':
    case 'rejected':
      return { kind: result.kind };
    case 'accepted':
    case 'unknown':
      return { kind: result.kind, ...(queueOf(result) === null ? { queued: false } : {}) };
    case 'stale':
      return { kind: 'stale', actual: result.actual, read: result.read === true };
    case 'deferred':
    case 'late':
      // Certainly not sent or not applied.
      return { kind: 'rejected' };
  }
}

function toRow({ claim, write, result }: Answered, kept: readonly KeptListing[]) {
  const listing = kept.find(({ listingId }) => listingId === claim.listingId);
  // That this attempt did nothing says nothing about one before it that was never answered.
  const open = listing?.shadow?.candidates.some(({ key, state }) => key === write.key && state === 'UNKNOWN');
  const state = open ? 'unknown' : unsent.has(result.kind) ? 'superseded' : result.kind;
  return { id: write.key, listingId: claim.listingId, state, error: told(result), queue: queueOf(result) };
}

function told(result: Answered['result']): string | null {
  switch (result.kind) {
    case 'effective':
    case 'accepted':
    case 'stale':
    case 'late':
      return null;
    case 'rejected':
      return `${result.code}: ${result.message}`;
    case 'unknown':
    case 'deferred':
      return result.reason;
  }
}

/** A compare that fails this often in a row meets somebody who writes against us. */
const staleMax = 3;

/** What ends this attempt; everything else is decided at once, with what the answer has told. */
function followUp(run: Run, { claim, result }: Answered): readonly ClaimOutcome[] {
  const { listingId, version, attempts } = claim;
  switch (result.kind) {
    case 'effective':
    case 'accepted':
    case 'late':
      return [];
    case 'stale': {
      const looks = (run.stale.get(listingId) ?? 0) + (result.read ? 1 : 0);
      run.stale.set(listingId, looks);
      // A raise that could not leave any more in this run would be waited for until it can no longer land.
      return attempts < staleMax && looks < staleMax ? [] : [postponed(run, claim, null)];
    }
    case 'rejected':
      return [{ listingId, version, done: true, retryInMs: 0, reread: false }];
    case 'unknown':
      return [postponed(run, claim, result.reason)];
    case 'deferred':
      return [deferred(run, claim, result)];
  }
}

/** So that a channel which refuses at once is not asked without end. */
const budgetPauseMsMin = 100;

/** A spent budget says itself when it has tokens again: no growing pauses, or the most urgent would come last. */
function deferred(
  run: Run,
  claim: ToWrite['claim'],
  { reason, retryAfterMs, error }: Extract<StockWriteResult, { kind: 'deferred' }>,
): ClaimOutcome {
  const outcome = postponed(run, claim, reason, retryAfterMs);
  return error === 'rate_limited'
    ? { ...outcome, retryInMs: Math.max(retryAfterMs, budgetPauseMsMin) }
    : outcome;
}
