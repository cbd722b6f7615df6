/** What tests do to a running product's marketplaces, and what they look at: buying, polling, stock, and whether all channels are in step. */
import type { App } from '../../src/app.ts';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import type { Queryable } from '../../src/db.ts';
import type { Order } from '../../src/sandbox/goods.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import type { Stock } from './product.ts';
import { waitFor } from './waiting.ts';

export function buy(sandbox: Sandbox, platform: Platform, sku: string, quantity: number): Order {
  const shop = sandbox.shops[platform];
  const variant = shop.variantBySku(sku);
  if (variant === undefined) throw new Error(`${platform} does not sell ${sku}`);
  const result = shop.orders.place({ lines: [{ variantId: variant.id, quantity }] });
  if (result.kind === 'refused')
    throw new Error(`${platform} shows ${result.displayed} of ${sku}, not ${quantity}`);
  return result.order;
}

export async function stockOf(db: Queryable, accountId: string, sku: string): Promise<Stock> {
  const { rows } = await db.query<Stock>(
    'SELECT quantity, reserved, available, seq::int FROM inventory_items WHERE account_id = $1 AND sku = $2',
    [accountId, sku],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no item ${sku}`);
  return row;
}

export async function pollNow(app: App, connectionId: string): Promise<void> {
  // A poll of its own that is under way may have asked before what the caller waits for.
  await waitFor(
    async () => {
      const { rowCount } = await app.database.pool.query(
        'UPDATE connections SET next_poll_at = now() WHERE id = $1 AND poll_lease_until IS NULL',
        [connectionId],
      );
      return rowCount === 1;
    },
    { timeoutMs: 10_000, what: 'the poll under way to end' },
  );
  await app.engine.tasks.poll(connectionId);
  // The supervisor may have been quicker.
  await waitFor(
    async () => {
      const { rows } = await app.database.pool.query(
        'SELECT 1 FROM connections WHERE id = $1 AND next_poll_at > now() AND poll_lease_until IS NULL',
        [connectionId],
      );
      return rows.length === 1;
    },
    { timeoutMs: 10_000, what: 'a poll to end' },
  );
}

/**
 * What is not as it should be: a channel that shows another number than the ledger's, a listing still dirty, a newest write that is not proved.
 * An older write may stay open for as long as it could still land.
 */
export async function outOfStep(
  db: Queryable,
  sandbox: Sandbox,
  accountId: string,
): Promise<readonly string[]> {
  const { rows } = await db.query<{
    platform: Platform;
    sku: string;
    available: number;
    dirty: boolean;
    open: boolean | null;
  }>(
    `SELECT listing.platform, listing.sku, item.available,
            EXISTS (SELECT FROM dirty_listings WHERE listing_id = listing.id) AS dirty,
            (SELECT state FROM listing_writes WHERE listing_id = listing.id ORDER BY sent_at DESC, id DESC LIMIT 1)
              IN ('sent', 'accepted', 'unknown') AS open
       FROM listings listing JOIN inventory_items item ON item.id = listing.item_id
      WHERE listing.account_id = $1 AND listing.writable`,
    [accountId],
  );
  const displayed = Object.fromEntries(platforms.map((platform) => [platform, sandbox.displayed(platform)]));
  return rows.flatMap(({ platform, sku, available, dirty, open }) => {
    const shown = displayed[platform]?.[sku];
    const wanted = Math.min(Math.max(available, 0), platform === 'etsy' ? 999 : 1_000_000);
    if (shown === wanted && !dirty && !open) return [];
    return [
      `${platform} ${sku} shows ${shown}, wanted ${wanted}${dirty ? ', dirty' : ''}${open ? ', the newest write is not proved' : ''}`,
    ];
  });
}

export async function inStep(
  db: Queryable,
  sandbox: Sandbox,
  accountId: string,
  timeoutMs: number,
): Promise<void> {
  await waitFor(
    async () => {
      const wrong = await outOfStep(db, sandbox, accountId);
      if (wrong.length > 0) throw new Error(wrong.slice(0, 8).join('; '));
      return true;
    },
    { timeoutMs, intervalMs: 30, what: 'every channel to be in step' },
  );
}

/** Everything that was written to one listing and everything that changed its number on the channel, in order of time: for the message of a failure. */
export async function historyOf(
  db: Queryable,
  sandbox: Sandbox,
  platform: Platform,
  sku: string,
): Promise<string> {
  const { rows } = await db.query<{ at: Date; what: string }>(
    `SELECT at, what FROM (
       SELECT write.sent_at AS at, 'sent ' || write.quantity || ' over ' || coalesce(write.expected::text, '?') || ' for seq ' || write.target_seq AS what
         FROM listing_writes write JOIN listings listing ON listing.id = write.listing_id WHERE listing.platform = $1::platform AND listing.sku = $2
       UNION ALL
       SELECT coalesce(write.answered_at, write.sent_at), 'answer for ' || write.quantity || ' (seq ' || write.target_seq || '): ' || write.state || coalesce(' ' || write.error, '')
         FROM listing_writes write JOIN listings listing ON listing.id = write.listing_id WHERE listing.platform = $1::platform AND listing.sku = $2
       UNION ALL
       SELECT listing.quantity_at, 'believed ' || coalesce(listing.quantity::text, 'unknown') || ', target ' || coalesce(listing.target::text, 'none')
         FROM listings listing WHERE listing.platform = $1::platform AND listing.sku = $2
       UNION ALL
       SELECT movement.created_at, 'ledger seq ' || movement.seq || ': available ' || (movement.on_hand_after - movement.reserved_after)
         FROM stock_movements movement JOIN listings listing ON listing.item_id = movement.item_id WHERE listing.platform = $1::platform AND listing.sku = $2
     ) history ORDER BY at`,
    [platform, sku],
  );
  const shown = sandbox.shops[platform].journal
    .values()
    .filter((change) => change.sku === sku)
    .map(({ at, cause, from, to }) => ({ at: new Date(at), what: `channel: ${cause} ${from} -> ${to}` }));
  const all = [...rows, ...shown].toSorted((one, other) => one.at.getTime() - other.at.getTime());
  return all.map(({ at, what }) => `${at.toISOString().slice(11, 23)} ${what}`).join('\n');
}
