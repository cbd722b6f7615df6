/** Keeps one shadow per listing in the database: loaded under its lock with every sale it has not taken in yet, saved in the same transaction. */
import type pg from 'pg';
import type { ConnectorCapabilities } from '../connectors/connector.ts';
import { inKeyedTransaction } from '../db.ts';
import { channelBounds, landingMaxMs } from './bounds.ts';
import { writeAnswered } from './core/answers.ts';
import { settled } from './core/collapse.ts';
import { demandKnown, rateOf } from './core/demand.ts';
import { raisedBecause } from './core/lateWrites.ts';
import { demandLimits } from './core/limits.ts';
import { stopsRaises } from './core/range.ts';
import { judge, type Proof, type ReadPace, readDueAt } from './core/readings.ts';
import {
  arrivedTooLate,
  type Bounds,
  type Candidate,
  orderCancelled,
  orderSeen,
  type Shadow,
  watermarkAdvanced,
} from './core/shadow.ts';
import { rangeNow } from './core/shown.ts';
import { type KeptEscrow, openEscrows, raisedOutside, saveEscrows, weighRights } from './escrows.ts';
import { type ChannelTraits, type KeptListing, type SaleFact } from './keptListing.ts';
import { type MeasureBuffer, measureWrites } from './measureBuffer.ts';
import { type KeptRow, lockKept, saveKept } from './shadowSql.ts';

/** What one transaction holds under lock. */
export type Kept = { readonly listings: readonly KeptListing[]; readonly escrows: readonly KeptEscrow[] };

export type ShadowContext = {
  readonly db: pg.Pool;
  readonly now: () => number;
  readonly connectionId: string;
  readonly capabilities: ConnectorCapabilities;
  /** Longest run of one call to the channel, in milliseconds. */
  readonly callMaxMs: number;
  /** How long after its decision a write may leave, in milliseconds. */
  readonly sendWithinMs: number;
  readonly pace: ReadPace;
  readonly measures?: MeasureBuffer;
  /** Remembers an outside edit, in the transaction that proves it. Answers the connections with listings to look at because of it. */
  readonly onProven: (client: pg.PoolClient, edit: ProvenEdit, now: number) => Promise<readonly string[]>;
};

export type ProvenEdit = {
  readonly listing: KeptListing;
  /** The shadow that the proof was drawn from. */
  readonly before: Shadow;
  readonly proof: Proof;
  /** Perhaps made while the listing was switched off. */
  readonly whileOff: boolean;
};

const hourMs = 3_600_000;

/** Nobody else changes these shadows meanwhile. `saved` names the connections whose listings must be looked at because of what was saved. */
export async function withShadows<Result>(
  context: ShadowContext,
  listingIds: readonly string[],
  work: (client: pg.PoolClient, kept: Kept, now: number) => Promise<Result>,
): Promise<{ readonly result: Result; readonly wake: readonly string[] }> {
  const { saved, ...outcome } = await inKeyedTransaction(context.db, async (client) => {
    const rows = await lockKept(client, listingIds);
    const now = context.now();
    const listings = rows.map((row) => toKept(context, row, now));
    const kept: Kept = { listings, escrows: await openEscrows(client, listings, now) };
    // What became known since may prove what an earlier reading could not.
    const proven = await weighAll(context, client, kept, now);
    const result = await work(client, kept, now);
    await saveEscrows(client, kept.escrows, now);
    const concerned = await saveKept(
      client,
      listings.flatMap((listing) => toRow(context, listing, now)),
    );
    return {
      saved: listings,
      result,
      wake: [...new Set([...proven, ...concerned])],
    };
  });
  const { measures } = context;
  if (measures !== undefined) for (const listing of saved) measureWrites(measures, listing);
  return outcome;
}

/** What the readings prove by now. One listing can have several edits to tell of. Answers whom to wake. */
export async function weighAll(
  { onProven }: ShadowContext,
  client: pg.PoolClient,
  { listings, escrows }: Kept,
  now: number,
): Promise<readonly string[]> {
  const wake: string[] = [];
  for (const listing of listings) {
    for (let before = listing.shadow; before !== null; before = listing.shadow) {
      const { shadow, proof } = judge(before, now);
      listing.shadow = shadow;
      if (proof === null) break;
      if (proof.delta > 0) raisedOutside(escrows, listing, raisedBecause(before, proof.reading), now);
      // Read for its rights alone: where nothing is written, an edit contradicts nobody.
      if (!listing.enabled && listing.stored.protection !== 'shared') continue;
      const whileOff = listing.resumed || !listing.enabled;
      wake.push(...(await onProven(client, { listing, before, proof, whileOff }, now)));
    }
    weighRights(escrows, listing, now);
  }
  return wake;
}

function toKept(context: ShadowContext, row: KeptRow, now: number): KeptListing {
  const own = row.connectionId === context.connectionId;
  const bounds = own || row.state === null ? boundsOf(context, row) : row.state.shadow.bounds;
  const traits = own || row.state === null ? traitsOf(context, row) : row.state.traits;
  const sales = row.sales.map((sale) => toFact(sale, row));
  const known = row.state === null ? null : { ...row.state.shadow, bounds };
  const shadow =
    known === null ? null : informed(known, sales, watermarkOf(context, row), now, answeredBy(context));
  const sold = sales.reduce((sum, { units }) => sum + Math.max(0, units), 0);
  const shows = shadow !== null && rangeNow(shadow, now).high > 0;
  const demand = demandKnown(row.state?.demand ?? null, { shown: shows, sold }, now, demandLimits);
  return {
    listingId: row.listingId,
    accountId: row.accountId,
    connectionId: row.connectionId,
    platform: row.platform,
    itemId: row.itemId,
    unitId: row.unitId,
    variantId: row.variantId,
    enabled: row.enabled,
    bounds,
    traits,
    shadow,
    demand,
    sales,
    resumed: row.knownSwitch < row.switches,
    readDueAt: Number.POSITIVE_INFINITY,
    stored: row,
  };
}

/** What was decided longer ago will not be answered any more, in milliseconds. */
function answeredBy({ callMaxMs, sendWithinMs }: ShadowContext): number {
  return sendWithinMs + callMaxMs;
}

/** Everything that became known since: sales, orders up to the watermark, and that nobody waits for an old answer any more. */
function informed(
  known: Shadow,
  sales: readonly SaleFact[],
  watermark: { readonly to: number; readonly fetchedAt: number } | null,
  now: number,
  answerMaxMs: number,
): Shadow {
  let shadow = known;
  for (const sale of sales) shadow = learned(shadow, sale, now);
  if (watermark !== null) shadow = watermarkAdvanced(shadow, watermark.to, watermark.fetchedAt, now);
  for (const { key, state, lastSentAt } of shadow.candidates) {
    if (state === 'SENT' && lastSentAt + answerMaxMs < now)
      shadow = writeAnswered(shadow, key, { kind: 'unknown' }, now);
  }
  return settled(shadow, now);
}

/** Whether the channel itself has put back what was cancelled, only a reading tells. */
export function learned(shadow: Shadow, sale: SaleFact, now: number): Shadow {
  const { units, late: _late, ...change } = sale;
  if (units > 0) return orderSeen(shadow, change, now);
  const restockedByChannel = shadow.bounds.restocksOnCancel;
  return orderCancelled(shadow, { ...change, certain: false, restockedByChannel }, now);
}

function toFact(sale: KeptRow['sales'][number], { state }: KeptRow): SaleFact {
  const { orderId, units, from, until } = sale;
  const change = { orderId, units, quantity: Math.abs(units), from, until };
  return { ...change, late: state !== null && units > 0 && arrivedTooLate(state.shadow, change) };
}

/** Writes that are answered at once land with their answer; of the others half the longest time is the rule. */
const answeredMs = 2_000;

function traitsOf({ capabilities }: ShadowContext, row: KeptRow): ChannelTraits {
  const { compareAndSet, quantityMax, ordersWrites } = capabilities;
  const { indexLagMs, settleMaxMs } = channelBounds(row, capabilities);
  const landingMs = ordersWrites ? answeredMs : settleMaxMs / 2;
  return { compareAndSet, quantityMax, indexLagMs, landingMs };
}

function boundsOf(context: ShadowContext, row: KeptRow): Bounds {
  const { capabilities, callMaxMs } = context;
  const { staleMaxMs, settleMaxMs, clockSkewMaxMs } = channelBounds(row, capabilities);
  return {
    staleMax: staleMaxMs,
    settleMax: landingMaxMs(settleMaxMs, context),
    clockSkewMax: clockSkewMaxMs,
    readMax: callMaxMs,
    restocksOnCancel: capabilities.restocksOnCancel,
  };
}

function watermarkOf({ capabilities, connectionId }: ShadowContext, row: KeptRow) {
  if (row.ordersFetchedAt === null) return null;
  // Another connection's lag is in its own work's hands.
  if (row.connectionId !== connectionId && row.indexLagMs === null) return null;
  const fetchedAt = row.ordersFetchedAt;
  return { to: fetchedAt - channelBounds(row, capabilities).indexLagMs, fetchedAt };
}

function toRow(context: ShadowContext, listing: KeptListing, now: number) {
  const { shadow, stored, demand, traits } = listing;
  if (shadow === null || listing.itemId === null) return [];
  // Once this moment is over, what was replaced in it is gone.
  const { low, high } = rangeNow(shadow, now + 1);
  return [
    {
      listingId: listing.listingId,
      accountId: listing.accountId,
      connectionId: listing.connectionId,
      itemId: listing.itemId,
      state: { shadow, demand, traits },
      hold: shadow.hold,
      raisesStopped: stopsRaises(shadow),
      knownSwitch: listing.resumed ? stored.knownSwitch : stored.switches,
      guarded: stored.protection !== 'shared',
      shownMin: low,
      shownMax: high,
      resurrectedUnits: shadow.resurrectedUnits,
      resurrectedMore: Math.max(0, shadow.resurrectedUnits - (stored.state?.shadow.resurrectedUnits ?? 0)),
      soldPerHour: rateOf(demand, demandLimits) * hourMs,
      readDueAt: new Date(Math.min(listing.readDueAt, readDueAt(shadow, context.pace, now))),
      heldBefore: stored.hold,
      stoppedBefore: stored.raisesStopped,
      readAt: Number.isFinite(shadow.readAt) ? new Date(shadow.readAt) : null,
      proved: low === high && low === shadow.target && shadow.readAt !== stored.state?.shadow.readAt,
      taken: stored.sales.map(({ id }) => id),
      ...writesOf(shadow),
    },
  ];
}

const writeId = /^[\da-f]{8}-[\da-f]{4}-/;

function writesOf({ candidates }: Shadow) {
  const writes = candidates.filter(({ key }) => writeId.test(key));
  const idsOf = (accepts: (candidate: Candidate) => boolean) => writes.filter(accepts).map(({ key }) => key);
  return {
    open: idsOf(({ settledAt, state }) => settledAt === null && state !== 'REJECTED'),
    unanswered: idsOf(({ settledAt, state }) => settledAt === null && state === 'UNKNOWN'),
    effective: idsOf(({ state }) => state === 'EFFECTIVE'),
  };
}
