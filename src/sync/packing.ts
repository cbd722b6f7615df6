/** Which writes of one decision leave in one call, and in which order the calls leave. Known before they leave, so that whoever finds no answer knows how to ask for it. */
import type { ConnectorCapabilities } from '../connectors/connector.ts';
import { rateOf } from './core/demand.ts';
import { excessPerMs } from './core/exposure.ts';
import { demandLimits } from './core/limits.ts';
import { calls, type Sendable } from './core/sending.ts';
import type { Decided, PlannedWrite } from './decisions.ts';

export type PackedWrite = PlannedWrite & {
  /** Writes with the same one leave together. */
  readonly call: string;
  /** True when the channel's idempotency key is one for several writes: no lost answer of one of them can be asked for again. */
  readonly inCompany: boolean;
};

type ToWrite = Extract<Decided, { readonly kind: 'write' }>;
export type Packed = Exclude<Decided, ToWrite> | (ToWrite & { readonly write: PackedWrite });

/** The writes come last, in the order of sending. */
export function inCalls(decided: readonly Decided[], capabilities: ConnectorCapabilities): readonly Packed[] {
  const others = decided.filter((one) => one.kind !== 'write');
  const writes = decided.filter((one) => one.kind === 'write');
  const sendables = writes.map(({ claim, listing, write }) =>
    Object.assign(sendable(write, capabilities), { claim, listing, write }),
  );
  const { lowering, others: raising } = calls(sendables, capabilities.writesPerCall);
  const packed = [...lowering, ...raising].flatMap((together) => {
    const inCompany = capabilities.compareAndSet && together.length > 1;
    const call = together[0]?.write.key ?? '';
    return together.map(
      ({ claim, listing, write }): Packed => ({
        claim,
        listing,
        kind: 'write',
        write: { ...write, call, inCompany },
      }),
    );
  });
  return [...others, ...packed];
}

function sendable(write: PlannedWrite, { compareAndSet }: ConnectorCapabilities): Sendable {
  const { listing, direction, quantity, decidedAt, repeatable } = write;
  const { unitId: unit, shadow, demand } = listing;
  const rate = rateOf(demand, demandLimits);
  const exposure = shadow === null ? 0 : excessPerMs(shadow, quantity, rate, decidedAt);
  return { unit, class: direction, exposure, alone: repeatable && compareAndSet };
}
