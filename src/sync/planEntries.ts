/** Says who wins, per listing or for everything that would be raised, lowered or zeroed; what cannot be so is refused as a whole. */
import type pg from 'pg';
import { inTransaction, type Queryable } from '../db.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import type { PlanAction, PlanWinner } from './planDecision.ts';
import { type PlanOptions, recountPlan, tellPlan } from './planSql.ts';
import { lockPlan, type PlanRef, planNotFound, wrongStatus } from './plans.ts';

export type PlanEntriesInput = {
  readonly planId: string;
  /** At most 500; null for all that `action` names. */
  readonly listingIds: readonly string[] | null;
  readonly action: Exclude<PlanAction, 'left_out'> | null;
  readonly winner: PlanWinner;
};

export const planListingsMax = 500;

/** Says who wins on some listings of a plan that is ready. What is left out stays left out. */
export async function setPlanEntries(
  options: PlanOptions,
  caller: Caller,
  input: PlanEntriesInput,
): Promise<Outcome<PlanRef & { readonly entries: number }>> {
  const { planId, listingIds, action, winner } = input;
  const wrong = selectionProblem(listingIds, action);
  if (wrong !== null) return refused(wrong);
  const work = async (client: pg.PoolClient): Promise<Outcome<PlanRef & { readonly entries: number }>> => {
    const plan = await lockPlan(client, caller, planId);
    if (plan === null) return refused(planNotFound);
    if (plan.status !== 'ready')
      return wrongStatus(plan.status, 'Only of a plan that is ready may be said who wins.');
    const values = [planId, listingIds, action, winner];
    const { rows } = await client.query<{ listing_id: string }>(setSql, values);
    if (listingIds !== null && rows.length < new Set(listingIds).size) {
      const message = 'A listing is not in this plan, or was left out of it.';
      return refused({ code: 'NOT_FOUND', message, field: ['input', 'listingIds'] });
    }
    const impossible = winner === 'channel' ? await channelProblem(client, planId) : null;
    if (impossible !== null) return refused(impossible);
    await recountPlan(client, planId);
    await tellPlan(client, planId);
    return done({ planId, entries: rows.length });
  };
  const outcome = await allOrNothing(options.pool, work);
  if (outcome.ok) options.onEvents();
  return outcome;
}

const setSql = `
UPDATE sync_plan_entries SET winner = $4::plan_winner, updated_at = now()
 WHERE plan_id = $1 AND action <> 'left_out' AND ($2::uuid[] IS NULL OR listing_id = ANY($2)) AND ($3::plan_action IS NULL OR action = $3)
RETURNING listing_id`;

function invalid(field: string, message: string): Problem {
  return { code: 'INVALID_INPUT', message, field: ['input', field] };
}

function selectionProblem(
  listingIds: readonly string[] | null,
  action: PlanEntriesInput['action'],
): Problem | null {
  if (listingIds === null && action === null)
    return invalid('listingIds', 'Say which: listingIds, an action, or both.');
  if (listingIds !== null && (listingIds.length === 0 || listingIds.length > planListingsMax))
    return invalid('listingIds', `Between 1 and ${planListingsMax} listings at once.`);
  return null;
}

/** Where the channel is to win although it cannot: its rules forbid its number, or listings of one item show different ones. */
async function channelProblem(db: Queryable, planId: string): Promise<Problem | null> {
  const { rows } = await db.query<{ listing_id: string }>(
    `SELECT entry.listing_id FROM sync_plan_entries entry
      WHERE entry.plan_id = $1 AND entry.winner = 'channel'
        AND (entry.ledger_delta IS NULL
             OR EXISTS (SELECT FROM sync_plan_entries other WHERE other.plan_id = $1 AND other.item_id = entry.item_id AND other.winner = 'channel'
                           AND other.ledger_delta IS DISTINCT FROM entry.ledger_delta))
      ORDER BY entry.listing_id LIMIT 100`,
    [planId],
  );
  if (rows.length === 0) return null;
  return {
    code: 'CHANNEL_CANNOT_WIN',
    message:
      'The channel cannot win there: listings of one item show different numbers, or a rule does not let a listing show its own.',
    field: ['input', 'winner'],
    listingIds: rows.map((row) => row.listing_id),
  };
}

class RefusedError extends Error {
  readonly outcome: Outcome<never>;

  constructor(outcome: Outcome<never>) {
    super('refused');
    this.outcome = outcome;
  }
}

/** What is refused has changed nothing. */
async function allOrNothing<Value>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Outcome<Value>>,
): Promise<Outcome<Value>> {
  try {
    return await inTransaction(pool, async (client) => {
      const outcome = await work(client);
      if (!outcome.ok) throw new RefusedError(outcome);
      return outcome;
    });
  } catch (error) {
    if (error instanceof RefusedError) return error.outcome;
    throw error;
  }
}
