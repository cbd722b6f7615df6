/** Makes knowledge of what arrives: orders and readings become shadows, and what they prove becomes a conflict. */
import { quantityConflict, resolve } from '../sync/core/conflicts.ts';
import { raisedBecause } from '../sync/core/lateWrites.ts';
import { judge, readingArrived } from '../sync/core/readings.ts';
import { readingOf } from '../sync/core/shadow.ts';
import type { Findings, Keeping, KeptUnit } from './keeping.ts';
import { learn } from './keptUnits.ts';
import type { Stage } from './policy.ts';
import { type Snapshot } from './world.ts';

export type EvidenceParts = {
  readonly stage: Stage;
  readonly items: readonly (readonly KeptUnit[])[];
  readonly findings: Findings;
  readonly keeping: () => Keeping;
  /** A reading that nothing known explains: its channel's orders are asked for. */
  readonly lookAgain: (kept: KeptUnit) => void;
};

export type Evidence = {
  take(kept: KeptUnit, value: number | null, requestedAt: number): void;
  weigh(kept: KeptUnit): void;
  /** Answers the items of the order that it said something new about. */
  apply(order: Snapshot): readonly number[];
  adjust(item: number, quantity: number, cause: 'delivery' | 'resolution'): void;
};

export function createEvidence({ stage, items, findings, keeping, lookAgain }: EvidenceParts): Evidence {
  const { world, ledger } = stage;
  const { queue } = world;

  function take(kept: KeptUnit, value: number | null, requestedAt: number): void {
    const { shadow } = kept;
    const now = queue.now();
    const result =
      value === null
        ? ({ kind: 'unknown', reason: 'no answer' } as const)
        : ({
            kind: 'quantity',
            reading: readingOf(shadow.bounds, { value, requestedAt, respondedAt: now }),
          } as const);
    findings.readings += 1;
    if (value === null) kept.blindAt = now;
    const arrived = readingArrived(shadow, result, now);
    kept.shadow = arrived.shadow;
    const { verdict } = arrived;
    if (value === null && kept.shadow !== shadow) throw new Error(`S10: no answer changed ${kept.name}`);
    const { item } = kept.unit;
    const seq = ledger.seq(item);
    if (verdict.kind === 'belowLow' || verdict.kind === 'aboveHigh') {
      world.note(() => `reading ${kept.name} = ${value}: ${verdict.kind} by ${verdict.units}`);
      lookAgain(kept);
    }
    weigh(kept);
    if (ledger.seq(item) !== seq && kept.unit.violatedAt === null)
      throw new Error(`S7: a reading of ${kept.name} moved stock that nobody touched`);
  }

  /** What the readings prove by now becomes a conflict, and is resolved by the default: use the lowest. */
  function weigh(kept: KeptUnit): void {
    const before = kept.shadow;
    const { shadow, proof } = judge(before, queue.now());
    kept.shadow = shadow;
    if (proof === null) return;
    const conflict = quantityConflict(before, proof, queue.now());
    world.note(() => `conflict ${kept.name}: ${conflict.type} ${conflict.delta}`);
    if (kept.unit.violatedAt === null) findings.falseConflicts += 1;
    else if (
      findings.edited?.unit === kept.unit &&
      Math.sign(findings.edited?.delta ?? 0) === Math.sign(conflict.delta)
    )
      findings.caught = true;
    const resolved = resolve([{ conflict, expectedVersion: conflict.version }], 'use_lowest');
    keeping().conflict(kept, proof.delta > 0 ? raisedBecause(before, proof.reading) : null);
    if (resolved.kind === 'resolved' && resolved.movement !== 0)
      adjust(kept.unit.item, resolved.movement, 'resolution');
  }

  function adjust(item: number, quantity: number, cause: 'delivery' | 'resolution'): void {
    ledger.adjust(item, quantity, cause);
    for (const kept of items[item] ?? []) kept.movedAt = queue.now();
    keeping().restocked(item, quantity);
  }

  function apply(order: Snapshot): readonly number[] {
    const changes = ledger.applyOrder(order);
    for (const change of changes) {
      const kept = items[change.item]?.[order.channel];
      if (kept === undefined) throw new Error(`no unit for ${order.orderId}`);
      keeping().changed(kept, change);
      learn(kept, change, queue.now());
      // Not quiet: what was changed may just have been sold.
      const { edited } = findings;
      if (edited?.unit === kept.unit && order.updatedAt >= edited.at)
        edited.coveredAt = Math.min(edited.coveredAt ?? order.updatedAt, order.updatedAt);
      weigh(kept);
    }
    if (changes.length > 0) world.note(() => `order ${order.orderId} version ${order.version} becomes known`);
    return changes.map(({ item }) => item);
  }

  return { take, weigh, apply, adjust };
}
