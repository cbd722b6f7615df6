/** Looks at the listings of a connection in turn, those not looked at for longest first: one batch at a time, however many processes look. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { ChannelError, type ListingAddress } from '../connectors/connector.ts';
import type { ConnectedChannel, Connections } from './connections.ts';

export type LookOptions = {
  readonly db: pg.Pool;
  readonly clock: Clock;
  readonly connections: Connections;
  readonly batchMax: number;
  /** Pause between two looks at the same listing, in milliseconds. */
  readonly intervalMs: number;
  /** Pause between two batches of a connection, in milliseconds: what nothing waits for is never worth a burst of calls. */
  readonly paceMs: number;
};

/** What is looked at, as SQL of columns that no value from outside enters. */
export type LookKind = {
  /** Of its statements. */
  readonly name: string;
  /** When the connection's next turn comes. */
  readonly turnAt: string;
  /** Whether the connection may be looked at. */
  readonly mayLook: string;
  /** When a listing was looked at. */
  readonly lookedAt: string;
  /** The listings of connection `$1` that are looked at. */
  readonly followed: string;
  /** Text that is another one as soon as something else was learnt of the listing. */
  readonly version: string;
};

/**
 * Whoever finds the connection's next look due takes it, and so nobody else does. Where a listing is due, those that will be within half the interval go
 * along: a call asks for many as well as for one.
 */
const dueSql = ({ turnAt, mayLook, lookedAt, followed, version }: LookKind): string => `
WITH turn AS (
  UPDATE connections SET ${turnAt} = now() + $3 * interval '1 ms' WHERE id = $1 AND ${turnAt} <= now() AND ${mayLook} RETURNING 1
), followed AS NOT MATERIALIZED (${followed}
)
SELECT id AS "listingId", unit_id AS "unitId", variant_id AS "variantId", ${version} AS version
  FROM followed
 WHERE EXISTS (SELECT FROM turn) AND ${lookedAt} <= now() - $4 / 2 * interval '1 ms'
   AND (SELECT ${lookedAt} FROM followed ORDER BY ${lookedAt} LIMIT 1) <= now() - $4 * interval '1 ms'
 ORDER BY ${lookedAt} LIMIT $2`;

export type Due = ListingAddress & { readonly listingId: string; readonly version: string };

export type Look<Reading> = {
  readonly channel: ConnectedChannel;
  /** At least one, and a reading for each of them. */
  readonly due: readonly Due[];
  readonly readings: readonly (Reading | undefined)[];
  /** Milliseconds since the channel was asked. */
  readonly agoMs: number;
};

/** One batch, if the connection's turn has come; null where there is nothing to take in. A channel that fails is reported, and the batch asked for again soon. */
export async function lookInTurn<Reading>(
  options: LookOptions,
  kind: LookKind,
  connectionId: string,
  ask: (channel: ConnectedChannel, addresses: readonly ListingAddress[]) => Promise<readonly Reading[]>,
): Promise<Look<Reading> | null> {
  const { db, clock, connections, batchMax, intervalMs, paceMs } = options;
  const channel = await connections.open(connectionId);
  if (channel === null) return null;
  const { rows: due } = await db.query<Due>({
    name: `look-due-${kind.name}`,
    text: dueSql(kind),
    values: [connectionId, batchMax, Math.min(paceMs, intervalMs), intervalMs],
  });
  if (due.length === 0) return null;
  const askedAt = clock.now();
  let readings: readonly Reading[];
  try {
    readings = await ask(
      channel,
      due.map(({ unitId, variantId }) => ({ unitId, variantId })),
    );
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    await postpone(options, kind, due);
    // Whatever is more urgent has taken the calls there are: nothing is wrong with the channel.
    if (error.code !== 'rate_limited') await connections.report(connectionId, error);
    return null;
  }
  await connections.report(connectionId, null);
  return { channel, due, readings, agoMs: clock.now() - askedAt };
}

/** A part of the interval within which listings that could not be read are due again, each at a time of its own: one by which every call fails is not always among the same others. */
const againWithin = 1 / 12;

async function postpone(
  { db, intervalMs }: LookOptions,
  { name, lookedAt }: LookKind,
  due: readonly Due[],
): Promise<void> {
  await db.query({
    name: `look-postpone-${name}`,
    text: `WITH due AS (SELECT id FROM listings WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE)
           UPDATE listings SET ${lookedAt} = now() - (1 - random() * $3::float8) * $2::float8 * interval '1 ms' FROM due WHERE listings.id = due.id`,
    values: [due.map(({ listingId }) => listingId), intervalMs, againWithin],
  });
}

/** What follows are statements of their own: what was learnt up to the moment of the lock is seen. */
export async function lockLooked(client: pg.PoolClient, due: readonly Due[]): Promise<void> {
  await client.query('SELECT FROM listings WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE', [
    due.map(({ listingId }) => listingId),
  ]);
}

/** What was learnt of a listing since the question was asked is newer than the answer. */
export const stillAsAsked = ({ version }: Pick<LookKind, 'version'>): string =>
  `listing.id = looked.id AND ${version} = looked.version`;
