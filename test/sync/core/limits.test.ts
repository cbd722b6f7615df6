/** Proves that the simulator decides with the numbers that the server has as a rule. */
import { expect, test } from 'vitest';
import { readConfig } from '../../../src/config.ts';
import { fenceMaxMs, preemptMaxOf, verifyIntervalMs, zeroAgainMs } from '../../../src/sync/core/limits.ts';
import { syncLimits } from '../../../src/syncLimits.ts';

test('the server’s own values are those that every decision is simulated with', () => {
  expect(syncLimits(readConfig({}))).toMatchObject({ fenceMaxMs, verifyIntervalMs, zeroAgainMs });
});

test('a lowering write that is not to zero overtakes another only where writes keep their order', () => {
  expect(preemptMaxOf({ ordersWrites: false })).toBe(0);
  expect(preemptMaxOf({ ordersWrites: true })).toBeGreaterThan(1_000_000_000);
});
