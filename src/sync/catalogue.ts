/** Brings a channel's own catalogue in: its listings, matched to items by SKU. It never invents stock and never forgets what people mapped. */
import type { Pool, PoolClient } from 'pg';
import type { CatalogueEntry } from '../connectors/connector.ts';
import { inTransaction } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import type { ConnectedChannel } from './connections.ts';
import { adjust } from './ledger.ts';
import type { Actor } from './outcome.ts';
import { isEcho } from './priceRows.ts';
import { checkShownPrices } from './prices.ts';

export type CatalogueImport = { readonly listings: number; readonly unmatched: number };

const importSql = `
WITH entry AS (
  SELECT * FROM jsonb_to_recordset($3::jsonb) AS entry (unit_id text, variant_id text, sku text, title text, url text, price_minor bigint,
    currency text, quantity int, writable boolean, sells_beyond boolean)
), imported AS (
  INSERT INTO listings AS current (account_id, connection_id, item_id, platform, unit_id, variant_id, sku, title, listing_url, quantity, quantity_at,
                                   price_minor, currency, writable, sells_beyond, sync_enabled)
  SELECT $1, $2, coalesce((SELECT id FROM inventory_items WHERE account_id = $1 AND sku = entry.sku),
                          (SELECT item_id FROM sku_aliases WHERE account_id = $1 AND sku = entry.sku)),
         $4::platform, unit_id, variant_id, sku, title, url, quantity, now(), price_minor, currency, writable, sells_beyond,
         -- Before its first plan a connection is only looked at.
         NOT (SELECT awaiting_plan FROM connections WHERE id = $2)
    FROM entry
  ON CONFLICT (connection_id, unit_id, variant_id) DO UPDATE
     SET sku = excluded.sku, title = excluded.title, listing_url = excluded.listing_url,
         -- Once we write here, the push alone says what is shown.
         quantity = CASE WHEN current.target IS NULL THEN excluded.quantity ELSE current.quantity END,
         quantity_at = CASE WHEN current.target IS NULL THEN now() ELSE current.quantity_at END,
         price_minor = CASE WHEN current.currency = excluded.currency AND ${isEcho('current.id', 'excluded.price_minor')}
                            THEN current.price_minor ELSE excluded.price_minor END,
         currency = excluded.currency, price_looked_at = now(), writable = excluded.writable, sells_beyond = excluded.sells_beyond, updated_at = now(),
         item_id = coalesce(current.item_id, excluded.item_id)
  RETURNING id, account_id, connection_id, item_id, sells_beyond
), unread AS (
  -- What a protected item's other listings may show depends on what this one shows, and on whether it refuses to sell more.
  INSERT INTO dirty_listings AS waiting (listing_id, account_id, connection_id, reread, guarded)
  SELECT imported.id, imported.account_id, imported.connection_id, true, false
    FROM imported JOIN inventory_items item ON item.id = imported.item_id AND item.protection <> 'shared'
   WHERE NOT EXISTS (SELECT FROM shadows WHERE listing_id = imported.id AND item_id = imported.item_id)
      -- Read from the statement's snapshot: as it was before.
      OR EXISTS (SELECT FROM listings before WHERE before.id = imported.id AND before.sells_beyond <> imported.sells_beyond)
   ORDER BY imported.id
  -- A push under way may have decided without knowing.
  ON CONFLICT (listing_id) DO UPDATE SET version = waiting.version + 1, reread = true, not_before = now()
)
SELECT count(*)::int AS listings, (count(*) FILTER (WHERE item_id IS NULL))::int AS unmatched,
       array_agg(DISTINCT item_id) FILTER (WHERE item_id IS NOT NULL) AS item_ids FROM imported`;

type ImportedRow = CatalogueImport & { readonly item_ids: readonly string[] | null };

/** Listings that are new are written to from now on, unless the connection waits for its first plan. `onPage` is called after each page. */
export async function importCatalogue(
  pool: Pool,
  { connection, connector }: ConnectedChannel,
  onPage: () => Promise<void> = async () => undefined,
): Promise<CatalogueImport> {
  let listings = 0;
  let unmatched = 0;
  for await (const page of connector.catalogue()) {
    // One statement cannot write a row twice: should a channel name a listing twice on one page, the later entry counts.
    const byAddress = new Map(
      page.map((entry) => [JSON.stringify([entry.address.unitId, entry.address.variantId]), entry]),
    );
    const rows = JSON.stringify([...byAddress.values()].map(toRow));
    const { accountId, id, platform } = connection;
    const result = await withRetry(() => pool.query<ImportedRow>(importSql, [accountId, id, rows, platform]));
    const [imported] = result.rows;
    listings += imported?.listings ?? 0;
    unmatched += imported?.unmatched ?? 0;
    await checkShownPrices(pool, accountId, imported?.item_ids ?? []);
    await onPage();
  }
  return { listings, unmatched };
}

function toRow(entry: CatalogueEntry): Record<string, unknown> {
  return {
    unit_id: entry.address.unitId,
    variant_id: entry.address.variantId,
    sku: entry.sku,
    title: entry.title,
    url: entry.url,
    price_minor: entry.price?.minor ?? null,
    currency: entry.price?.currency ?? null,
    quantity: entry.stock.kind === 'quantity' ? entry.stock.quantity : null,
    writable: entry.writable && entry.stock.kind !== 'notTracked',
    sells_beyond: entry.sellsBeyond,
  };
}

/**
 * Makes an item of every SKU of a connection that no item is known for, with what the channel shows as its opening stock. For the first channel
 * of a new account; afterwards an unknown SKU is a question for people. Answers how many items were made.
 */
export async function openItems(
  pool: Pool,
  accountId: string,
  connectionId: string,
  actor: Actor,
): Promise<number> {
  const { rows } = await pool.query<{ sku: string; title: string; quantity: number | null }>(
    `SELECT sku, min(title) AS title, min(quantity) AS quantity FROM listings
      WHERE account_id = $1 AND connection_id = $2 AND item_id IS NULL AND sku <> '' GROUP BY sku ORDER BY sku`,
    [accountId, connectionId],
  );
  for (const { sku, title, quantity } of rows) {
    await inTransaction(pool, (client) =>
      openItem(client, { accountId, connectionId, sku, title, quantity, actor }),
    );
  }
  return rows.length;
}

type Opening = {
  readonly accountId: string;
  readonly connectionId: string;
  readonly sku: string;
  readonly title: string;
  readonly quantity: number | null;
  readonly actor: Actor;
};

async function openItem(client: PoolClient, opening: Opening): Promise<void> {
  const { accountId, connectionId, sku, title, quantity, actor } = opening;
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO inventory_items (account_id, sku, title) VALUES ($1, $2, $3) ON CONFLICT (account_id, sku) DO NOTHING RETURNING id`,
    [accountId, sku, title],
  );
  const [item] = rows;
  if (item === undefined) return;
  await adjust(client, {
    accountId,
    itemId: item.id,
    onHandDelta: quantity ?? 0,
    idempotencyKey: `opening:${item.id}`,
    kind: 'opening',
    reason: 'opening',
    reference: null,
    actor,
  });
  await client.query(
    'UPDATE listings SET item_id = $3, updated_at = now() WHERE connection_id = $1 AND sku = $2 AND item_id IS NULL',
    [connectionId, sku, item.id],
  );
}
