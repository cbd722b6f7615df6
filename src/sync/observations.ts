/** Observes what is not written to, beside whatever tool writes there: reads its number in turn and compares. Moves no stock, proves nothing, writes nowhere. */
import type { StockReading } from '../connectors/connector.ts';
import { inKeyedTransaction, type Queryable } from '../db.ts';
import {
  type Due,
  type Look,
  type LookKind,
  type LookOptions,
  lockLooked,
  lookInTurn,
  stillAsAsked,
} from './looks.ts';
import { leftOut, untracked } from './readings.ts';
import { type ChannelMaxOf, channelMaxima, loadTargets, targetFor } from './targets.ts';

/**
 * A protected item's listings are followed through their shadows, whatever else is off: their rights come back by what is read. The offset keeps it a
 * question of each row: the rows stay in the order of their index.
 */
const isShared = `EXISTS (SELECT FROM inventory_items WHERE id = listing.item_id AND protection = 'shared' OFFSET 0)`;

/** SQL over a listing and its connection: known to sell an item, on a channel that may be called, and not written to. */
export const isObserved = `(connection.status = 'active' AND listing.item_id IS NOT NULL
  AND NOT (listing.sync_enabled AND listing.writable AND connection.sync_enabled) AND ${isShared})`;

// The same of one connection, as the rows of an index in the order of their looks: of one that is on, what is off by itself; else everything.
const offByItself = (connectionId: string): string => `
  SELECT * FROM listings listing WHERE connection_id = ${connectionId} AND item_id IS NOT NULL AND NOT (sync_enabled AND writable) AND ${isShared}`;
const offTogether = (connectionId: string): string => `
  SELECT * FROM listings listing WHERE connection_id = ${connectionId} AND (item_id IS NULL) IS FALSE AND ${isShared}`;

const observed = {
  turnAt: 'next_observation_at',
  lookedAt: 'observed_at',
  // An import, a plan or a shadow may have had a newer number.
  version: `concat_ws(' ', observed_at, quantity_at)`,
} satisfies Partial<LookKind>;

/** A connection is of one kind only: the other one takes no turn of it. */
const kinds: readonly LookKind[] = [
  {
    ...observed,
    name: 'observe',
    mayLook: `status = 'active' AND sync_enabled`,
    followed: offByItself('$1'),
  },
  {
    ...observed,
    name: 'observe-all',
    mayLook: `status = 'active' AND NOT sync_enabled`,
    followed: offTogether('$1'),
  },
];

/** One batch, if the connection's turn has come. */
export async function observeConnection(options: LookOptions, connectionId: string): Promise<void> {
  for (const kind of kinds) {
    const look = await lookInTurn(options, kind, connectionId, ({ connector }, addresses) =>
      connector.readStock(addresses, { urgency: 'import' }),
    );
    if (look !== null) await noteShown(options, look);
  }
}

async function noteShown(
  options: LookOptions,
  { channel, due, readings }: Look<StockReading>,
): Promise<void> {
  await inKeyedTransaction(options.db, async (client) => {
    await lockLooked(client, due);
    const ids = due.map(({ listingId }) => listingId);
    const targets = await loadTargets(client, ids, channel.connector.capabilities.quantityMax);
    const looked = due.map((listing, index) => {
      const target = targets.get(listing.listingId);
      return toLooked(
        listing,
        readings[index] ?? leftOut,
        target === undefined ? null : targetFor(target).target,
      );
    });
    await client.query({ name: 'observed-note', text: noteSql, values: [JSON.stringify(looked)] });
  });
}

function toLooked({ listingId: id, version }: Due, reading: StockReading, target: number | null) {
  switch (reading.kind) {
    case 'quantity':
      return { id, version, target, quantity: reading.quantity };
    case 'notTracked':
      return { id, version, problem: untracked };
    case 'unknown':
      return { id, version, problem: reading.reason };
  }
}

/** What could not be read leaves the last number that could. Of a number that the channel owns there is none that sync would show. */
const noteSql = `
UPDATE listings listing
   SET quantity = coalesce(looked.quantity, listing.quantity), quantity_at = CASE WHEN looked.quantity IS NULL THEN listing.quantity_at ELSE now() END,
       last_error = looked.problem, differs = now_differs, observed_at = now(),
       updated_at = CASE WHEN (coalesce(looked.quantity, listing.quantity), looked.problem, now_differs)
                              IS DISTINCT FROM (listing.quantity, listing.last_error, listing.differs) THEN now() ELSE listing.updated_at END
  FROM (SELECT looked.*, coalesce(writable AND looked.quantity <> looked.target, differs) AS now_differs
          FROM jsonb_to_recordset($1::jsonb) AS looked (id uuid, version text, quantity int, target int, problem text) JOIN listings USING (id)) looked
 WHERE ${stillAsAsked(observed)}
   AND EXISTS (SELECT FROM connections connection WHERE connection.id = listing.connection_id AND ${isObserved})`;

export type ObservedListing = {
  /** Units that sync would show by its rules now; null where it never would, because the channel owns the number. */
  readonly wouldShow: number | null;
  /** Whether it showed another number when it was last looked at; null before the first look. */
  readonly differs: boolean | null;
};

export type ObservationOptions = { readonly db: Queryable; readonly channelMaxOf: ChannelMaxOf };

/** By listing id; what is not observed, or is another account's, is left out. */
export async function loadObserved(
  { db, channelMaxOf }: ObservationOptions,
  accountId: string,
  listingIds: readonly string[],
): Promise<ReadonlyMap<string, ObservedListing>> {
  const { rows } = await db.query<{
    id: string;
    connectionId: string;
    writable: boolean;
    differs: boolean | null;
  }>({
    name: 'observed-load',
    text: `SELECT listing.id, listing.connection_id AS "connectionId", listing.writable, listing.differs
             FROM listings listing JOIN connections connection ON connection.id = listing.connection_id
            WHERE listing.account_id = $1 AND listing.id = ANY($2) AND ${isObserved}`,
    values: [accountId, listingIds],
  });
  const writable = rows.filter((row) => row.writable);
  const maxOf = await channelMaxima(writable, channelMaxOf);
  const targets = await loadTargets(
    db,
    writable.map(({ id }) => id),
    maxOf,
  );
  return new Map(
    rows.map(({ id, differs }) => {
      const target = targets.get(id);
      return [id, { wouldShow: target === undefined ? null : targetFor(target).target, differs }];
    }),
  );
}

export type ConnectionObservation = {
  readonly connectionId: string;
  /** Observed listings. */
  readonly listings: number;
  /** Of these, those that could not be read when they were last looked at. */
  readonly unreadable: number;
  /** Of these, those that nobody has looked at yet. */
  readonly unseen: number;
  /** Of these, those that showed another number than sync would have. */
  readonly differing: number;
  /** When the oldest of the numbers that can be read was read; null where there is none. */
  readonly oldestAt: Date | null;
  /** The first of those that differ. */
  readonly differingIds: readonly string[];
};

const differingMax = 20;

const observationSql = `
SELECT connection.id AS "connectionId", seen.*,
       ARRAY(SELECT listing.id FROM listings listing
              WHERE listing.connection_id = connection.id AND listing.differs AND ${isObserved} ORDER BY listing.id LIMIT ${differingMax}) AS "differingIds"
  FROM connections connection
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS listings, (count(*) FILTER (WHERE last_error IS NOT NULL))::int AS unreadable, (count(*) FILTER (WHERE differs))::int AS differing,
           (count(*) FILTER (WHERE differs IS NULL AND last_error IS NULL))::int AS unseen,
           min(quantity_at) FILTER (WHERE last_error IS NULL AND quantity IS NOT NULL) AS "oldestAt"
      FROM (SELECT * FROM (${offByItself('connection.id')}) by_itself WHERE connection.sync_enabled
            UNION ALL
            SELECT * FROM (${offTogether('connection.id')}) together WHERE NOT connection.sync_enabled) observed
     WHERE connection.status = 'active'
  ) seen
 WHERE connection.account_id = $1 AND connection.id = ANY($2)`;

/** By connection id. Counts: it costs more, the more is observed. */
export async function loadObservations(
  db: Queryable,
  accountId: string,
  connectionIds: readonly string[],
): Promise<ReadonlyMap<string, ConnectionObservation>> {
  const { rows } = await db.query<ConnectionObservation>(observationSql, [accountId, connectionIds]);
  return new Map(rows.map((row) => [row.connectionId, row]));
}

export function observationWords({ listings, unreadable, unseen, differing }: ConnectionObservation): string {
  if (listings === 0) return 'Nothing is observed.';
  const observing = `Of ${listings} observed ${listings === 1 ? 'listing' : 'listings'}`;
  const found =
    differing === 0
      ? 'none shows another number than sync would'
      : `${differing} ${differing === 1 ? 'shows' : 'show'} another number than sync would`;
  const rest = [
    ...(unreadable === 0 ? [] : [`${unreadable} cannot be read`]),
    ...(unseen === 0 ? [] : [`${unseen} were not looked at yet`]),
  ];
  return `${[`${observing} ${found}`, ...rest].join('; ')}.`;
}
