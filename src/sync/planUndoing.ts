/** Takes an applied plan back: movements are reversed by their delta, listings are switched as they were, and the old numbers are shown again. */
import type pg from 'pg';
import { adjust } from './ledger.ts';
import { restoreNumbers } from './planRestoring.ts';
import { endPlan, keepPlan, type Pause, type PlanWork, underLease } from './planSql.ts';

/** Goes on where it stopped. Answers null when everything is as it was. */
export async function undoForPlan(work: PlanWork): Promise<Pause> {
  const { options, plan } = work;
  for (;;) {
    if (options.signal?.aborted === true) return 0;
    if ((await withdrawBatch(work)) === 0) break;
  }
  const pause = await restoreNumbers(work);
  if (pause !== null) return pause;
  await underLease(work, async (client) => {
    await client.query(
      `UPDATE connections SET awaiting_plan = plan.was_awaiting, updated_at = now() FROM sync_plans plan WHERE plan.id = $1 AND connections.id = plan.connection_id`,
      [plan.id],
    );
    await endPlan(client, work, 'undone');
  });
  return null;
}

/**
 * Entries of the next items go back to how they were before. What the plan has switched on is switched off: a push under way for it loses its
 * lease, and with it the right to write. Of what the plan has switched off, nothing was written meanwhile: it is brought in step.
 */
const withdrawSql = `
WITH item AS (
  SELECT DISTINCT item_id AS id FROM sync_plan_entries WHERE plan_id = $1 AND state = 'applied' AND withdrawn_at IS NULL ORDER BY item_id LIMIT $2
), locked AS MATERIALIZED (
  SELECT id FROM inventory_items WHERE id IN (SELECT id FROM item) ORDER BY id FOR NO KEY UPDATE
), entry AS MATERIALIZED (
  SELECT entry.id, entry.listing_id, entry.account_id, entry.item_id, entry.booked_delta,
         winner <> 'skip' AND NOT was_enabled AS switch_off, winner = 'skip' AND was_enabled AS switch_on
    FROM sync_plan_entries entry JOIN locked ON locked.id = entry.item_id
   WHERE entry.plan_id = $1 AND entry.state = 'applied' AND entry.withdrawn_at IS NULL ORDER BY entry.listing_id
), listing AS (
  UPDATE listings SET sync_enabled = entry.switch_on, updated_at = now()
    FROM entry WHERE listings.id = entry.listing_id AND (entry.switch_off OR entry.switch_on)
), dropped AS (
  DELETE FROM dirty_listings USING entry WHERE dirty_listings.listing_id = entry.listing_id AND entry.switch_off
), dirty AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread)
  SELECT listing_id, account_id, $4, true FROM entry WHERE switch_on ORDER BY listing_id
  ON CONFLICT (listing_id) DO UPDATE SET version = current.version + 1, reread = true, not_before = now(), attempts = 0
), done AS (
  UPDATE sync_plan_entries target
     SET withdrawn_at = $3, state = (CASE WHEN entry.switch_off THEN 'applied' ELSE 'undone' END)::plan_entry_state, updated_at = now()
    FROM entry WHERE target.id = entry.id
)
SELECT item_id, booked_delta, switch_off FROM entry`;

async function withdrawBatch(work: PlanWork): Promise<number> {
  const { options, plan } = work;
  const touched = [plan.connectionId];
  const count = await underLease(work, async (client) => {
    const { rows } = await client.query<{
      item_id: string;
      booked_delta: number | null;
      switch_off: boolean;
    }>(withdrawSql, [plan.id, options.batchMax, new Date(options.clock.now()), plan.connectionId]);
    for (const { item_id: itemId, booked_delta: booked } of rows)
      if (booked !== null) touched.push(...(await reverse(client, work, itemId, booked)));
    const undone = rows.filter((row) => !row.switch_off).length;
    if (undone > 0) await keepPlan(client, work, { undone });
    return rows.length;
  });
  options.wakeUps.push([...new Set(touched)]);
  return count;
}

/** By the same units the other way, whatever was sold or counted in between. */
async function reverse(
  client: pg.PoolClient,
  { plan }: PlanWork,
  itemId: string,
  booked: number,
): Promise<readonly string[]> {
  const effect = await adjust(client, {
    accountId: plan.accountId,
    itemId,
    onHandDelta: -booked,
    idempotencyKey: `plan-undo:${plan.id}:${itemId}`,
    kind: 'adjustment',
    reason: 'correction',
    reference: `undo of sync plan ${plan.id}`,
    actor: { kind: 'system', id: null },
  });
  return effect.connectionIds;
}
