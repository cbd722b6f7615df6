/** How well synchronising works, in numbers per connection and in plain words for the account. */
import type { Platform } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import type { AlertKind } from './alerts.ts';
import {
  type BoundInForce,
  boundColumns,
  boundInForce,
  type MeasuredBound,
  measuredBounds,
  type StoredBounds,
} from './bounds.ts';
import type { ConnectionStatus } from './explanation.ts';
import { platformNames } from './explanationWords.ts';
import { type Measure, type MeasureName, measureIn, measureNames } from './measures.ts';

const conflictTypes = ['quantity_mismatch', 'price_mismatch', 'sold_out'] as const;
export type ConflictType = (typeof conflictTypes)[number];
export type HealthStatus = 'ok' | 'degraded' | 'broken';

/** What was loaded of one connection. */
export type ConnectionRow = {
  readonly connectionId: string;
  readonly platform: Platform;
  readonly name: string;
  readonly status: ConnectionStatus;
  readonly syncEnabled: boolean;
  readonly awaitingPlan: boolean;
  readonly lastError: string | null;
  readonly failingSince: Date | null;
  readonly lastPolledAt: Date | null;
  readonly ordersKnownUntil: Date | null;
  readonly measures: unknown;
  readonly stored: StoredBounds;
  readonly defaults: Readonly<Partial<Record<MeasuredBound, number>>>;
  readonly resurrectedUnits: number;
  readonly unknownWrites: number;
  readonly unknownWritesLastDay: number;
  readonly waitingListings: number;
  readonly waitingSince: Date | null;
  readonly failedDeliveries: number;
  readonly drift: Readonly<Partial<Record<ConflictType, number>>>;
};

export type ConnectionHealth = Omit<ConnectionRow, 'measures' | 'drift' | 'stored' | 'defaults'> & {
  readonly health: HealthStatus;
  /** Why it is not `ok`, in plain words. */
  readonly reasons: readonly string[];
  readonly measures: Readonly<Record<MeasureName, Measure | null>>;
  /** Null before the channel was first used. */
  readonly bounds: Readonly<Record<MeasuredBound, BoundInForce | null>>;
  readonly drift: readonly { readonly type: ConflictType; readonly count: number }[];
};

export type SyncHealth = {
  readonly health: HealthStatus;
  readonly summary: string;
  readonly reasons: readonly string[];
  readonly openAlerts: readonly { readonly kind: AlertKind; readonly count: number }[];
  readonly connections: readonly ConnectionHealth[];
};

/** Time bounds in milliseconds, from which on something is told. */
const brokenAfter = 10 * 60_000;
const waitingLong = 2 * 60_000;

/** `now` in milliseconds. */
export function connectionHealth(row: ConnectionRow, now: number): ConnectionHealth {
  const { measures, drift, stored, defaults, ...rest } = row;
  const broken = brokenReason(row, now);
  const worries = broken === null && row.status !== 'disconnected' ? worriesOf(row, now) : [];
  return {
    ...rest,
    health: broken !== null ? 'broken' : worries.length > 0 ? 'degraded' : 'ok',
    reasons: broken === null ? worries : [broken],
    measures: Object.fromEntries(
      measureNames.map((name) => [name, measureIn(measures, name)]),
    ) as ConnectionHealth['measures'],
    bounds: Object.fromEntries(
      measuredBounds.map((bound) => [bound, boundInForce(stored, defaults, bound)]),
    ) as ConnectionHealth['bounds'],
    drift: conflictTypes.flatMap((type) => {
      const count = drift[type] ?? 0;
      return count === 0 ? [] : [{ type, count }];
    }),
  };
}

function called({ platform, name }: ConnectionRow): string {
  return `${platformNames[platform]} (${name})`;
}

function brokenReason(row: ConnectionRow, now: number): string | null {
  if (row.status === 'needs_authorization')
    return `${called(row)} refuses our access and must be authorised again.`;
  if (row.status === 'active' && row.failingSince !== null && now - row.failingSince.getTime() >= brokenAfter)
    return `${called(row)} has answered with errors for ${minutes(now - row.failingSince.getTime())}: ${row.lastError ?? 'unknown'}.`;
  return null;
}

function worriesOf(row: ConnectionRow, now: number): readonly string[] {
  const name = called(row);
  const reasons: string[] = [];
  if (row.status === 'paused') return [`${name} is switched off: its numbers are not written.`];
  if (!row.syncEnabled) return [`${name} is switched off: its numbers are looked at and not written.`];
  if (row.failingSince !== null) reasons.push(`${name} answers with errors: ${row.lastError ?? 'unknown'}.`);
  const waitedMs = row.waitingSince === null ? 0 : now - row.waitingSince.getTime();
  const { waitingListings: waiting, unknownWrites, failedDeliveries: failed } = row;
  if (waitedMs >= waitingLong)
    reasons.push(
      waiting === 1
        ? `1 listing of ${name} waits to be brought in step, for ${minutes(waitedMs)}.`
        : `${waiting} listings of ${name} wait to be brought in step, the first of them for ${minutes(waitedMs)}.`,
    );
  if (unknownWrites > 0)
    reasons.push(
      `${counted(unknownWrites, 'write')} to ${name} got no answer and ${unknownWrites === 1 ? 'is' : 'are'} being read back.`,
    );
  const { clockSkewMeasuredMs: apartMs, clockSkewMaxMs: setMs } = row.stored;
  if (apartMs !== null && apartMs > (setMs ?? 0))
    reasons.push(
      `The clocks of ${name} and of our database are up to ${Math.ceil(apartMs / 1_000)} seconds apart, and everything waits so much longer: have ours set by a time server, then connect it anew.`,
    );
  if (failed > 0)
    reasons.push(
      `${counted(failed, 'webhook')} of ${name} could not be applied and ${failed === 1 ? 'was' : 'were'} set aside.`,
    );
  return reasons;
}

/** The worst of its connections, and degraded while an alert about what is sold is not resolved. */
export function syncHealth(
  connections: readonly ConnectionHealth[],
  openAlerts: SyncHealth['openAlerts'],
): SyncHealth {
  const reasons = [
    ...connections.flatMap((connection) => connection.reasons),
    ...openAlerts.flatMap(({ kind, count }) => alertWords[kind]?.(count) ?? []),
  ];
  const broken = connections.some(({ health }) => health === 'broken');
  const health = broken ? 'broken' : reasons.length > 0 ? 'degraded' : 'ok';
  const used = connections.filter(({ status }) => status !== 'disconnected').length;
  const observed = connections.filter((each) => each.status !== 'disconnected' && each.awaitingPlan).length;
  const summary =
    used === 0
      ? 'No marketplace is connected.'
      : reasons.length === 0
        ? `All is well: ${inStepWords(used - observed, observed)}.`
        : `${broken ? 'Something is broken' : 'Something needs a look'}: ${reasons.join(' ')}`;
  return { health, summary, reasons, openAlerts, connections };
}

/** Before its first plan a marketplace account is only looked at. */
function inStepWords(inStep: number, observed: number): string {
  return [
    ...(inStep > 0 || observed === 0 ? [`${counted(inStep, 'marketplace account')} in step`] : []),
    ...(observed > 0 ? [`${counted(observed, 'marketplace account')} only looked at`] : []),
  ].join(', ');
}

/** What the alerts of a kind say about how well synchronising works; null where that is nothing, or what a connection's own reasons say already. */
const alertWords: Readonly<Record<AlertKind, ((count: number) => string) | null>> = {
  oversell: (count) => `${counted(count, 'item')} oversold.`,
  oversell_risk: null,
  low_stock: null,
  still_on_sale: (count) => `${counted(count, 'item')} sold out and still on sale somewhere.`,
  broken_connection: null,
  blast_stopped: (count) => `Changes to ${counted(count, 'marketplace account')} wait for your approval.`,
};

function minutes(ms: number): string {
  return counted(Math.floor(ms / 60_000), 'minute');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** Conflicts of the last day are found by their time-ordered ids. A write that got no answer keeps what went wrong as its error, also once it is read back. */
const healthSql = `
SELECT connection.id AS "connectionId", connection.platform, connection.name, connection.status, connection.sync_enabled AS "syncEnabled", connection.awaiting_plan AS "awaitingPlan",
       connection.last_error AS "lastError", connection.failing_since AS "failingSince", connection.last_polled_at AS "lastPolledAt",
       connection.orders_watermark AS "ordersKnownUntil", connection.measures,
       ${boundColumns}, connection.default_bounds AS defaults,
       least(connection.resurrected_units, 2147483647)::int AS "resurrectedUnits",
       (SELECT count(*)::int FROM listing_writes WHERE connection_id = connection.id AND state = 'unknown' AND state IN ('sent', 'accepted', 'unknown')) AS "unknownWrites",
       (SELECT count(*)::int FROM listing_writes WHERE connection_id = connection.id AND error IS NOT NULL AND sent_at >= now() - interval '1 day'
           AND (state = 'unknown' OR (state IN ('effective', 'superseded') AND settled_at > answered_at))) AS "unknownWritesLastDay",
       waiting.listings AS "waitingListings", waiting.since AS "waitingSince",
       (SELECT count(*)::int FROM webhook_deliveries WHERE connection_id = connection.id AND status = 'failed') AS "failedDeliveries",
       (SELECT coalesce(jsonb_object_agg(conflict_type, found ORDER BY conflict_type), '{}') FROM (
          SELECT conflict.conflict_type, count(*) AS found FROM sync_conflicts conflict JOIN listings listing ON listing.id = conflict.listing_id
           WHERE conflict.account_id = connection.account_id AND listing.connection_id = connection.id
             AND conflict.id >= (lpad(to_hex((extract(epoch FROM now() - interval '1 day') * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
           GROUP BY conflict.conflict_type) drift) AS drift
  FROM connections connection
  CROSS JOIN LATERAL (SELECT count(*)::int AS listings, min(since) AS since FROM dirty_listings WHERE connection_id = connection.id) waiting
 WHERE connection.account_id = $1 AND ($2::uuid[] IS NULL OR connection.id = ANY($2))
 ORDER BY connection.id`;

/** Of these connections of the account, or of all of them, oldest first. `now` in milliseconds. */
export async function loadConnectionHealth(
  db: Queryable,
  accountId: string,
  connectionIds: readonly string[] | null,
  now: number,
): Promise<readonly ConnectionHealth[]> {
  const { rows } = await db.query<Omit<ConnectionRow, 'stored'> & StoredBounds>(healthSql, [
    accountId,
    connectionIds,
  ]);
  return rows.map((row) => connectionHealth({ ...row, stored: row }, now));
}

export async function loadSyncHealth(db: Queryable, accountId: string, now: number): Promise<SyncHealth> {
  const connections = await loadConnectionHealth(db, accountId, null, now);
  const alerts = await db.query<{ kind: AlertKind; count: number }>(
    `SELECT kind, count(*)::int AS count FROM alerts WHERE account_id = $1 AND status IN ('open', 'acknowledged') GROUP BY kind ORDER BY kind`,
    [accountId],
  );
  return syncHealth(connections, alerts.rows);
}
