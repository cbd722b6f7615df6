/** What to do about one listing that may be out of step. Pure: values in, a decision out. */
import { type TargetRule, targetQuantity } from './availability.ts';

export type OpenWrite = {
  readonly id: string;
  readonly quantity: number;
  readonly expected: number | null;
  readonly targetSeq: number;
  readonly state: 'sent' | 'accepted' | 'unknown';
};

export type PushState = {
  readonly enabled: boolean;
  /** Null while no item is known for the listing. */
  readonly item: { readonly available: number; readonly seq: number } | null;
  /** What we believe the channel shows; null when it must be read first. */
  readonly shown: number | null;
  /** Writes that may still take effect, oldest first. */
  readonly openWrites: readonly OpenWrite[];
  readonly rule: TargetRule;
};

export type PushDecision =
  /** Nothing of ours to show. */
  | { readonly kind: 'leave' }
  /** The channel shows the target already, or a write that is under way will make it so. */
  | { readonly kind: 'inStep' }
  | {
      readonly kind: 'write';
      readonly quantity: number;
      readonly targetSeq: number;
      readonly expected: number | null;
      /** The same write sent before without an answer: it keeps its key. */
      readonly repeats: OpenWrite | null;
      readonly direction: 'lower' | 'raise';
    };

export function decidePush(state: PushState): PushDecision {
  if (!state.enabled || state.item === null) return { kind: 'leave' };
  const { available, seq } = state.item;
  const quantity = targetQuantity(available, state.rule);
  const newest = state.openWrites.at(-1);
  const othersOpen = state.openWrites.some((write) => write.quantity !== quantity);
  if (!othersOpen && state.shown === quantity) return { kind: 'inStep' };
  if (!othersOpen && newest?.state === 'accepted' && newest.targetSeq === seq) return { kind: 'inStep' };
  const repeats =
    newest !== undefined &&
    newest.state !== 'accepted' &&
    newest.quantity === quantity &&
    newest.targetSeq === seq
      ? newest
      : null;
  return {
    kind: 'write',
    quantity,
    targetSeq: seq,
    expected: repeats === null ? state.shown : repeats.expected,
    repeats,
    // A number that is unknown or still to land may be higher than ours: lowering is the safe assumption, and it goes first.
    direction:
      state.shown === null ||
      quantity < state.shown ||
      state.openWrites.some((write) => quantity < write.quantity)
        ? 'lower'
        : 'raise',
  };
}
