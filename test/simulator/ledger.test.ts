/** Proves that the simulated hub's ledger is level-triggered: T6, I1 and I2 under any order and number of deliveries. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLedger } from '../../src/simulator/ledger.ts';
import type { Snapshot } from '../../src/simulator/world.ts';

function order(version: number, ordered: number, kept: number, orderId = 'order'): Snapshot {
  return {
    orderId,
    channel: 0,
    version,
    placedAt: 0,
    updatedAt: version,
    visibleAt: version,
    lines: [{ item: 0, ordered, kept }],
    putBack: false,
  };
}

test('T6: paid, created, paid, edited from 2 to 1 moves -2, 0, 0, +1', () => {
  const ledger = createLedger(1, 10);
  const available = [order(2, 2, 2), order(1, 2, 2), order(2, 2, 2), order(3, 2, 1)].map((snapshot) => {
    ledger.applyOrder(snapshot);
    return ledger.available(0);
  });

  expect(available).toEqual([8, 8, 8, 9]);
  expect(ledger.movements.map(({ reservedDelta }) => reservedDelta)).toEqual([2, -1]);
  ledger.check();
});

function level(version: number): number {
  return 3 - version;
}

test('I1 and I2: each order contributes its final level under any permutation and duplication', () => {
  const deliveries = fc.array(fc.record({ id: fc.nat(3), version: fc.integer({ min: 1, max: 3 }) }), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(deliveries, (list) => {
      const ledger = createLedger(1, 50);
      for (const { id, version } of list) ledger.applyOrder(order(version, 2, level(version), `order ${id}`));
      ledger.check();
      const newest = new Map<number, number>();
      for (const { id, version } of list) newest.set(id, Math.max(version, newest.get(id) ?? 0));
      const held = [...newest.values()].reduce((sum, version) => sum + level(version), 0);
      expect(ledger.available(0)).toBe(50 - held);
    }),
  );
});
