/** Which writes of one decision leave in one call, and in which order the calls leave. Known before they leave, so that whoever finds no answer knows how to ask for it. */
import type { ConnectorCapabilities, StockQueue } from '../connectors/connector.ts';
import { rateOf } from './core/demand.ts';
import { excessPerMs } from './core/exposure.ts';
import { demandLimits } from './core/limits.ts';
import { calls, type Sendable, sendingOrder } from './core/sending.ts';
import type { Decided, PlannedWrite } from './decisions.ts';

export type PackedWrite = PlannedWrite & {
  /** Writes with the same one leave together. */
  readonly call: string;
  /** True when the channel's idempotency key is one for several writes: no lost answer of one of them can be asked for again. */
  readonly inCompany: boolean;
  /** True when the channel may take it into a queue, where it stands until that is worked off. */
  readonly queued: boolean;
};

type ToWrite = Extract<Decided, { readonly kind: 'write' }>;
export type Packed = Exclude<Decided, ToWrite> | (ToWrite & { readonly write: PackedWrite });

type Waiting = Sendable & Pick<ToWrite, 'claim' | 'listing' | 'write'>;

/** The writes come last, in the order of sending; a `queue` is one call, and leaves before all other raises. */
export function inCalls(
  decided: readonly Decided[],
  capabilities: ConnectorCapabilities,
  queue: StockQueue | null,
): readonly Packed[] {
  const others = decided.filter((one) => one.kind !== 'write');
  const writes = decided.filter((one) => one.kind === 'write');
  const waiting = writes.map(
    ({ claim, listing, write }): Waiting =>
      Object.assign(sendable(write, capabilities), { claim, listing, write }),
  );
  const queued = new Set(queue === null ? [] : raisesFor(queue, waiting));
  const byThemselves = waiting.filter((one) => !queued.has(one));
  const { lowering, others: raising } = calls(byThemselves, capabilities.writesPerCall);
  const packed = (all: readonly (readonly Waiting[])[]) =>
    all.flatMap((together) =>
      callOf(together, { inCompany: capabilities.compareAndSet && together.length > 1, queued: false }),
    );
  const standing = callOf([...queued], { inCompany: false, queued: true });
  return [...others, ...packed(lowering), ...standing, ...packed(raising)];
}

function raisesFor({ callMin, callMax }: StockQueue, waiting: readonly Waiting[]): readonly Waiting[] {
  const raises = waiting.filter(({ write }) => write.mayQueue);
  return raises.length < callMin ? [] : sendingOrder(raises).slice(0, callMax);
}

function callOf(
  together: readonly Waiting[],
  way: Pick<PackedWrite, 'inCompany' | 'queued'>,
): readonly Packed[] {
  const call = together[0]?.write.key ?? '';
  return together.map(({ claim, listing, write }) => ({
    claim,
    listing,
    kind: 'write',
    write: { ...write, call, ...way },
  }));
}

function sendable(write: PlannedWrite, { compareAndSet }: ConnectorCapabilities): Sendable {
  const { listing, direction, quantity, decidedAt, repeatable } = write;
  const { unitId: unit, shadow, demand } = listing;
  const rate = rateOf(demand, demandLimits);
  const exposure = shadow === null ? 0 : excessPerMs(shadow, quantity, rate, decidedAt);
  return { unit, class: direction, exposure, alone: repeatable && compareAndSet };
}
