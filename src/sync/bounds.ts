/** How late a channel is at worst, and how far its clock is from ours: the marketplace's default or what the seller has set, widened by what was measured. Nothing measured narrows it. */
import type { ConnectorCapabilities } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import type { ChannelBounds } from './connections.ts';

/** As a connection's row holds them, in milliseconds; null where nothing was set or measured. */
export type StoredBounds = { readonly [Name in keyof ChannelBounds]: number | null } & {
  readonly staleMeasuredMs: number | null;
  readonly settleMeasuredMs: number | null;
  readonly indexLagMeasuredMs: number | null;
  readonly clockSkewMeasuredMs: number | null;
};

/** For a statement that names the connection's row `connection`. */
export const boundColumns = `
  connection.stale_max_ms AS "staleMaxMs", connection.settle_max_ms AS "settleMaxMs", connection.index_lag_ms AS "indexLagMs",
  connection.clock_skew_max_ms AS "clockSkewMaxMs", connection.stale_measured_ms AS "staleMeasuredMs",
  connection.settle_measured_ms AS "settleMeasuredMs", connection.index_lag_measured_ms AS "indexLagMeasuredMs",
  connection.clock_skew_measured_ms AS "clockSkewMeasuredMs"`;

export function channelBounds(stored: StoredBounds, defaults: ConnectorCapabilities): ChannelBounds {
  return {
    staleMaxMs: Math.max(stored.staleMaxMs ?? defaults.staleMaxMs, stored.staleMeasuredMs ?? 0),
    settleMaxMs: Math.max(stored.settleMaxMs ?? defaults.settleMaxMs, stored.settleMeasuredMs ?? 0),
    indexLagMs: Math.max(stored.indexLagMs ?? defaults.indexLagMs, stored.indexLagMeasuredMs ?? 0),
    clockSkewMaxMs: Math.max(
      stored.clockSkewMaxMs ?? defaults.clockSkewMaxMs,
      stored.clockSkewMeasuredMs ?? 0,
    ),
  };
}

/** Longest times of our own part of a write, in milliseconds. */
export type OwnTimes = {
  /** From the decision until the call begins. */
  readonly sendWithinMs: number;
  /** Of one call: for all we know its request left at the end of it. */
  readonly callMaxMs: number;
};

/** From the decision on a write until it is in force at the latest. `settleMaxMs` is what the channel takes once the request has left. */
export function landingMaxMs(settleMaxMs: number, { sendWithinMs, callMaxMs }: OwnTimes): number {
  return sendWithinMs + callMaxMs + settleMaxMs;
}

export const measuredBounds = ['staleMaxMs', 'settleMaxMs', 'indexLagMs', 'clockSkewMaxMs'] as const;
export type MeasuredBound = (typeof measuredBounds)[number];

const measuredColumns: Readonly<Record<MeasuredBound, string>> = {
  staleMaxMs: 'stale_measured_ms',
  settleMaxMs: 'settle_measured_ms',
  indexLagMs: 'index_lag_measured_ms',
  clockSkewMaxMs: 'clock_skew_measured_ms',
};

const measuredNames = {
  staleMaxMs: 'staleMeasuredMs',
  settleMaxMs: 'settleMeasuredMs',
  indexLagMs: 'indexLagMeasuredMs',
  clockSkewMaxMs: 'clockSkewMeasuredMs',
} as const satisfies Record<MeasuredBound, keyof StoredBounds>;

/** What was late once may be a little later the next time. */
const margin = 1.25;
/** What takes longer is an outage: a bound of hours would keep everything waiting for good. */
const measuredMaxMs = 3_600_000;

/** Something was later, or a clock further off, than its bound, by the evidence at least `ms`: from now on that is reckoned with. Connecting anew forgets it. True when that is new. */
export async function widenBound(
  db: Queryable,
  connectionId: string,
  bound: MeasuredBound,
  ms: number,
): Promise<boolean> {
  const column = measuredColumns[bound];
  const { rowCount } = await withRetry(() =>
    db.query(
      `UPDATE connections SET ${column} = $2, updated_at = now() WHERE id = $1 AND (${column} IS NULL OR ${column} < $2)`,
      [connectionId, Math.min(Math.ceil(ms * margin), measuredMaxMs)],
    ),
  );
  return rowCount === 1;
}

export type BoundSource = 'default' | 'set' | 'measured';

/** A bound in force and where it comes from. */
export type BoundInForce = { readonly ms: number; readonly source: BoundSource };

/** Null where nothing is known of it yet. */
export function boundInForce(
  stored: StoredBounds,
  defaults: Readonly<Partial<Record<MeasuredBound, number>>>,
  bound: MeasuredBound,
): BoundInForce | null {
  const measured = stored[measuredNames[bound]];
  const given = stored[bound] ?? defaults[bound] ?? null;
  if (measured !== null && measured > (given ?? 0)) return { ms: measured, source: 'measured' };
  return given === null ? null : { ms: given, source: stored[bound] === null ? 'default' : 'set' };
}

const inForce = (name: string, column: string, measured: string): string =>
  `greatest(coalesce(connection.${column}, (connection.default_bounds->>'${name}')::integer), connection.${measured})`;

/**
 * Milliseconds from a sale anywhere until a lowered number is in force at `connection`, nine times of ten. Until it was measured: the longest until an
 * order is known and a write has landed.
 */
export const reactionColumn = `
  coalesce((connection.measures->'saleToEffective'->>'p90')::float8,
           ${inForce('indexLagMs', 'index_lag_ms', 'index_lag_measured_ms')} + ${inForce('settleMaxMs', 'settle_max_ms', 'settle_measured_ms')}, 30000)::float8`;
