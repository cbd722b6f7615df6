/** The verbs of rules and settings, and of what explains the numbers that follow from them, wired once. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Connections } from './connections.ts';
import { explainListings } from './explanations.ts';
import { loadExposures } from './exposures.ts';
import { loadConnectionHealth, loadSyncHealth } from './health.ts';
import { loadObservations, loadObserved } from './observations.ts';
import { loadProtectionSuggestions } from './protectionSuggestions.ts';
import { setRule, switchSync, updateAccountSettings } from './rules.ts';
import type { Sync } from './sync.ts';
import type { WakeUps } from './wakeUps.ts';

export type InsightsOptions = {
  readonly pool: pg.Pool;
  readonly wakeUps: WakeUps;
  readonly clock: Clock;
  readonly connections: Connections;
};

export function createInsights({ pool, wakeUps, clock, connections }: InsightsOptions) {
  const rules = { pool, onDirty: wakeUps.push, onResumed: wakeUps.poll };
  const channelMaxOf = async (id: string) =>
    (await connections.open(id))?.connector.capabilities.quantityMax ?? null;
  const explanations = { pool, now: clock.now, channelMaxOf };
  return {
    setRule: (caller, input) => setRule(rules, caller, input),
    switchSync: (caller, input) => switchSync(rules, caller, input),
    updateAccountSettings: (caller, settings) => updateAccountSettings(rules, caller, settings),
    explain: (accountId, listingIds) => explainListings(explanations, accountId, listingIds),
    observedListings: (accountId, ids) => loadObserved({ db: pool, channelMaxOf }, accountId, ids),
    observations: (accountId, ids) => loadObservations(pool, accountId, ids),
    exposures: (accountId, itemIds) => loadExposures(pool, accountId, itemIds),
    protectionSuggestions: (accountId, itemIds) =>
      loadProtectionSuggestions(pool, accountId, itemIds, clock.now()),
    async connectionHealth(accountId, connectionIds) {
      const rows = await loadConnectionHealth(pool, accountId, connectionIds, clock.now());
      return new Map(rows.map((row) => [row.connectionId, row]));
    },
    syncHealth: (accountId) => loadSyncHealth(pool, accountId, clock.now()),
  } satisfies Partial<Sync>;
}
