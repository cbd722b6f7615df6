/** While an event that was lost could cost an oversell, the channel's orders are asked for sooner than as a rule. */
import type { Queryable } from '../db.ts';
import type { ConnectedChannel } from './connections.ts';
import { exposureOf, needsWatch } from './core/exposure.ts';
import { watchMs } from './core/limits.ts';
import { loadExposures } from './exposures.ts';
import { type PollOptions, pollPace } from './poll.ts';

/** A pause that is longer than an ordinary one was asked for by the channel. */
const watchSql = `
UPDATE connections
   SET watched_until = now() + $2 * interval '1 ms',
       next_poll_at = CASE WHEN next_poll_at <= last_polled_at + $4 * interval '1 ms'
         THEN least(next_poll_at, greatest(now(), last_polled_at + $3 * interval '1 ms')) ELSE next_poll_at END
 WHERE id = $1`;

const hourMs = 3_600_000;

/** Called with items of which a listing on this channel was settled: whatever moves an item's stock passes by here. */
export async function watchOrders(
  options: Pick<PollOptions, 'intervalMs'> & { readonly db: Queryable },
  { connection, connector }: ConnectedChannel,
  itemIds: readonly string[],
): Promise<void> {
  if (itemIds.length === 0) return;
  const { intervalMs, watchfulMs } = pollPace(options, connector.capabilities);
  const exposures = await loadExposures(options.db, connection.accountId, itemIds);
  const atRisk = exposures.values().some(({ available, listings }) => {
    const units = listings.map(({ shownMax, soldPerHour }) => ({
      shownMax,
      ratePerMs: soldPerHour / hourMs,
      reaction: intervalMs,
    }));
    return needsWatch(exposureOf(available, units));
  });
  if (atRisk) await options.db.query(watchSql, [connection.id, watchMs, watchfulMs, intervalMs]);
}
