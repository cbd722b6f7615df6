/** Decides about the entries of one item that is being applied: what goes, what has changed since it was looked at, what has to wait. Pure. */
import { compareReadings, ledgerDelta, type PlanReading, type PlanSale, shownNow } from './planDecision.ts';
import type { ChannelTime } from './planEvidence.ts';
import { type ListingTarget, targetFor } from './targets.ts';

export type OpenEntry = {
  readonly id: string;
  readonly listingId: string;
  readonly itemId: string;
  readonly winner: 'ledger' | 'channel';
  readonly planned: PlanReading;
  /** What the plan said it should show. */
  readonly target: number;
  /** Null when the channel could not say. */
  readonly checked: PlanReading | null;
  /** How often it was read for being applied. */
  readonly checks: number;
  /** Whether it still sells the item it sold when it was planned. */
  readonly sameItem: boolean;
  readonly enabled: boolean;
  readonly writable: boolean;
  /** Whether a number was sent to it since it was planned. */
  readonly written: boolean;
};

export type EntryDecision = {
  readonly id: string;
  readonly kind:
    | 'go'
    /** Not what somebody has looked at any more: it is left as it is. */
    | 'changed'
    /** Only the channel's orders can tell what happened. */
    | 'wait'
    /** A sale is too near to the reading to be in or out of it. */
    | 'reread';
  readonly error: string | null;
  readonly guarded: boolean;
  /** Units booked for the item with this entry. */
  readonly booked: number | null;
};

export type ItemEvidence = {
  readonly entries: readonly OpenEntry[];
  readonly time: ChannelTime;
  readonly sales: ReadonlyMap<string, readonly PlanSale[]>;
  readonly targets: ReadonlyMap<string, ListingTarget>;
};

export type ItemDecision = { readonly delta: number; readonly entries: readonly EntryDecision[] };

/** A listing that sells faster than it can be read is left to the ledger. */
const checksMax = 10;

type Verdict =
  | { readonly kind: 'go'; readonly delta: number }
  | { readonly kind: 'changed'; readonly error: string }
  | { readonly kind: 'wait' | 'reread' };

export function decideItem(evidence: ItemEvidence): ItemDecision {
  const verdicts = evidence.entries.map((entry) => verdictOn(entry, evidence));
  const channel = evidence.entries.flatMap((entry, index) =>
    entry.winner === 'channel' ? (verdicts[index] ?? []) : [],
  );
  const together = agreement(channel);
  const final = evidence.entries.map((entry, index): Verdict => {
    const own = verdicts[index] ?? together;
    return entry.winner === 'channel' && together.kind !== 'go' ? together : own;
  });
  const delta = channel.length > 0 && together.kind === 'go' ? together.delta : 0;
  const booking = evidence.entries.findIndex(({ winner }) => winner === 'channel');
  return {
    delta,
    entries: evidence.entries.map((entry, index) => {
      const verdict = final[index] ?? together;
      return {
        id: entry.id,
        kind: verdict.kind,
        error: verdict.kind === 'changed' ? verdict.error : null,
        guarded: verdict.kind === 'go' && !isAsSeen(entry, evidence, delta),
        booked: verdict.kind === 'go' && delta !== 0 && index === booking ? delta : null,
      };
    }),
  };
}

/** Listings of one item that the channel is right about move the ledger once, so they have to say the same. */
function agreement(verdicts: readonly Verdict[]): Verdict {
  const different = verdicts.find(({ kind }) => kind === 'changed');
  if (different !== undefined) return different;
  const open = verdicts.find(({ kind }) => kind !== 'go');
  if (open !== undefined) return open;
  const deltas = new Set(verdicts.map((verdict) => (verdict.kind === 'go' ? verdict.delta : 0)));
  if (deltas.size > 1)
    return { kind: 'changed', error: 'the listings of this item no longer show the same number' };
  return { kind: 'go', delta: [...deltas][0] ?? 0 };
}

function changed(error: string): Verdict {
  return { kind: 'changed', error };
}

function verdictOn(entry: OpenEntry, { time, sales, targets }: ItemEvidence): Verdict {
  const target = targets.get(entry.listingId);
  if (!entry.sameItem || target === undefined) return changed('it sells another item now');
  if (!entry.writable) return changed('the marketplace keeps this number itself now');
  // Sync writes to it already and goes on doing so: there is nothing to begin.
  if (entry.enabled && entry.winner === 'ledger') return { kind: 'go', delta: 0 };
  const { checked, planned } = entry;
  if (checked === null) return changed('the marketplace did not say what it shows');
  if (entry.written && entry.winner === 'channel')
    return changed('its number was written since the plan was made');
  const own = sales.get(entry.listingId) ?? [];
  const comparison = compareReadings(planned, checked, own, time.marginMs);
  const ordersKnown = time.ordersKnownUntil >= checked.until;
  if (comparison === 'high')
    return changed(`it shows ${checked.shown} instead of ${planned.shown}, and nothing known raised it`);
  if (comparison === 'low' && ordersKnown)
    return changed(`it shows ${checked.shown} instead of ${planned.shown}, and no known order lowered it`);
  if (comparison === 'low' || (entry.winner === 'channel' && !ordersKnown)) return { kind: 'wait' };
  if (entry.winner === 'ledger') return { kind: 'go', delta: 0 };
  const shown = shownNow(checked, own, time.marginMs);
  if (shown === null && entry.checks >= checksMax)
    return changed('it sells too fast to be compared: let the ledger win');
  if (shown === null) return { kind: isReadable(checked, own, time) ? 'reread' : 'wait' };
  const delta = ledgerDelta(target.input, shown);
  return delta === null ? changed('its rules do not let it show its own number') : { kind: 'go', delta };
}

/** Whether a reading taken now would be later, for certain, than every sale that this one may or may not show. */
function isReadable(
  { until }: PlanReading,
  sales: readonly PlanSale[],
  { marginMs, readableFrom }: ChannelTime,
): boolean {
  return sales.every(({ at }) => at >= until + marginMs || at <= readableFrom - marginMs);
}

/** Whether what will be written is what somebody has looked at. Where the channel wins, nothing is. */
function isAsSeen(entry: OpenEntry, { targets }: ItemEvidence, delta: number): boolean {
  if (entry.winner === 'channel') return true;
  const loaded = targets.get(entry.listingId);
  if (loaded === undefined) return false;
  const { input } = loaded;
  const target = targetFor({ ...loaded, input: { ...input, available: input.available + delta } });
  return target.target === entry.target;
}
