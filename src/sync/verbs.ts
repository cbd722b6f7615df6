/** The verbs of the product, each wired to what carries it out and to whom it concerns. */
import { acknowledgeAlert } from './alerts.ts';
import { approveBlast } from './blast.ts';
import { setBundle } from './bundles.ts';
import { setConflictPolicy } from './conflictPolicy.ts';
import { resolveConflicts } from './conflictResolution.ts';
import type { SyncEngineOptions } from './engine.ts';
import type { EventStream } from './eventStream.ts';
import { createInsights } from './insights.ts';
import type { StockEffect } from './ledger.ts';
import { type MappingOptions, mapListing, mapSku } from './mapping.ts';
import { type OperationsOptions, syncAll, syncItem } from './operations.ts';
import { updateOrderStatus } from './orderStatus.ts';
import { setPlanEntries } from './planEntries.ts';
import type { PlanOptions } from './planSql.ts';
import { applyPlan, createPlan, undoPlan } from './plans.ts';
import { setItemPrice } from './prices.ts';
import { resumeEscrow, setProtection } from './protection.ts';
import {
  commitReservation,
  createReservation,
  extendReservation,
  type ReservationOptions,
  releaseReservation,
} from './reservations.ts';
import { returnOrder } from './returns.ts';
import { adjustStock, setStock } from './stock.ts';
import type { Sync } from './sync.ts';

export type VerbParts = {
  readonly operations: OperationsOptions;
  readonly plans: PlanOptions;
  readonly mapping: MappingOptions;
  readonly reservations: ReservationOptions;
  readonly onMoved: (effect: StockEffect) => void;
  readonly onEvents: () => void;
  readonly events: EventStream;
};

export function createVerbs(
  options: SyncEngineOptions,
  { operations, plans, mapping, reservations, onMoved, onEvents, events }: VerbParts,
): Sync {
  const { pool, clock, connections, limits, wakeUps } = options;
  const statuses = { pool, connections, clock, leaseMs: limits.leaseMs, onApplied: onMoved };
  const onRecipe = (connectionIds: readonly string[]) => {
    onEvents();
    wakeUps.push(connectionIds);
  };
  return {
    adjustStock: (caller, input) => adjustStock({ pool, onMoved }, caller, input),
    setStock: (caller, input) => setStock({ pool, onMoved }, caller, input),
    syncItem: (caller, input) => syncItem(operations, caller, input),
    syncAll: (caller, input) => syncAll(operations, caller, input),
    createPlan: (caller, input) => createPlan(plans, caller, input),
    setPlanEntries: (caller, input) => setPlanEntries(plans, caller, input),
    applyPlan: (caller, input) => applyPlan(plans, caller, input),
    undoPlan: (caller, planId) => undoPlan(plans, caller, planId),
    updateOrderStatus: (caller, input) => updateOrderStatus(statuses, caller, input),
    async acknowledgeAlert(caller, alertId) {
      const outcome = await acknowledgeAlert(pool, caller, alertId);
      onEvents();
      return outcome;
    },
    resolveConflicts: (caller, input) => resolveConflicts({ pool, onMoved }, caller, input),
    setConflictPolicy: (caller, input) => setConflictPolicy(pool, caller, input),
    setItemPrice: (caller, input) => setItemPrice({ pool, onEvents, onMarked: wakeUps.push }, caller, input),
    async setProtection(caller, input) {
      const { outcome, connectionIds } = await setProtection(pool, caller, input);
      wakeUps.push(connectionIds);
      return outcome;
    },
    resumeEscrow: (caller, listingId) => resumeEscrow(pool, caller, listingId, clock.now()),
    async approveBlast(caller, connectionId) {
      const outcome = await approveBlast(pool, caller, connectionId);
      if (outcome.ok) wakeUps.push([connectionId]);
      onEvents();
      return outcome;
    },
    mapListing: (caller, input) => mapListing(mapping, caller, input),
    mapSku: (caller, input) => mapSku(mapping, caller, input),
    setBundle: (caller, input) => setBundle({ pool, onChanged: onRecipe }, caller, input),
    createReservation: (caller, input) => createReservation(reservations, caller, input),
    extendReservation: (caller, input) => extendReservation(reservations, caller, input),
    commitReservation: (caller, input) => commitReservation(reservations, caller, input),
    releaseReservation: (caller, input) => releaseReservation(reservations, caller, input),
    returnOrder: (caller, input) => returnOrder({ pool, onApplied: onMoved }, caller, input),
    ...createInsights(options),
    events,
  };
}
