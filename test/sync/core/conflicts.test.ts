/** Proves that a resolution is a movement on the present: C1, C2, versions, and deltas that are never added up. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Conflict,
  priceConflict,
  quantityConflict,
  type Resolution,
  resolve,
  succeeded,
  supersede,
  undecidedDelta,
} from '../../../src/sync/core/conflicts.ts';
import { judge } from '../../../src/sync/core/readings.ts';
import { targetSet } from '../../../src/sync/core/shadow.ts';
import { ordersKnown, read, sale, second, shadowOf } from './support.ts';

function conflict(delta: number, more: Partial<Conflict> = {}): Conflict {
  return {
    unit: 'unit',
    type: 'quantity_mismatch',
    delta,
    status: 'open',
    version: 1,
    provenAt: 0,
    evidence: { kind: 'price', expected: [], shown: { minor: 0, currency: 'EUR' } },
    suggestedResolution: 'use_lowest',
    autoResolvable: true,
    ...more,
  };
}

function movement(deltas: readonly number[], resolution: Resolution): number {
  const resolved = resolve(
    deltas.map((delta) => ({ conflict: conflict(delta), expectedVersion: 1 })),
    resolution,
  );
  if (resolved.kind === 'refused') throw new Error(resolved.code);
  return resolved.movement;
}

const resolution = fc.constantFrom<Resolution>('use_lowest', 'use_highest', 'manual_review', 'keep_ours');

describe('a resolution', () => {
  test.each([
    ['use_lowest', [5, 5], 0],
    ['use_lowest', [5, -2, -3], -3],
    ['use_highest', [5, 5], 5],
    ['use_highest', [-5], 0],
    ['keep_ours', [5, -5], 0],
    ['manual_review', [5, -5], 0],
  ] as [Resolution, number[], number][])('%s of %j moves %i', (chosen, deltas, expected) => {
    expect(movement(deltas, chosen)).toBe(expected);
  });

  test('C1: commutes with later orders: what is proven, and so what moves, is the same whenever they become known', () => {
    const edit = fc.integer({ min: -5, max: 5 }).filter((delta) => delta !== 0);
    fc.assert(
      fc.property(edit, fc.nat(4), fc.nat(4), resolution, (delta, soldBefore, soldAfter, chosen) => {
        let shadow = shadowOf(9);
        for (let order = 1; order <= soldBefore; order++) shadow = sale(shadow, 1, order * second);
        const edited = 9 - soldBefore + delta;
        const seen = [20, 30].reduce((one, at) => read(one, Math.max(0, edited), at * second).shadow, shadow);
        const early = judge(ordersKnown(seen, 40 * second), 40 * second).proof;
        let later = seen;
        for (let order = 1; order <= soldAfter; order++) later = sale(later, 1, (50 + order) * second);
        const late = judge(ordersKnown(later, 90 * second), 90 * second).proof;
        expect(early?.delta ?? 0).toBe(Math.max(0, edited) - (9 - soldBefore));
        expect(late?.delta).toBe(early?.delta);
        expect(movement([late?.delta ?? 0], chosen)).toBe(movement([early?.delta ?? 0], chosen));
      }),
    );
  });

  test('C2: of a superseded conflict is refused and changes nothing, whatever is chosen', () => {
    fc.assert(
      fc.property(fc.integer({ min: -9, max: 9 }), resolution, (delta, chosen) => {
        const overtaken = supersede(conflict(delta));
        const version = { conflict: overtaken, expectedVersion: overtaken.version };
        expect(resolve([version], chosen)).toEqual({ kind: 'refused', code: 'SUPERSEDED' });
        expect(supersede(overtaken)).toBe(overtaken);
      }),
    );
  });

  test('happens once and only of the version that was looked at', () => {
    const open = conflict(-2);
    expect(resolve([{ conflict: open, expectedVersion: 2 }], 'use_lowest')).toEqual({
      kind: 'refused',
      code: 'VERSION_CONFLICT',
    });
    const resolved = resolve([{ conflict: open, expectedVersion: 1 }], 'use_lowest');
    if (resolved.kind === 'refused') throw new Error(resolved.code);
    const [closed = open] = resolved.conflicts;
    expect(closed).toMatchObject({ status: 'resolved', version: 2 });
    const again = resolve([{ conflict: closed, expectedVersion: 2 }], 'use_lowest');
    expect(again).toEqual({ kind: 'refused', code: 'ALREADY_RESOLVED' });
  });
});

describe('several conflicts', () => {
  test('withhold the deepest cut until they are decided, and an increase never offers more', () => {
    expect(undecidedDelta([conflict(-2), conflict(-3), conflict(5)])).toBe(-3);
    expect(undecidedDelta([conflict(5), conflict(-9, { status: 'resolved' })])).toBe(0);
    expect(undecidedDelta([conflict(-900, { type: 'price_mismatch' })])).toBe(0);
  });

  test('of one unit become one, and an edit that was taken back leaves none', () => {
    expect(succeeded(conflict(5), conflict(-2)).newer?.delta).toBe(3);
    expect(succeeded(conflict(5), conflict(-5)).newer).toBeNull();
    expect(succeeded(conflict(5), conflict(-5)).older.status).toBe('superseded');
  });
});

function proven(start: number, shown: number, target = start) {
  const twice = [20, 30].reduce((one, at) => read(one, shown, at * second).shadow, shadowOf(start));
  const before = ordersKnown(targetSet(twice, target, 1), 40 * second);
  const { proof } = judge(before, 40 * second);
  if (proof === null) throw new Error('nothing is proven');
  return { before, proof, found: quantityConflict(before, proof, 40 * second) };
}

describe('what a proof becomes', () => {
  test('says what was seen and what was thought possible, and suggests the lowest', () => {
    const { before, proof, found } = proven(5, 3);

    expect(found).toEqual({
      unit: 'unit',
      type: 'quantity_mismatch',
      delta: -2,
      status: 'open',
      version: 1,
      provenAt: 40 * second,
      evidence: { kind: 'quantity', proof, target: 5, targetSeq: 1, candidates: before.candidates },
      suggestedResolution: 'use_lowest',
      autoResolvable: true,
    });
  });

  test('is sold out only where nothing is shown although something should be', () => {
    expect(proven(5, 0).found.type).toBe('sold_out');
    expect(proven(5, 1).found.type).toBe('quantity_mismatch');
    expect(proven(5, 0, 0).found.type).toBe('quantity_mismatch');
    expect(proven(5, 7).found.type).toBe('quantity_mismatch');
    expect(proven(0, 2, 1).found.type).toBe('quantity_mismatch');
  });

  test('is decided by nobody while it is reviewed by hand', () => {
    const open = conflict(-3);

    expect(resolve([{ conflict: open, expectedVersion: 1 }], 'manual_review')).toEqual({
      kind: 'resolved',
      movement: 0,
      conflicts: [open],
    });
    expect(supersede(open)).toEqual({ ...open, status: 'superseded', version: 2 });
  });
});

function euros(minor: number) {
  return { minor, currency: 'EUR' };
}

describe('a price', () => {
  test('is a mismatch only when no price that may be in force is within the tolerance', () => {
    expect(priceConflict('unit', [euros(1_000), euros(1_200)], euros(1_201), 1, 0)).toBeNull();
    expect(priceConflict('unit', [euros(1_000), euros(1_200)], euros(1_150), 1, 0)).toMatchObject({
      type: 'price_mismatch',
      delta: -50,
    });
  });

  test('is asked about, never changed by itself, and keeps what it was compared with', () => {
    const dollars = { minor: 900, currency: 'USD' };

    expect(priceConflict('unit', [dollars, euros(1_000)], euros(1_010), 2, 7)).toEqual({
      unit: 'unit',
      type: 'price_mismatch',
      delta: 10,
      status: 'open',
      version: 1,
      provenAt: 7,
      evidence: { kind: 'price', expected: [euros(1_000)], shown: euros(1_010) },
      suggestedResolution: 'keep_ours',
      autoResolvable: false,
    });
  });

  test('is never compared across currencies', () => {
    expect(priceConflict('unit', [euros(1_000)], { minor: 900, currency: 'USD' }, 1, 0)).toBeNull();
  });
});
