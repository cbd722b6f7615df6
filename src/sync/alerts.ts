/** Alerts: raised, brought up to date and closed by what is true now, by any number of workers, each change told once; people say that they have seen one. */
import type { Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import { type Caller, done, type Outcome, refused } from './outcome.ts';
import { couldBeProtected, wayOutForGood } from './protectionSuggestions.ts';

/** Acknowledging twice, or after the cause is gone, changes nothing and is no error. */
export async function acknowledgeAlert(
  db: Queryable,
  caller: Caller,
  alertId: string,
): Promise<Outcome<{ alertId: string }>> {
  const { rows } = await db.query<{ id: string }>(
    `WITH acknowledged AS (
       UPDATE alerts SET status = 'acknowledged', acknowledged_by = $3, acknowledged_at = now(), updated_at = now()
        WHERE id = $2 AND account_id = $1 AND status = 'open'
       RETURNING alerts AS told
     )
     SELECT id, (SELECT tell_alert(told) FROM acknowledged) FROM alerts WHERE id = $2 AND account_id = $1`,
    [caller.accountId, alertId, actorName(caller)],
  );
  if (rows.length === 0)
    return refused({ code: 'NOT_FOUND', message: 'There is no such alert.', field: ['input', 'alertId'] });
  return done({ alertId });
}

function actorName({ actor }: Caller): string {
  return actor.id === null ? actor.kind : `${actor.kind}:${actor.id}`;
}

export type AlertKind =
  | 'oversell'
  | 'oversell_risk'
  | 'low_stock'
  | 'still_on_sale'
  | 'broken_connection'
  | 'blast_stopped';

/** Low stock ends at so many units above the mark, so that a single sale and its cancellation do not raise and close it again and again. */
const isLow = `item.available <= account.low_stock_units`;
const lowMargin = 'greatest(1, account.low_stock_units / 5)';

/** Of what is sold out automatic protection says escrow whatever its pace, so no numbers have to be looked at to suggest it. */
const escrowSuggested = `(SELECT ${couldBeProtected('kept')} FROM inventory_items kept WHERE kept.id = item.id)`;

/**
 * What is true now of each item and kind: units and message, or null where there is nothing to tell. A listing that the channel owns (FBA) sells from
 * stock of its own, and what a connection that is gone shows nobody knows.
 */
const itemVerdictSql = `
WITH item AS (
  SELECT item.id, item.account_id, item.sku, sellable.available,
         EXISTS (SELECT FROM listings WHERE item_id = item.id) AS offered
    FROM inventory_items item CROSS JOIN LATERAL item_sellable(item.id) sellable WHERE item.id = ANY($1)
),
on_sale AS (
  SELECT item.id, sum(shadow.shown_max)::int AS units,
         string_agg(format('%s (%s, up to %s%s)', platform_name(connection.platform), connection.name, shadow.shown_max,
                           CASE WHEN NOT (listing.sync_enabled AND connection.sync_enabled AND connection.status = 'active') THEN ', sync is off' ELSE '' END),
                    ', ' ORDER BY connection.platform, connection.name, shadow.listing_id) AS places,
         CASE WHEN ${escrowSuggested} THEN '${wayOutForGood}' ELSE '' END AS way_out
    FROM item JOIN shadows shadow ON shadow.item_id = item.id AND shadow.shown_max > 0
    JOIN listings listing ON listing.id = shadow.listing_id AND listing.writable
    JOIN connections connection ON connection.id = listing.connection_id AND connection.status <> 'disconnected'
   WHERE item.available <= 0 GROUP BY item.id
),
verdict AS (
  SELECT item.account_id, item.id AS item_id, 'oversell_risk'::alert_kind AS kind, on_sale.units,
         format('%s is sold out, and buyers may still see it: %s. A zero is on its way; until it is confirmed more can be sold than there is.%s',
                item.sku, on_sale.places, on_sale.way_out) AS message
    FROM item LEFT JOIN on_sale USING (id)
  UNION ALL
  SELECT item.account_id, item.id, 'still_on_sale', on_sale.units,
         format('%s is sold out since %s UTC and still on sale: %s. Set it to 0 there by hand, or see what the connection reports.',
                item.sku, to_char(risk.created_at, 'YYYY-MM-DD HH24:MI'), on_sale.places)
    FROM item JOIN accounts account ON account.id = item.account_id
    LEFT JOIN alerts risk ON risk.item_id = item.id AND risk.kind = 'oversell_risk' AND risk.status <> 'resolved'
    LEFT JOIN on_sale ON on_sale.id = item.id AND risk.created_at <= now() - account.still_on_sale_after_s * interval '1 s'
  UNION ALL
  SELECT item.account_id, item.id, 'low_stock',
         CASE WHEN item.offered AND (${isLow} OR (item.available <= account.low_stock_units + ${lowMargin} AND current.id IS NOT NULL))
              THEN greatest(0, item.available) END,
         format('%s: %s left to sell; %s or fewer is low. Restock it, or change what counts as low.',
                item.sku, greatest(0, item.available), account.low_stock_units)
    FROM item JOIN accounts account ON account.id = item.account_id
    LEFT JOIN alerts current ON current.item_id = item.id AND current.kind = 'low_stock' AND current.status <> 'resolved'
)`;

/** The changes that follow, in the order of ids, so that two workers meet in the same order. */
const settleItemsSql = `${itemVerdictSql}
SELECT count(*) FILTER (WHERE changed)::int AS changes FROM (
  SELECT CASE WHEN due.units IS NULL THEN resolve_alert(due.kind, due.item_id, NULL)
              ELSE raise_alert(due.account_id, due.kind, due.item_id, NULL, due.units, due.message) END AS changed
    FROM (
      SELECT verdict.* FROM verdict LEFT JOIN alerts current
          ON current.item_id = verdict.item_id AND current.kind = verdict.kind AND current.status <> 'resolved'
       WHERE CASE WHEN verdict.units IS NULL THEN current.id IS NOT NULL
                  ELSE (current.units, current.message) IS DISTINCT FROM (verdict.units, verdict.message) END
       ORDER BY verdict.item_id, verdict.kind
    ) due
) settled`;

/**
 * Brings the alerts of these items in line with their stock and with what their listings may show: `oversell_risk`, `still_on_sale` and
 * `low_stock`. Answers how many changed.
 */
export async function settleItemAlerts(db: Queryable, itemIds: readonly string[]): Promise<number> {
  if (itemIds.length === 0) return 0;
  const { rows } = await withRetry(() =>
    db.query<{ changes: number }>({ name: 'alerts-settle', text: settleItemsSql, values: [itemIds] }),
  );
  return rows[0]?.changes ?? 0;
}

const shownSomewhere =
  'item.available <= 0 AND EXISTS (SELECT FROM shadows WHERE item_id = item.id AND shown_max > 0)';
const lowWithoutAlert = `EXISTS (SELECT FROM listings WHERE item_id = item.id)
   AND NOT EXISTS (SELECT FROM alerts WHERE item_id = item.id AND kind = 'low_stock' AND status <> 'resolved')`;

/** What was told to be on sale although it is sold out. */
const toldSql = `
SELECT DISTINCT item_id AS id FROM alerts
 WHERE kind IN ('oversell_risk', 'still_on_sale') AND status <> 'resolved' AND item_id > $1 ORDER BY id LIMIT $2`;

/** Stock of its own; null for a bundle, whose number is always 0 and says nothing. In the very words of an index, like `bundlesLeft`. */
const ownStock = `(CASE WHEN item.role <> 'bundle' THEN item.available END)`;
/** How many of the bundle that takes most of a component could be made of it; null for what is in no bundle. */
const bundlesLeft = '(component.available / nullif(component.part_max, 0))';

/** Bundles of which something is held back or in doubt (`item_sellable`): of a component, of themselves or of others with the same components. */
const withheldBundlesSql = (withheld: string, scope: string): string => `
  SELECT part.bundle_id FROM (${withheld}) withheld JOIN bundle_components part ON part.component_id = withheld.item_id WHERE ${scope}
  UNION
  SELECT part.bundle_id FROM (${withheld}) withheld JOIN bundle_components own ON own.bundle_id = withheld.item_id
    JOIN bundle_components part ON part.component_id = own.component_id WHERE ${scope}`;

/** Bundles of which at most so many may be left, 0 or more: a component allows no more, or something is withheld. */
const scarceBundlesSql = (left: string, scope = 'true'): string => `
  SELECT part.bundle_id AS id FROM bundle_components part
    JOIN inventory_items component ON component.id = part.component_id AND component.account_id = part.account_id
   WHERE ${bundlesLeft} <= ${left} AND component.available / part.quantity <= ${left} AND ${scope}
  UNION
  ${withheldBundlesSql('SELECT item_id FROM shadows WHERE hold > 0', scope)}
  UNION
  ${withheldBundlesSql(`SELECT item_id FROM sync_conflicts WHERE status = 'open' AND delta < 0 AND conflict_type <> 'price_mismatch'`, scope)}`;

/** Everything with stock of its own that is sold out and may still be shown somewhere. */
const onSaleSql = `
SELECT id FROM inventory_items item
 WHERE ${ownStock} <= 0 AND EXISTS (SELECT FROM shadows WHERE item_id = item.id AND shown_max > 0) AND id > $1 ORDER BY id LIMIT $2`;

/** Every bundle that may be sold out and may still be shown somewhere. */
const bundlesOnSaleSql = `
SELECT id FROM (${scarceBundlesSql('0')}) item
 WHERE EXISTS (SELECT FROM shadows WHERE item_id = item.id AND shown_max > 0) AND id > $1 ORDER BY id LIMIT $2`;

/** The accounts to look at: something of theirs, or what they call low, changed since `$1`. */
const accountsSql = `
SELECT id, low_stock_units AS low, updated_at >= $1::timestamptz AS changed FROM accounts account
 WHERE updated_at >= $1::timestamptz OR EXISTS (SELECT FROM inventory_items WHERE account_id = account.id AND updated_at >= $1::timestamptz)`;

/** Of an account's items that changed since `$3`: those that may still be shown although sold out, and those whose low-stock alert is not right. */
const changedSql = `
SELECT item.id FROM inventory_items item JOIN accounts account ON account.id = item.account_id
  LEFT JOIN alerts alert ON alert.item_id = item.id AND alert.kind = 'low_stock' AND alert.status <> 'resolved'
 WHERE item.account_id = $1 AND item.updated_at >= $3::timestamptz AND item.id > $4
   AND ((${shownSomewhere}) OR CASE WHEN alert.id IS NULL THEN item.available <= $2::int AND ${lowWithoutAlert}
        ELSE item.available > $2::int + ${lowMargin} OR alert.units <> greatest(0, item.available) END)
 ORDER BY item.id LIMIT $5`;

/** All items of an account that was changed itself, after `$3`: what may be low now, and every low-stock alert that names what was low before. */
const allLowSql = `
SELECT id FROM (
  SELECT item.id FROM inventory_items item
   WHERE item.account_id = $1 AND ((${ownStock} <= 0 AND $2::int IS NOT NULL) OR item.available BETWEEN 1 AND $2::int) AND ${lowWithoutAlert}
  UNION
  SELECT item.id FROM (${scarceBundlesSql('$2::int', 'part.account_id = $1')}) item WHERE ${lowWithoutAlert}
  UNION
  SELECT alert.item_id FROM alerts alert JOIN accounts account ON account.id = alert.account_id AND alert.updated_at < account.updated_at
   WHERE alert.account_id = $1 AND alert.kind = 'low_stock' AND alert.status <> 'resolved' AND account.updated_at >= $3::timestamptz
) item WHERE id > $4 ORDER BY id LIMIT $5`;

/** A connection is broken when it waits for the seller, or when nothing but errors came for so long. */
const brokenAfter = `interval '10 minutes'`;
const connectionsSql = `
WITH verdict AS (
  SELECT account_id, id AS connection_id,
         CASE WHEN status = 'needs_authorization' THEN format(
                '%s (%s) refuses our access. Authorise it again; until then its orders are not seen and its numbers not written.', platform_name(platform), name)
              WHEN status = 'active' AND failing_since <= now() - ${brokenAfter} THEN format(
                '%s (%s) has answered with errors since %s UTC (%s). It is tried on, and its orders are fetched once it answers; see the last error of the connection.',
                platform_name(platform), name, to_char(failing_since, 'YYYY-MM-DD HH24:MI'), split_part(last_error, ':', 1))
         END AS message
    FROM connections
)
SELECT count(*) FILTER (WHERE changed)::int AS changes FROM (
  SELECT CASE WHEN due.message IS NULL THEN resolve_alert('broken_connection', NULL, due.connection_id)
              ELSE raise_alert(due.account_id, 'broken_connection', NULL, due.connection_id, 0, due.message) END AS changed
    FROM (
      SELECT verdict.* FROM verdict LEFT JOIN alerts current
          ON current.connection_id = verdict.connection_id AND current.kind = 'broken_connection' AND current.status <> 'resolved'
       WHERE current.message IS DISTINCT FROM verdict.message ORDER BY verdict.connection_id
    ) due
) settled`;

const batchMax = 1_000;
const firstId = '00000000-0000-0000-0000-000000000000';
/** Longer than a transaction lasts: what was changed in one is dated when it began, and is seen when it ends. */
const overlap = `interval '2 minutes'`;

async function settleAll(
  db: Queryable,
  statement: (after: string) => { readonly text: string; readonly values: readonly unknown[] },
): Promise<number> {
  let changes = 0;
  let after = firstId;
  for (;;) {
    const { text, values } = statement(after);
    const { rows } = await db.query<{ id: string }>(text, [...values]);
    changes += await settleItemAlerts(
      db,
      rows.map(({ id }) => id),
    );
    const last = rows.at(-1);
    if (last === undefined || rows.length < batchMax) return changes;
    after = last.id;
  }
}

/** Who looks at everything that is sold out, changed or not: one of all workers, once in so many milliseconds. */
const everythingSql = `
UPDATE alert_sweeps SET everything_at = now() WHERE everything_at <= now() - $1 * interval '1 ms' RETURNING 1`;
const everythingMs = 60_000;

/**
 * One look at what alerts are about. Cheap in a shop of any size: items that changed since the last look, alerts that are not resolved, the
 * connections, and once a minute all that is sold out, for what only a reading has changed. Safe to run any number of times at once. Answers how many
 * alerts changed.
 */
export async function sweepAlerts(db: Queryable, options = { everythingMs }): Promise<number> {
  const { rows } = await db.query<{ since: Date; started: Date }>(
    `SELECT items_until - ${overlap} AS since, now() AS started FROM alert_sweeps`,
  );
  const [looked] = rows;
  if (looked === undefined) throw new Error('the row that remembers the last sweep is missing');
  const { rowCount: everything } = await db.query(everythingSql, [options.everythingMs]);
  let changes = 0;
  for (const text of everything === 1 ? [toldSql, onSaleSql, bundlesOnSaleSql] : [toldSql])
    changes += await settleAll(db, (after) => ({ text, values: [after, batchMax] }));
  changes += await sweepAccounts(db, looked.since);
  const broken = await withRetry(() => db.query<{ changes: number }>(connectionsSql));
  await db.query('UPDATE alert_sweeps SET items_until = greatest(items_until, $1)', [looked.started]);
  return changes + (broken.rows[0]?.changes ?? 0);
}

async function sweepAccounts(db: Queryable, since: Date): Promise<number> {
  const { rows } = await db.query<{ id: string; low: number | null; changed: boolean }>(accountsSql, [since]);
  let changes = 0;
  for (const { id, low, changed } of rows) {
    for (const text of changed ? [changedSql, allLowSql] : [changedSql])
      changes += await settleAll(db, (after) => ({ text, values: [id, low, since, after, batchMax] }));
  }
  return changes;
}
