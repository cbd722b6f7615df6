/** What people do with plans: make one, apply it, take it back. Each only says what is to happen; `planWork.ts` does it. */
import type pg from 'pg';
import { inTransaction, type Queryable } from '../db.ts';
import { once } from './idempotency.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import type { PlanWinner } from './planDecision.ts';
import { type PlanOptions, type PlanStatus, recountPlan, tellPlan } from './planSql.ts';

export type PlanCreateInput = {
  readonly connectionId: string;
  /** Who wins where nobody says otherwise. */
  readonly winner: Exclude<PlanWinner, 'skip'>;
  /** Gives up a plan of the connection that is ready, and makes a new one. */
  readonly replace: boolean;
  readonly idempotencyKey: string | null;
};

export type PlanApplyInput = {
  readonly planId: string;
  /** Says that somebody has seen how much would change. Required for a plan beyond the connection's limits. */
  readonly acknowledgeLarge: boolean;
  readonly idempotencyKey: string;
};

export type PlanRef = { readonly planId: string };

/** A plan older than this says too little about what its channel shows. */
const planAge = `interval '1 day'`;

export const planNotFound: Problem = {
  code: 'NOT_FOUND',
  message: 'There is no such plan.',
  field: ['input', 'planId'],
};

export function wrongStatus(status: string, message: string): Outcome<never> {
  return refused({ code: 'PLAN_STATUS', message, field: ['input', 'planId'], current: status });
}

const createSql = `
WITH given_up AS (
  UPDATE sync_plans SET status = 'expired', updated_at = now()
   WHERE connection_id = $2 AND status = 'ready' AND ($6 OR created_at < now() - ${planAge}) RETURNING id
), open AS (
  SELECT id FROM sync_plans
   WHERE connection_id = $2 AND status IN ('planning', 'ready', 'applying', 'undoing') AND id NOT IN (SELECT id FROM given_up) ORDER BY id DESC LIMIT 1
), added AS (
  INSERT INTO sync_plans (account_id, connection_id, winner, actor_kind, actor_id)
  SELECT $1, $2, $3::plan_winner, $4::actor_kind, $5 WHERE NOT EXISTS (SELECT FROM open)
  RETURNING id
)
SELECT id FROM open UNION ALL SELECT id FROM added`;

/** While a plan of the connection is open it is answered instead of a second one. */
export async function createPlan(
  options: PlanOptions,
  caller: Caller,
  input: PlanCreateInput,
): Promise<Outcome<PlanRef>> {
  const { connectionId, winner, replace, idempotencyKey } = input;
  const work = async (client: pg.PoolClient): Promise<Outcome<PlanRef>> => {
    // Requests for one connection come one after the other, each with a snapshot that shows the plan of the one before.
    await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('plan ' || $1, 0))`, [connectionId]);
    const { rows: known } = await client.query<{ status: string }>(
      'SELECT status FROM connections WHERE id = $1 AND account_id = $2',
      [connectionId, caller.accountId],
    );
    const field = ['input', 'connectionId'];
    const [connection] = known;
    if (connection === undefined)
      return refused({ code: 'NOT_FOUND', message: 'There is no such connection.', field });
    if (connection.status !== 'active') {
      const message = `The connection is ${connection.status.replaceAll('_', ' ')}.`;
      return refused({ code: 'INVALID_INPUT', message, field });
    }
    const { kind, id: actorId } = caller.actor;
    const values = [caller.accountId, connectionId, winner, kind, actorId, replace];
    const { rows } = await client.query<{ id: string }>(createSql, values);
    const [plan] = rows;
    if (plan === undefined) throw new Error('a plan was neither found nor added');
    await tellPlan(client, plan.id);
    return done({ planId: plan.id });
  };
  const outcome =
    idempotencyKey === null
      ? await inTransaction(options.pool, work)
      : await once(options.pool, caller, { operation: 'syncPlanCreate', key: idempotencyKey, input }, work);
  return woken(options, outcome);
}

function woken(options: PlanOptions, outcome: Outcome<PlanRef>): Outcome<PlanRef> {
  if (outcome.ok) {
    options.onEvents();
    options.wakeUps.plan(outcome.value.planId);
  }
  return outcome;
}

type LockedPlan = { status: PlanStatus; connection_id: string; old: boolean };

export async function lockPlan(db: Queryable, caller: Caller, planId: string): Promise<LockedPlan | null> {
  const { rows } = await db.query<LockedPlan>(
    `SELECT status, connection_id, created_at < now() - ${planAge} AS old FROM sync_plans WHERE id = $1 AND account_id = $2 FOR UPDATE`,
    [planId, caller.accountId],
  );
  return rows[0] ?? null;
}

/** From here on everything that the plan says is done, listing by listing. Applying what is applied changes nothing. */
export async function applyPlan(
  options: PlanOptions,
  caller: Caller,
  input: PlanApplyInput,
): Promise<Outcome<PlanRef>> {
  const { planId, acknowledgeLarge, idempotencyKey } = input;
  const request = { operation: 'syncPlanApply', key: idempotencyKey, input };
  const outcome = await once<PlanRef>(options.pool, caller, request, async (client) => {
    const plan = await lockPlan(client, caller, planId);
    if (plan === null) return refused(planNotFound);
    if (plan.status === 'applying' || plan.status === 'applied') return done({ planId });
    if (plan.status === 'expired' || (plan.status === 'ready' && plan.old)) return refused(expiredProblem);
    if (plan.status !== 'ready') return wrongStatus(plan.status, 'Only a plan that is ready can be applied.');
    // Anew: limits may have become stricter since, and a restart must not forget them.
    const counts = await recountPlan(client, planId);
    if (counts.large && !acknowledgeLarge) {
      const { listings, zeroing, raising, lowering } = counts;
      const changing = zeroing + raising + lowering;
      return refused({
        code: 'PLAN_TOO_LARGE',
        message: `It would zero ${zeroing} and change ${changing} of ${listings} listings, more than the connection's limits let pass unseen: say acknowledgeLarge: true.`,
        field: ['input', 'acknowledgeLarge'],
        size: { listings, zeroing, changing },
      });
    }
    await client.query(
      `UPDATE sync_plans SET status = 'applying', acknowledged = $2, lease_owner = NULL, leased_until = NULL, not_before = now(), attempts = 0,
              error = NULL, updated_at = now(), was_awaiting = (SELECT awaiting_plan FROM connections WHERE id = sync_plans.connection_id)
        WHERE id = $1`,
      [planId, acknowledgeLarge],
    );
    await tellPlan(client, planId);
    return done({ planId });
  });
  return woken(options, outcome);
}

const expiredProblem: Problem = {
  code: 'PLAN_EXPIRED',
  message: 'The plan is more than a day old, or a newer one has taken its place: make a new one.',
  field: ['input', 'planId'],
};

/** Takes back what the newest applied plan of a connection has done; one that is being applied is stopped. Repeating it changes nothing. */
export async function undoPlan(
  options: PlanOptions,
  caller: Caller,
  planId: string,
): Promise<Outcome<PlanRef>> {
  const outcome = await inTransaction<Outcome<PlanRef>>(options.pool, async (client) => {
    const plan = await lockPlan(client, caller, planId);
    if (plan === null) return refused(planNotFound);
    if (plan.status === 'undoing' || plan.status === 'undone') return done({ planId });
    if (plan.status !== 'applied' && plan.status !== 'applying')
      return wrongStatus(plan.status, 'Only a plan that was applied can be undone.');
    const { rowCount } = await client.query(
      `SELECT FROM sync_plans WHERE connection_id = $1 AND id > $2 AND status IN ('applying', 'applied', 'undoing')`,
      [plan.connection_id, planId],
    );
    if (rowCount !== null && rowCount > 0)
      return wrongStatus(plan.status, 'A newer plan of this connection was applied: undo that one first.');
    await client.query(
      `UPDATE sync_plans SET status = 'undoing', lease_owner = NULL, leased_until = NULL, not_before = now(), attempts = 0, error = NULL,
              updated_at = now() WHERE id = $1`,
      [planId],
    );
    await tellPlan(client, planId);
    return done({ planId });
  });
  return woken(options, outcome);
}

/** Gives up plans that nobody has applied within a day. Swept now and then. */
export async function expirePlans(db: Queryable): Promise<void> {
  await db.query(
    `UPDATE sync_plans SET status = 'expired', updated_at = now() WHERE status = 'ready' AND created_at < now() - ${planAge}`,
  );
}
