/** Reads listings that are due: writes that no answer has proved, readings that nothing explains, and now and then what is in step. */
import type { Queryable } from '../db.ts';
import { boundColumns, channelBounds, type StoredBounds } from './bounds.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { type DecisionOptions, outOfStep } from './decisions.ts';
import type { ShownStock } from './inbox.ts';
import { markOutOfStep } from './pushSql.ts';
import { type AfterReadings, look, type ReadingOptions, takeReadings } from './readings.ts';
import { isFollowed } from './shadowSql.ts';

export type ReadOptions = {
  readonly db: Queryable;
  readonly connections: Connections;
  readonly batchMax: number;
  /** Pause before a listing that could not be read is asked for again, in milliseconds. */
  readonly intervalMs: number;
  readonly readings: (channel: ConnectedChannel) => ReadingOptions;
  readonly decisions: (channel: ConnectedChannel) => DecisionOptions;
};

/** Marks them as looked at, so that two workers do not ask twice. Those that wait for the longest time come first. */
const dueSql = `
WITH due AS (
  SELECT shadow.listing_id FROM shadows shadow JOIN listings listing ON listing.id = shadow.listing_id
    JOIN connections connection ON connection.id = shadow.connection_id
   WHERE shadow.connection_id = $1 AND shadow.read_due_at <= $3 AND ${isFollowed}
   ORDER BY shadow.read_due_at LIMIT $2 FOR UPDATE OF shadow SKIP LOCKED
), looked AS (
  UPDATE shadows shadow SET read_due_at = $3::timestamptz + $4 * interval '1 ms' FROM due WHERE shadow.listing_id = due.listing_id
)
SELECT listing.id AS "listingId", listing.unit_id AS "unitId", listing.variant_id AS "variantId"
  FROM due JOIN listings listing ON listing.id = due.listing_id`;

/** What is out of step after readings is pushed. */
function pushedNext(decisions: DecisionOptions, found: (listings: number) => void): AfterReadings {
  return async (client, kept, now) => {
    const wrong = await outOfStep(client, decisions, kept, now);
    found(wrong.length);
    await markOutOfStep(
      client,
      wrong.map(({ listingId }) => listingId),
    );
  };
}

/** One batch. Answers how many listings turned out to be out of step. */
export async function readConnection(options: ReadOptions, connectionId: string): Promise<number> {
  const channel = await options.connections.open(connectionId);
  if (channel === null) return 0;
  const reading = options.readings(channel);
  const { rows: due } = await options.db.query<{ listingId: string; unitId: string; variantId: string }>({
    name: 'reads-due',
    text: dueSql,
    values: [connectionId, options.batchMax, new Date(reading.context.now()), options.intervalMs],
  });
  let dirty = 0;
  const after = pushedNext(options.decisions(channel), (found) => {
    dirty = found;
  });
  const { error } = await look(reading, channel, due, after);
  if (due.length > 0) await options.connections.report(connectionId, error);
  return dirty;
}

const newSql = `
SELECT listing.id AS "listingId", listing.unit_id AS "unitId", listing.variant_id AS "variantId" FROM listings listing
 WHERE listing.connection_id = $1 AND listing.id > $2 AND listing.item_id IS NOT NULL AND listing.sync_enabled AND listing.writable
   AND NOT EXISTS (SELECT FROM shadows WHERE listing_id = listing.id AND item_id = listing.item_id)
 ORDER BY listing.id LIMIT $3`;

const firstId = '00000000-0000-0000-0000-000000000000';

/**
 * Reads every listing of which nothing is known yet, so that the first sale there finds a number to be taken off. Called when a channel is connected; a
 * listing that is left out is read before it is first written.
 */
export async function readNew(options: ReadOptions, connectionId: string): Promise<void> {
  const channel = await options.connections.open(connectionId);
  if (channel === null) return;
  const reading = options.readings(channel);
  for (let after = firstId; ; ) {
    const { rows } = await options.db.query<{ listingId: string; unitId: string; variantId: string }>(
      newSql,
      [connectionId, after, options.batchMax],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    const { error } = await look(reading, channel, rows);
    if (error !== null) return options.connections.report(connectionId, error);
    after = last.listingId;
  }
}

/** A channel's own word on what it shows, true at the time it names. Answers how many listings turned out to be out of step. */
export async function takeShown(
  options: Pick<ReadOptions, 'db' | 'readings' | 'decisions'>,
  channel: ConnectedChannel,
  { address, quantity, at }: ShownStock,
): Promise<number> {
  const reading = options.readings(channel);
  const { rows } = await options.db.query<{ id: string } & StoredBounds>({
    name: 'reads-told',
    text: `SELECT listing.id, ${boundColumns} FROM listings listing JOIN shadows ON shadows.listing_id = listing.id
             JOIN connections connection ON connection.id = listing.connection_id
            WHERE listing.connection_id = $1 AND listing.unit_id = $2 AND listing.variant_id = $3 AND ${isFollowed}`,
    values: [channel.connection.id, address.unitId, address.variantId],
  });
  const [stored] = rows;
  if (stored === undefined) return 0;
  const { clockSkewMaxMs: skew } = channelBounds(stored, channel.connector.capabilities);
  const window = { from: at.getTime() - skew, until: Math.min(at.getTime() + skew, reading.context.now()) };
  let dirty = 0;
  const result = { kind: 'quantity', quantity } as const;
  await takeReadings(
    reading,
    rows.map(({ id }) => ({ listingId: id, result, window })),
    pushedNext(options.decisions(channel), (found) => {
      dirty = found;
    }),
  );
  return dirty;
}
