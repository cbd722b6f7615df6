/** Applies a plan: each listing is read once more, moves the ledger where the channel wins, and is then handed to the push; each exactly once. */
import type pg from 'pg';
import { adjust } from './ledger.ts';
import { readChannelTime, salesSince } from './planEvidence.ts';
import { endPlan, keepPlan, type Pause, type PlanWork, underLease } from './planSql.ts';
import { decideItem, type EntryDecision, type OpenEntry } from './planVerdict.ts';
import { loadTargets } from './targets.ts';

/** Items whose orders are not known well enough yet are looked at again after so long; more seldom where orders are shown late. */
const fenceMs = 1_000;

/** Goes on where it stopped. Answers null when every entry is decided. */
export async function applyForPlan(work: PlanWork): Promise<Pause> {
  const { options, plan } = work;
  while ((await skipBatch(work)) > 0) if (options.signal?.aborted === true) return 0;
  let after = '00000000-0000-0000-0000-000000000000';
  let waiting = 0;
  for (;;) {
    if (options.signal?.aborted === true) return 0;
    const itemIds = await nextItems(work, after);
    const last = itemIds.at(-1);
    if (last === undefined) break;
    after = last;
    await checkUnread(work, itemIds);
    waiting += await decideBatch(work, itemIds);
  }
  if (waiting > 0) {
    await pollSoon(work);
    const { bounds } = await readChannelTime(options.pool, work);
    return Math.max(fenceMs, bounds.indexLagMs / 8);
  }
  await underLease(work, async (client) => {
    await client.query('UPDATE connections SET awaiting_plan = false, updated_at = now() WHERE id = $1', [
      plan.connectionId,
    ]);
    await endPlan(client, work, 'applied');
  });
  return null;
}

/** The channel's orders are what tells a sale from an edit: they are asked for at once. */
export async function pollSoon({ options, plan }: PlanWork): Promise<void> {
  await options.pool.query(
    'UPDATE connections SET next_poll_at = now() WHERE id = $1 AND next_poll_at > now() AND poll_lease_until IS NULL',
    [plan.connectionId],
  );
  options.wakeUps.poll([plan.connectionId]);
}

/**
 * What is to stay as the channel has it is switched off; a push under way for it loses its lease, and with it the right to write. Answers how
 * many listings were taken.
 */
const skipSql = `
WITH entry AS (
  SELECT id, listing_id FROM sync_plan_entries WHERE plan_id = $1 AND state = 'pending' AND winner = 'skip' ORDER BY listing_id LIMIT $2
), before AS MATERIALIZED (
  SELECT listing.id, listing.sync_enabled FROM listings listing JOIN entry ON entry.listing_id = listing.id ORDER BY listing.id FOR NO KEY UPDATE OF listing
), off AS (
  UPDATE listings SET sync_enabled = false, updated_at = now() FROM before WHERE listings.id = before.id AND before.sync_enabled
), dropped AS (
  DELETE FROM dirty_listings USING before WHERE dirty_listings.listing_id = before.id
)
UPDATE sync_plan_entries entry SET state = 'applied', was_enabled = before.sync_enabled, updated_at = now()
  FROM before WHERE entry.plan_id = $1 AND entry.listing_id = before.id`;

async function skipBatch(work: PlanWork): Promise<number> {
  return underLease(work, async (client) => {
    const { rowCount } = await client.query(skipSql, [work.plan.id, work.options.batchMax]);
    const applied = rowCount ?? 0;
    if (applied > 0) await keepPlan(client, work, { applied });
    return applied;
  });
}

async function nextItems({ options, plan }: PlanWork, after: string): Promise<readonly string[]> {
  const { rows } = await options.pool.query<{ item_id: string }>(
    `SELECT DISTINCT item_id FROM sync_plan_entries WHERE plan_id = $1 AND state = 'pending' AND item_id > $2 ORDER BY item_id LIMIT $3`,
    [plan.id, after, options.batchMax],
  );
  return rows.map((row) => row.item_id);
}

type UnreadRow = { id: string; unit_id: string; variant_id: string };

/** Reads what has not been read again since the plan was made, outside of every transaction. */
async function checkUnread(work: PlanWork, itemIds: readonly string[]): Promise<void> {
  const { options, plan, channel } = work;
  const { rows } = await options.pool.query<UnreadRow>(
    `SELECT entry.id, listing.unit_id, listing.variant_id FROM sync_plan_entries entry JOIN listings listing ON listing.id = entry.listing_id
      WHERE entry.plan_id = $1 AND entry.state = 'pending' AND entry.item_id = ANY($2) AND entry.checked_until IS NULL
      ORDER BY listing.unit_id, listing.variant_id`,
    [plan.id, itemIds],
  );
  if (rows.length === 0) return;
  const from = new Date((await readChannelTime(options.pool, work)).readableFrom);
  const readings = await channel.connector.readStock(
    rows.map((row) => ({ unitId: row.unit_id, variantId: row.variant_id })),
  );
  const until = new Date(options.clock.now());
  const checks = rows.map(({ id }, index) => {
    const reading = readings[index];
    return { id, shown: reading?.kind === 'quantity' ? reading.quantity : null };
  });
  await underLease(work, (client) =>
    client.query(
      `UPDATE sync_plan_entries entry
          SET checked_shown = reading.shown, checked_from = $3, checked_until = $4, checks = checks + 1, updated_at = now()
         FROM jsonb_to_recordset($2::jsonb) AS reading (id uuid, shown int)
        WHERE entry.id = reading.id AND entry.plan_id = $1 AND entry.state = 'pending'`,
      [plan.id, JSON.stringify(checks), from, until],
    ),
  );
}

type EntryRow = {
  id: string;
  listing_id: string;
  item_id: string;
  winner: 'ledger' | 'channel';
  shown: number;
  shown_from: Date;
  shown_until: Date;
  target: number;
  checked_shown: number | null;
  checked_from: Date;
  checked_until: Date;
  checks: number;
  same_item: boolean;
  enabled: boolean;
  writable: boolean;
  written: boolean;
};

/** Under the lock on their items, so that no order comes between the comparison and the movement. */
const openSql = `
WITH locked AS MATERIALIZED (
  SELECT id FROM inventory_items WHERE id = ANY($2) ORDER BY id FOR NO KEY UPDATE
)
SELECT entry.id, entry.listing_id, entry.item_id, entry.winner, entry.shown, entry.shown_from, entry.shown_until, entry.target, entry.checked_shown,
       entry.checked_from, entry.checked_until, entry.checks, listing.item_id IS NOT DISTINCT FROM entry.item_id AS same_item,
       listing.sync_enabled AS enabled, listing.writable,
       EXISTS (SELECT FROM listing_writes write WHERE write.listing_id = listing.id AND write.sent_at >= entry.shown_from) AS written
  FROM sync_plan_entries entry JOIN listings listing ON listing.id = entry.listing_id
 WHERE entry.plan_id = $1 AND entry.state = 'pending' AND entry.item_id IN (SELECT id FROM locked) AND entry.checked_until IS NOT NULL
 ORDER BY entry.item_id, entry.listing_id FOR NO KEY UPDATE OF listing`;

/** Answers how many entries have to wait for the channel's orders. */
async function decideBatch(work: PlanWork, itemIds: readonly string[]): Promise<number> {
  const { options, plan, channel } = work;
  const moved: string[] = [plan.connectionId];
  const waiting = await underLease(work, async (client) => {
    const { rows } = await client.query<EntryRow>(openSql, [plan.id, itemIds]);
    const time = await readChannelTime(client, work);
    const entries = rows.map(toEntry);
    const sales = await salesSince(client, plan.id, entries);
    const ids = entries.map(({ listingId }) => listingId);
    const targets = await loadTargets(client, ids, channel.connector.capabilities.quantityMax);
    const decisions: EntryDecision[] = [];
    for (const [itemId, group] of Map.groupBy(entries, (entry) => entry.itemId)) {
      const decision = decideItem({ entries: group, time, sales, targets });
      decisions.push(...decision.entries);
      if (decision.delta !== 0) moved.push(...(await bookItem(client, work, itemId, decision.delta)));
    }
    return carryOut(client, work, decisions);
  });
  options.wakeUps.push([...new Set(moved)]);
  return waiting;
}

async function bookItem(
  client: pg.PoolClient,
  { plan }: PlanWork,
  itemId: string,
  onHandDelta: number,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ actor_kind: 'system' | 'user' | 'api_key'; actor_id: string | null }>(
    'SELECT actor_kind, actor_id FROM sync_plans WHERE id = $1',
    [plan.id],
  );
  const [by] = rows;
  const effect = await adjust(client, {
    accountId: plan.accountId,
    itemId,
    onHandDelta,
    idempotencyKey: `plan:${plan.id}:${itemId}`,
    kind: 'adjustment',
    reason: 'correction',
    reference: `sync plan ${plan.id}`,
    actor: { kind: by?.actor_kind ?? 'system', id: by?.actor_id ?? null },
  });
  return effect.connectionIds;
}

/**
 * What goes is switched on and becomes dirty. It does not count towards the blast guard as long as it is what somebody has looked at: a listing
 * whose number has become another one since counts like any other change. Its own reason to be dirty before is answered by the same write.
 */
const goSql = `
WITH decision AS (
  SELECT * FROM jsonb_to_recordset($2::jsonb) AS decision (id uuid, kind text, error text, guarded boolean, booked int)
), entry AS (
  SELECT entry.id, entry.listing_id, decision.guarded FROM sync_plan_entries entry JOIN decision ON decision.id = entry.id
   WHERE entry.plan_id = $1 AND decision.kind = 'go'
), before AS MATERIALIZED (
  SELECT listing.id, listing.account_id, listing.connection_id, listing.sync_enabled, entry.guarded
    FROM listings listing JOIN entry ON entry.listing_id = listing.id ORDER BY listing.id FOR NO KEY UPDATE OF listing
), switched AS (
  UPDATE listings SET sync_enabled = true, updated_at = now() FROM before WHERE listings.id = before.id AND NOT before.sync_enabled
), forgotten AS (
  -- What was shown there while nobody wrote is no edit against us, and somebody has looked at it. Under escrow it was read all the time.
  DELETE FROM shadows USING before, inventory_items item
   WHERE shadows.listing_id = before.id AND NOT before.sync_enabled AND item.id = shadows.item_id AND item.protection = 'shared'
  RETURNING shadows.item_id, shadows.hold > 0 OR shadows.raises_stopped AS withheld
), dirty AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread, guarded)
  SELECT id, account_id, connection_id, true, guarded FROM before
  UNION ALL
  SELECT id, account_id, connection_id, false, false FROM listings
   WHERE sync_enabled AND writable AND item_id IN (SELECT kin.id FROM forgotten CROSS JOIN LATERAL item_kin(item_id) kin (id) WHERE withheld) AND id NOT IN (SELECT id FROM before)
  ORDER BY id
  ON CONFLICT (listing_id) DO UPDATE
     SET version = current.version + 1, reread = current.reread OR excluded.reread, not_before = now(), attempts = 0,
         guarded = CASE WHEN excluded.reread THEN excluded.guarded ELSE current.guarded END
)
UPDATE sync_plan_entries entry
   SET state = (CASE decision.kind WHEN 'go' THEN 'applied' WHEN 'changed' THEN 'changed' ELSE 'pending' END)::plan_entry_state,
       error = decision.error, booked_delta = decision.booked,
       was_enabled = (SELECT sync_enabled FROM before WHERE before.id = entry.listing_id),
       -- Another look is needed.
       checked_until = CASE decision.kind WHEN 'reread' THEN NULL ELSE entry.checked_until END, updated_at = now()
  FROM decision WHERE entry.id = decision.id AND entry.plan_id = $1`;

async function carryOut(
  client: pg.PoolClient,
  work: PlanWork,
  decisions: readonly EntryDecision[],
): Promise<number> {
  const decided = decisions.filter(({ kind }) => kind !== 'wait');
  if (decided.length > 0) {
    await client.query(goSql, [work.plan.id, JSON.stringify(decided)]);
    await keepPlan(client, work, {
      applied: decided.filter(({ kind }) => kind === 'go').length,
      changed: decided.filter(({ kind }) => kind === 'changed').length,
    });
  }
  return decisions.filter(({ kind }) => kind === 'wait' || kind === 'reread').length;
}

function toEntry(row: EntryRow): OpenEntry {
  return {
    id: row.id,
    listingId: row.listing_id,
    itemId: row.item_id,
    winner: row.winner,
    planned: { shown: row.shown, from: row.shown_from.getTime(), until: row.shown_until.getTime() },
    target: row.target,
    checked:
      row.checked_shown === null
        ? null
        : {
            shown: row.checked_shown,
            from: row.checked_from.getTime(),
            until: row.checked_until.getTime(),
          },
    checks: row.checks,
    sameItem: row.same_item,
    enabled: row.enabled,
    writable: row.writable,
    written: row.written,
  };
}
