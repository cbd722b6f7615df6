/** The work of rules, alerts, measures and explanations, as the product runs it on a shop of any size. */
import type { Pool } from 'pg';
import { systemClock } from '../../src/clock.ts';
import { settleItemAlerts, sweepAlerts } from '../../src/sync/alerts.ts';
import { explainListings } from '../../src/sync/explanations.ts';
import { loadExposures } from '../../src/sync/exposures.ts';
import { loadSyncHealth } from '../../src/sync/health.ts';
import { measureSettled, recordSamples } from '../../src/sync/measures.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import { setRule, switchSync } from '../../src/sync/rules.ts';
import { type LargeShop, rowId } from './largeShop.ts';

type Place = { readonly pool: Pool; readonly shop: LargeShop; readonly caller: Caller };

export function insightWorks(place: () => Place): Readonly<Record<string, () => Promise<unknown>>> {
  const someItems = [1_000, 2_000, 2_001].map((n) => rowId('item', n));
  return {
    'alerts are swept': () => sweepAlerts(place().pool, { everythingMs: 0 }),
    'alerts of settled items are brought up to date': () => settleItemAlerts(place().pool, someItems),
    async 'sales are measured'() {
      await measureSettled(place().pool, someItems);
      await recordSamples(place().pool, place().shop.connectionId, 'saleToKnown', [1, 2]);
    },
    async 'the rule of a listing is set, and it is switched off and on'() {
      const { pool, caller } = place();
      const rules = { pool, onDirty: () => undefined, onResumed: () => undefined };
      const listing = { level: 'listing', id: rowId('listing', 2_200) } as const;
      await setRule(rules, caller, { place: listing, rule: { buffer: 1 } });
      for (const enabled of [false, true]) await switchSync(rules, caller, { place: listing, enabled });
    },
    'numbers are explained': () =>
      explainListings(
        { pool: place().pool, channelMaxOf: async () => 999, now: () => systemClock.now() },
        place().shop.accountId,
        [rowId('listing', 2_000), rowId('listing', 2_001)],
      ),
    async 'exposure and health are looked up'() {
      const { pool, shop } = place();
      await loadExposures(pool, shop.accountId, someItems);
      await loadSyncHealth(pool, shop.accountId, systemClock.now());
    },
  };
}
