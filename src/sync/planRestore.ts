/** Decides what an undo does about one listing next, from what the channel shows and what was sent to it. Pure. */
import { numberBefore, type PlanReading, type PlanSale, unitsOf } from './planDecision.ts';

export type OpenRestore = {
  readonly id: string;
  readonly listingId: string;
  readonly itemId: string;
  readonly unitId: string;
  readonly variantId: string;
  /** Milliseconds since the epoch. */
  readonly withdrawnAt: number;
  /** What it showed right before the plan was applied to it. */
  readonly before: PlanReading;
  /** True while a write of the push may still take effect. */
  readonly foreignWrite: boolean;
  /** True when somebody has switched sync on again: then the ledger's number is the right one. Also when its item is protected. */
  readonly enabledAgain: boolean;
  /** Our own write, while its effect is not proved. */
  readonly sent: {
    readonly writeId: string;
    readonly quantity: number;
    readonly expected: number | null;
    readonly at: number;
    readonly state: 'sent' | 'accepted' | 'unknown';
  } | null;
};

export type RestoreStep =
  | { readonly kind: 'done'; readonly shown: number | null }
  | { readonly kind: 'wait' }
  | { readonly kind: 'fail'; readonly error: string }
  | {
      readonly kind: 'write';
      readonly writeId: string;
      readonly quantity: number;
      readonly expected: number | null;
      readonly raises: boolean;
    };

export type RestoreEvidence = {
  readonly entry: OpenRestore;
  /** Null when the channel could not say. */
  readonly reading: PlanReading | 'notTracked' | null;
  readonly sales: readonly PlanSale[];
  readonly marginMs: number;
  readonly settleMaxMs: number;
  readonly newId: () => string;
};

export function restoreStep(evidence: RestoreEvidence): RestoreStep {
  const { entry, reading, sales, marginMs, settleMaxMs, newId } = evidence;
  const { sent } = entry;
  if (entry.enabledAgain) return { kind: 'done', shown: null };
  if (reading === null) return { kind: 'wait' };
  if (reading === 'notTracked')
    return { kind: 'fail', error: 'the marketplace no longer counts the stock of this listing' };
  if (sent !== null && isInForce(sent, reading, sales, marginMs))
    return { kind: 'done', shown: reading.shown };
  const quantity = numberBefore(entry.before, sales, marginMs);
  // Nothing of ours can land any more, and it shows what it should.
  if (sent === null && reading.shown === quantity) return { kind: 'done', shown: reading.shown };
  // A write that may still land must not land over another one.
  if (
    sent !== null &&
    reading.until < sent.at + settleMaxMs &&
    (sent.state === 'accepted' || sent.quantity !== quantity)
  )
    return { kind: 'wait' };
  const raises = quantity > reading.shown;
  // The same write sent before without an answer keeps its key, and what it was compared with.
  if (sent !== null && sent.state !== 'accepted' && sent.quantity === quantity)
    return { kind: 'write', writeId: sent.writeId, quantity, expected: sent.expected, raises };
  return { kind: 'write', writeId: newId(), quantity, expected: reading.shown, raises };
}

/** Whether a reading proves the write: it shows the number, less what was sold since it was sent. */
function isInForce(
  sent: NonNullable<OpenRestore['sent']>,
  reading: PlanReading,
  sales: readonly PlanSale[],
  marginMs: number,
): boolean {
  const certain = sales.filter(({ at }) => at > sent.at + marginMs && at < reading.from - marginMs);
  const possible = sales.filter(({ at }) => at > sent.at - marginMs);
  return (
    reading.shown <= sent.quantity - unitsOf(certain) && reading.shown >= sent.quantity - unitsOf(possible)
  );
}
