/** Zeroes that a channel shows of more listings than can have sold out unheard of: a fault of the channel, or a shop that was taken down. Not believed until somebody has looked. */
import type pg from 'pg';
import { countListings, stopSql } from './blast.ts';
import { listingsToBelieve, mayBeSoldOut } from './core/sending.ts';

/** Listings found empty count together while they are not further apart than this. */
const windowMinutes = 60;

type Doubts = {
  /** Found empty, believed or not. */
  emptied: string[];
  approved: boolean;
  doubted: boolean;
  zero_share_max: number;
};

const columns = `emptied, coalesce(approved_until > now(), false) AS approved, doubted_at IS NOT NULL AS doubted,
  (SELECT zero_share_max FROM connections WHERE id = current.connection_id)`;

const findSql = `
INSERT INTO blast_counts AS current (connection_id, account_id, emptied) SELECT id, account_id, $2 FROM connections WHERE id = $1
ON CONFLICT (connection_id) DO UPDATE
   SET emptied = ARRAY(SELECT unnest(excluded.emptied)
                        UNION SELECT unnest(current.emptied) WHERE current.doubted_at IS NOT NULL OR current.emptied_since > now() - interval '${windowMinutes} minutes'),
       emptied_since = CASE WHEN current.doubted_at IS NOT NULL OR current.emptied_since > now() - interval '${windowMinutes} minutes'
                            THEN current.emptied_since ELSE now() END
RETURNING ${columns}`;

/**
 * Of a connection, listings that a reading found at 0 although units are left and no known sale says why. True when that is believed: few at once, or
 * somebody has approved. In the transaction of the readings; raises the alert, which `blastApprove` answers.
 */
export async function believesZeroes(
  client: pg.PoolClient,
  connectionId: string,
  listingIds: readonly string[],
): Promise<boolean> {
  if (listingIds.length === 0) return true;
  const values = [connectionId, listingIds];
  const { rows } = await client.query<Doubts>({ name: 'doubts-find', text: findSql, values });
  const [row] = rows;
  if (row === undefined || row.approved || (await areFew(client, connectionId, row))) return true;
  const units = row.emptied.length;
  const message =
    `${units} listings show 0 although units are left and no order says why. That is more than sell out at once: a fault of the channel, or a shop that was taken down. ` +
    'These zeroes are not believed until they are gone or somebody has looked at them (blastApprove); orders still count.';
  await client.query({
    name: 'doubts-raise',
    text: stopSql('doubted_at'),
    values: [connectionId, units, message],
  });
  return false;
}

const showSql = `
UPDATE blast_counts current SET emptied = ARRAY(SELECT unnest(emptied) EXCEPT SELECT unnest($2::uuid[]))
 WHERE connection_id = $1 AND emptied && $2::uuid[]
RETURNING ${columns}`;

const trustSql = `
WITH trusted AS (
  UPDATE blast_counts SET doubted_at = NULL WHERE connection_id = $1 RETURNING connection_id, stopped_at
)
SELECT resolve_alert('blast_stopped', NULL, connection_id) FROM trusted WHERE stopped_at IS NULL`;

/** Listings that show units: what was doubted of them is over, and with few left so is the doubt. */
export async function showUnits(
  client: pg.PoolClient,
  connectionId: string,
  listingIds: readonly string[],
): Promise<void> {
  if (listingIds.length === 0) return;
  const values = [connectionId, listingIds];
  const { rows } = await client.query<Doubts>({ name: 'doubts-show', text: showSql, values });
  const [row] = rows;
  if (row?.doubted === true && (await areFew(client, connectionId, row)))
    await client.query({ name: 'doubts-trust', text: trustSql, values: [connectionId] });
}

async function areFew(
  client: pg.PoolClient,
  connectionId: string,
  { emptied, zero_share_max: shareMax }: Doubts,
): Promise<boolean> {
  const listings = await countListings(client, connectionId, listingsToBelieve(emptied.length, shareMax));
  return mayBeSoldOut(emptied.length, listings, shareMax);
}
