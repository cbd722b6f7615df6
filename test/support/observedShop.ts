/** A shop beside another tool: a connection that is only looked at, one that is in step, and what tests of looking do to them and look at. */
import type pg from 'pg';
import type { LookOptions } from '../../src/sync/looks.ts';
import type { ConnectionObservation } from '../../src/sync/observations.ts';
import { loadObservations, loadObserved, observeConnection } from '../../src/sync/observations.ts';
import * as support from './channel.ts';
import * as fixtures from './fixtures.ts';

export const intervalMs = 900_000;
export const paceMs = 60_000;

export type ObservedShop = Awaited<ReturnType<typeof openObservedShop>>;
export type Observed = support.Listed;

/** What of a shop a look could have touched, and must not. */
const untouchedSql = `
SELECT (SELECT coalesce(json_agg(movement ORDER BY movement.id), '[]') FROM stock_movements movement WHERE account_id = $1) AS movements,
       (SELECT coalesce(json_agg(item ORDER BY item.id), '[]') FROM inventory_items item WHERE account_id = $1) AS items,
       (SELECT coalesce(json_agg(shadow ORDER BY shadow.listing_id), '[]') FROM shadows shadow WHERE account_id = $1) AS shadows,
       (SELECT coalesce(json_agg(dirty ORDER BY dirty.listing_id), '[]') FROM dirty_listings dirty WHERE account_id = $1) AS dirty,
       (SELECT count(*)::int FROM sync_conflicts WHERE account_id = $1) AS conflicts,
       (SELECT count(*)::int FROM alerts WHERE account_id = $1) AS alerts,
       (SELECT count(*)::int FROM listing_writes WHERE account_id = $1) AS writes,
       (SELECT count(*)::int FROM events WHERE account_id = $1) AS events,
       (SELECT count(*)::int FROM channel_sales WHERE account_id = $1) AS sales`;

export async function openObservedShop(pool: pg.Pool) {
  const accountId = await fixtures.insertAccount(pool);
  const connection = await fixtures.insertConnection(pool, accountId, 'shopify');
  await pool.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [connection.id]);
  const channel = support.createChannel('shopify');
  const other = {
    connection: await fixtures.insertConnection(pool, accountId, 'etsy'),
    channel: support.createChannel('etsy'),
  };
  const connections = support.connectTo(pool, { shopify: channel, etsy: other.channel });

  return {
    accountId,
    connection,
    channel,
    other,
    /** An item of so many that the observed channel shows as so many; nothing is known of it here yet. */
    async offered(onHand: number, shows: number, more: object = { syncEnabled: false }): Promise<Observed> {
      const item = await fixtures.insertItem(pool, accountId, { onHand });
      const address = { unitId: fixtures.unique('unit'), variantId: '' };
      const listingId = await fixtures.insertListing(pool, connection, {
        itemId: item.id,
        ...address,
        ...more,
      });
      support.show(channel, address, shows);
      return { item, listingId, ...address };
    },
    look: (more: Partial<LookOptions> = {}): Promise<void> =>
      observeConnection(
        { db: pool, clock: support.clock, connections, batchMax: 10, intervalMs, paceMs, ...more },
        connection.id,
      ),
    /** As if so much time had passed since everything was looked at. */
    pass: (ms: number): Promise<void> => support.letTimePass(pool, connection.id, ms),
    /** The units of each call, in the order in which they were asked for. */
    asked: (): string[][] => channel.readCalls.map((call) => call.map(({ unitId }) => unitId)),
    async listed({ listingId }: Observed) {
      const { rows } = await pool.query<{
        quantity: number | null;
        error: string | null;
        at: Date | null;
        updated: Date;
      }>(
        'SELECT quantity, last_error AS error, quantity_at AS at, updated_at AS updated FROM listings WHERE id = $1',
        [listingId],
      );
      const [row] = rows;
      if (row === undefined) throw new Error('there is no such listing');
      return row;
    },
    async compared({ listingId }: Observed) {
      const options = { db: pool, channelMaxOf: async () => channel.capabilities.quantityMax };
      return (await loadObserved(options, accountId, [listingId])).get(listingId) ?? null;
    },
    async report(): Promise<ConnectionObservation | undefined> {
      return (await loadObservations(pool, accountId, [connection.id])).get(connection.id);
    },
    async error(): Promise<string | null | undefined> {
      const { rows } = await pool.query<{ error: string | null }>(
        'SELECT last_error AS error FROM connections WHERE id = $1',
        [connection.id],
      );
      return rows[0]?.error;
    },
    async untouched(): Promise<unknown> {
      const { rows } = await pool.query(untouchedSql, [accountId]);
      return rows[0];
    },
  };
}
