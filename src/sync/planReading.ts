/** Makes a plan: imports the catalogue, reads what every listing shows and says what should happen to it. Writes to no channel and to no ledger. */
import type { StockReading } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { importCatalogue } from './catalogue.ts';
import { assess, ledgerDelta, type PlanWinner } from './planDecision.ts';
import { readChannelTime } from './planEvidence.ts';
import { endPlan, keepPlan, type Pause, type PlanWork, recountPlan, underLease } from './planSql.ts';
import { loadTargets, targetFor } from './targets.ts';

type ListingRow = {
  id: string;
  item_id: string | null;
  unit_id: string;
  variant_id: string;
  sku: string | null;
  writable: boolean;
  sellsBeyond: boolean;
  siblings: number;
};

/** Goes on where it stopped. Answers null when the plan is ready, 0 when the process is ending. */
export async function readForPlan(work: PlanWork): Promise<Pause> {
  const { plan, channel, options } = work;
  if (!plan.imported) {
    await importCatalogue(options.pool, channel, () => keepPlan(options.pool, work));
    await underLease(work, (client) =>
      client.query('UPDATE sync_plans SET imported_at = now(), attempts = 0, error = NULL WHERE id = $1', [
        plan.id,
      ]),
    );
  }
  let after: readonly [string, string] = plan.readThrough;
  for (;;) {
    if (options.signal?.aborted === true) return 0;
    const listings = await nextListings(options.pool, plan.connectionId, after, options.batchMax);
    const last = listings.at(-1);
    if (last === undefined) break;
    after = [last.unit_id, last.variant_id];
    await readBatch(work, listings);
  }
  await underLease(work, async (client) => {
    await client.query(leaveUndecidedSql, [plan.id]);
    await recountPlan(client, plan.id);
    await endPlan(client, work, 'ready');
  });
  return null;
}

/** In the order of addresses, so that the variants of one listing come together. */
async function nextListings(
  db: Queryable,
  connectionId: string,
  [unitId, variantId]: readonly [string, string],
  limit: number,
): Promise<readonly ListingRow[]> {
  const { rows } = await db.query<ListingRow>(
    `SELECT id, item_id, unit_id, variant_id, sku, writable, sells_beyond AS "sellsBeyond",
            (SELECT count(*)::int FROM listings other
              WHERE other.item_id = listing.item_id AND other.connection_id = listing.connection_id AND other.id <> listing.id) AS siblings
       FROM listings listing
      WHERE connection_id = $1 AND (unit_id, variant_id) > ($2, $3) ORDER BY unit_id, variant_id LIMIT $4`,
    [connectionId, unitId, variantId, limit],
  );
  return rows;
}

const insertSql = `
INSERT INTO sync_plan_entries (account_id, plan_id, listing_id, item_id, action, reason, why, shown, shown_from, shown_until, available, target, winner,
                               ledger_delta, state)
SELECT $1, $2, listing_id, item_id, action, reason, why, shown, $4, $5, available, target, winner, ledger_delta,
       (CASE WHEN action = 'left_out' THEN 'left_out' ELSE 'pending' END)::plan_entry_state
  FROM jsonb_to_recordset($3::jsonb) AS entry (listing_id uuid, item_id uuid, action plan_action, reason plan_reason, why text, shown int, available int,
    target int, winner plan_winner, ledger_delta int)
ON CONFLICT (plan_id, listing_id) DO NOTHING`;

async function readBatch(work: PlanWork, listings: readonly ListingRow[]): Promise<void> {
  const { plan, channel, options } = work;
  const { connector } = channel;
  const from = new Date((await readChannelTime(options.pool, work)).readableFrom);
  const readings = await connector.readStock(
    listings.map((row) => ({ unitId: row.unit_id, variantId: row.variant_id })),
  );
  const until = new Date(options.clock.now());
  const ids = listings.map(({ id }) => id);
  const targets = await loadTargets(options.pool, ids, connector.capabilities.quantityMax);
  const entries = listings.map((listing, index) => {
    const reading = readings[index] ?? missing;
    const loaded = targets.get(listing.id);
    const target = loaded === undefined ? null : targetFor(loaded);
    const assessment = assess({ ...listing, hasItem: listing.item_id !== null }, reading, target);
    const shown = reading.kind === 'quantity' ? reading.quantity : null;
    const delta = loaded === undefined || shown === null ? null : ledgerDelta(loaded.input, shown);
    return {
      listing_id: listing.id,
      item_id: loaded?.itemId ?? null,
      ...assessment,
      shown,
      available: loaded?.input.available ?? null,
      target: target?.target ?? null,
      winner: winnerOf(plan.winner, assessment.action === 'left_out', delta),
      ledger_delta: assessment.action === 'left_out' ? null : delta,
    };
  });
  const last = listings.at(-1);
  await underLease(work, async (client) => {
    const { rowCount } = await client.query(insertSql, [
      plan.accountId,
      plan.id,
      JSON.stringify(entries),
      from,
      until,
    ]);
    await client.query(
      'UPDATE sync_plans SET read_through_unit = $2, read_through_variant = $3 WHERE id = $1',
      [plan.id, last?.unit_id, last?.variant_id],
    );
    await keepPlan(client, work, { listings: rowCount ?? 0 });
  });
}

const missing: StockReading = {
  kind: 'unknown',
  reason: 'the channel left the listing out of its answer',
};

/** Where the channel cannot win although it is to, nothing is done rather than the opposite. */
function winnerOf(wanted: PlanWinner, leftOut: boolean, delta: number | null): PlanWinner {
  if (leftOut) return 'skip';
  return wanted === 'channel' && delta === null ? 'skip' : wanted;
}

/** Listings of one item that show different numbers cannot all be right: until somebody decides, none is. */
const leaveUndecidedSql = `
UPDATE sync_plan_entries entry SET winner = 'skip', updated_at = now()
 WHERE plan_id = $1 AND winner = 'channel'
   AND EXISTS (SELECT FROM sync_plan_entries other WHERE other.plan_id = $1 AND other.item_id = entry.item_id AND other.winner = 'channel'
                  AND other.ledger_delta IS DISTINCT FROM entry.ledger_delta)`;
