/** Follows numbers that a channel took into a queue together with others: until that is worked off, they may come into force at any time. */

import type { Submission } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { writeAnswered, writeWorkedOff } from './core/answers.ts';
import { queuedMaxMs } from './core/limits.ts';
import type { Shadow } from './core/shadow.ts';
import { recordAnswers } from './pushSql.ts';
import type { ReadingOptions } from './readings.ts';
import { isQueued } from './shadowSql.ts';
import { withShadows } from './shadows.ts';
import { connectionErrors, worstError } from './writeErrors.ts';

export type QueueOptions = {
  readonly db: Queryable;
  readonly connections: Connections;
  /** Writes asked for at once. */
  readonly batchMax: number;
  /** Pause before a queue is asked for again, in milliseconds; one that has stood for long is asked for after an eighth of that time. */
  readonly intervalMs: number;
  /** Longest such pause. */
  readonly backoffMaxMs: number;
  readonly readings: (channel: ConnectedChannel) => ReadingOptions;
};

type Queued = {
  readonly key: string;
  readonly listingId: string;
  readonly unitId: string;
  readonly variantId: string;
  readonly reference: string | null;
  readonly sentAt: Date;
  readonly sentForMs: number;
};

/** Marks them as asked for, so that two workers do not ask twice. Those of one queue come together, as far as they fit. */
const dueSql = `
WITH due AS (
  SELECT id FROM listing_writes WHERE connection_id = $1 AND ${isQueued} AND queue_due_at <= now() ORDER BY queue_due_at, queue_reference LIMIT $2 FOR UPDATE SKIP LOCKED
), asked AS (
  UPDATE listing_writes write
     SET queue_due_at = now() + least($4, greatest($3, extract(epoch FROM now() - write.sent_at) * 1000 / 8)) * interval '1 ms'
    FROM due WHERE write.id = due.id
  RETURNING write.id, write.listing_id, write.queue_reference, write.sent_at
)
SELECT asked.id AS key, listing.id AS "listingId", listing.unit_id AS "unitId", listing.variant_id AS "variantId", asked.queue_reference AS reference,
       asked.sent_at AS "sentAt", (extract(epoch FROM now() - asked.sent_at) * 1000)::float8 AS "sentForMs"
  FROM asked JOIN listings listing ON listing.id = asked.listing_id`;

/** `checked_at` is when that became known. Of what nothing is known no reading will speak. What waits for the end is decided about anew. */
const endedSql = `
WITH ended AS (
  UPDATE listing_writes write
     SET queue_due_at = NULL, checked_at = now(),
         state = CASE WHEN write.listing_id = ANY($2) AND write.state <> 'rejected' THEN 'superseded' ELSE write.state END,
         settled_at = CASE WHEN write.listing_id = ANY($2) THEN now() ELSE write.settled_at END
   WHERE write.id = ANY($1) RETURNING write.listing_id
)
UPDATE dirty_listings dirty SET not_before = least(dirty.not_before, now()) FROM ended WHERE dirty.listing_id = ended.listing_id`;

/** Asks for one batch, and takes in what has come to an end. */
export async function followStockQueues(options: QueueOptions, connectionId: string): Promise<void> {
  const channel = await options.connections.open(connectionId);
  if (channel?.connector.submitted === undefined) return;
  const { batchMax, intervalMs, backoffMaxMs } = options;
  const { rows: queued } = await options.db.query<Queued>({
    name: 'queues-due',
    text: dueSql,
    values: [connectionId, batchMax, intervalMs, backoffMaxMs],
  });
  if (queued.length === 0) return;
  const said = await channel.connector.submitted(
    queued.map(({ unitId, variantId, reference, sentAt }) => ({
      address: { unitId, variantId },
      reference,
      sentAt,
    })),
  );
  const { readings, connections } = options;
  const reading = readings(channel);
  // What is answered without asking the channel says nothing of it.
  const error = worstError(connectionErrors(said));
  if (error !== null) await connections.report(connectionId, error);
  const ended = queued.flatMap((write, index): Ended[] => {
    const end = endOf(write, said[index], reading.context.now());
    return end === null ? [] : [{ ...write, ...end }];
  });
  if (ended.length > 0) await withRetry(() => takeEnds(reading, ended));
}

type End = Pick<Extract<Submission, { kind: 'ended' }>, 'at' | 'refused'>;
type Ended = Queued & End;

/** Null while it stands, for as long as any may. */
function endOf({ sentForMs }: Queued, said: Submission | undefined, now: number): End | null {
  if (said?.kind === 'ended') return said;
  return sentForMs < queuedMaxMs ? null : { at: new Date(now), refused: null };
}

async function takeEnds({ context, onConcerned }: ReadingOptions, ended: readonly Ended[]): Promise<void> {
  const byListing = Map.groupBy(ended, ({ listingId }) => listingId);
  const { wake } = await withShadows(context, [...byListing.keys()], async (client, kept, now) => {
    for (const listing of kept.listings) {
      for (const one of byListing.get(listing.listingId) ?? [])
        if (listing.shadow !== null) listing.shadow = withEnd(listing.shadow, one, now);
    }
    const refusals = ended.flatMap(({ key, listingId, refused }) =>
      refused === null
        ? []
        : [
            {
              id: key,
              listingId,
              state: 'rejected',
              error: `${refused.code}: ${refused.message}`,
              queue: null,
            },
          ],
    );
    await recordAnswers(client, refusals, 0);
    const known = new Set(
      kept.listings.flatMap(({ listingId, shadow }) => (shadow === null ? [] : listingId)),
    );
    await client.query({
      name: 'queues-ended',
      text: endedSql,
      values: [
        ended.map(({ key }) => key),
        [...byListing.keys()].filter((listingId) => !known.has(listingId)),
      ],
    });
  });
  onConcerned([...new Set([...wake, context.connectionId])]);
}

/** What is not refused was taken in, given up or left out: only a reading proves which. */
function withEnd(shadow: Shadow, { key, at, refused }: Ended, now: number): Shadow {
  return refused === null
    ? writeWorkedOff(shadow, key, at.getTime(), now)
    : writeAnswered(shadow, key, { kind: 'rejected' }, now);
}
