/** A connection whose listings have prices, and what tests of their writing do to it and look at. */
import type pg from 'pg';
import type { Money } from '../../src/connectors/connector.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import { setItemPrice } from '../../src/sync/prices.ts';
import { type PushOptions, pushConnection } from '../../src/sync/push.ts';
import * as support from './channel.ts';
import * as fixtures from './fixtures.ts';
import { conflictsOf } from './provenEdits.ts';

export type PricedShop = Awaited<ReturnType<typeof openPricedShop>>;

export async function openPricedShop(pool: pg.Pool) {
  const accountId = await fixtures.insertAccount(pool);
  const caller: Caller = { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' };
  const connection = await fixtures.insertConnection(pool, accountId);
  const channel = support.createChannel();

  const push = (more: Partial<PushOptions> = {}): Promise<void> => {
    const connections = support.connectTo(pool, { shopify: channel });
    return pushConnection(support.pushOptions(pool, connections, more), connection.id);
  };

  return {
    caller,
    connection,
    channel,
    push,
    /** A listing of an item of five that shows 10.00 and, unless said otherwise, is in step. */
    async listed(price: Money = fixtures.euros(1_000), shows = 5): Promise<support.Listed> {
      const one = await support.insertListed(pool, { connection, channel }, 5, shows);
      if (shows === 5) await pool.query('DELETE FROM dirty_listings WHERE listing_id = $1', [one.listingId]);
      await pool.query('UPDATE listings SET price_minor = $2, currency = $3 WHERE id = $1', [
        one.listingId,
        price.minor,
        price.currency,
      ]);
      support.priced(channel, one, price);
      return one;
    },
    mean: ({ item }: support.Listed, price: Money | null) =>
      setItemPrice({ pool, onEvents: () => undefined, onMarked: () => undefined }, caller, {
        itemId: item.id,
        price,
      }),
    /** After so long. */
    async later(ms: number): Promise<void> {
      await support.letTimePass(pool, connection.id, ms);
      await push();
    },
    /** Every price that was sent, in minor units, in the order of sending. */
    sent: (): number[] => channel.priceCalls.flatMap(({ writes }) => writes.map(({ price }) => price.minor)),
    async stateOf({ listingId }: support.Listed) {
      const { rows } = await pool.query<{ state: string | null; shown: number; error: string | null }>(
        `SELECT price.state, listing.price_minor::int AS shown, price.error, listing.price_looked_at > now() - interval '1 minute' AS fresh FROM listings listing
           LEFT JOIN dirty_prices price ON price.listing_id = listing.id WHERE listing.id = $1`,
        [listingId],
      );
      return rows[0];
    },
    async operationsOf({ item }: support.Listed) {
      const { rows } = await pool.query<{ action: string; status: string; error: string | null }>(
        'SELECT action, status, error, actor_id AS actor FROM sync_operations WHERE item_id = $1 ORDER BY id',
        [item.id],
      );
      return rows;
    },
    openConflicts: async ({ item }: support.Listed) =>
      (await conflictsOf(pool, item.id)).filter(({ status }) => status === 'open'),
  };
}
