/** Proves that marketplaces whose clocks are seconds from ours cost nothing: no sale passes for an edit, every channel comes in step, and health says it. */
import { expect, test } from 'vitest';
import { platforms } from '../../src/connectors/connector.ts';
import { createSystemClock } from '../../src/sandbox/clock.ts';
import { createRandom } from '../../src/sandbox/random.ts';
import { loadSyncHealth } from '../../src/sync/health.ts';
import { startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';

const skus = Object.fromEntries(Array.from({ length: 6 }, (_, index) => [`SKU-${index}`, 60]));
const ordersTotal = 120;

test.each([-5_000, 5_000])(
  'marketplaces whose clocks are %d ms from ours',
  async (aheadMs) => {
    const machine = createSystemClock();
    const clock = { ...machine, now: () => machine.now() + aheadMs };
    await using product = await startProduct({
      skus,
      sandbox: { clock },
      environment: { POLL_INTERVAL_MS: '1000', RECONCILE_INTERVAL_MS: '1000' },
    });
    const connectedAt = Date.now();
    // What was placed before the shop was connected, by the marketplace's clock, is in the numbers that were read then.
    await waitFor(() => clock.now() > connectedAt + 1_000, {
      timeoutMs: 30_000,
      what: 'its clock to be there',
    });
    const known = async () => {
      const { rows } = await product.db.query<{ count: number }>('SELECT count(*)::int AS count FROM orders');
      return rows[0]?.count ?? 0;
    };
    const random = createRandom(3);
    for (let placed = 1; placed <= ordersTotal; placed += 1) {
      product.buy(platforms[random.integer(0, 3)] ?? 'etsy', `SKU-${random.integer(0, 5)}`);
      const missingMax = placed === ordersTotal ? 0 : 2;
      await waitFor(async () => (await known()) >= placed - missingMax, {
        timeoutMs: 30_000,
        what: 'the orders to be known',
      });
    }
    await product.inStep({ timeoutMs: 90_000 });

    const { rows: conflicts } = await product.db.query('SELECT conflict_data FROM sync_conflicts');
    expect(conflicts).toEqual([]);
    const health = await loadSyncHealth(product.db, product.accountId, Date.now());
    for (const { bounds } of health.connections) {
      expect(bounds.clockSkewMaxMs?.source).toBe('measured');
      // Four to six seconds are proved, by how long the answers took, and a quarter comes on top.
      expect(bounds.clockSkewMaxMs?.ms).toBeGreaterThan(5_000);
      expect(bounds.clockSkewMaxMs?.ms).toBeLessThan(15_000);
    }
    const told = /^The clocks of .* and of our database are up to \d+ seconds apart/;
    expect(health.reasons.filter((reason) => told.test(reason))).toHaveLength(platforms.length);
  },
  180_000,
);
