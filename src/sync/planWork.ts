/** Works on one plan until there is nothing to do for now. Safe to run any number of times at once, in any number of processes, and after any kill. */
import { ChannelError } from '../connectors/connector.ts';
import { applyForPlan } from './planApplying.ts';
import { readForPlan } from './planReading.ts';
import {
  claimPlan,
  endPlan,
  type Pause,
  type PlanLease,
  type PlanOptions,
  PlanTakenError,
  type PlanWork,
  releasePlan,
  underLease,
  type WorkingStatus,
} from './planSql.ts';
import { undoForPlan } from './planUndoing.ts';

const parts: Readonly<Record<WorkingStatus, (work: PlanWork) => Promise<Pause>>> = {
  planning: readForPlan,
  applying: applyForPlan,
  undoing: undoForPlan,
};

export async function workOnPlan(options: PlanOptions, planId: string): Promise<void> {
  const owner = options.newId();
  const plan = await claimPlan(options.pool, planId, owner, options.leaseMs);
  if (plan === null) return;
  const channel = await options.connections.open(plan.connectionId);
  if (channel === null) {
    await giveUpOrWait({ options, plan, owner }, 'the connection is paused or was disconnected', true);
    return;
  }
  const work: PlanWork = { options, plan, channel, owner };
  try {
    const pause = await parts[plan.status](work);
    if (pause !== null) await releasePlan(work, pause, null);
  } catch (error) {
    if (error instanceof PlanTakenError) return;
    const known = error instanceof ChannelError;
    const text = known ? `${error.code}: ${error.message}` : 'an error of this server: its log says more';
    if (known) await options.connections.report(plan.connectionId, error);
    const hopeless = known && (error.code === 'unauthorized' || error.code === 'misconfigured');
    await giveUpOrWait(work, text, hopeless);
    if (!known) throw error;
    options.log.warn({ planId, connectionId: plan.connectionId, error }, 'a plan has to wait');
  }
}

/** A plan that cannot be made is given up. One that is being applied or undone never is: half of it must not stay. */
async function giveUpOrWait(work: PlanLease, error: string, hopeless: boolean): Promise<void> {
  const { options, plan } = work;
  const lastAttempt = plan.attempts + 1 >= options.attemptsMax;
  if (plan.status === 'planning' && (hopeless || lastAttempt)) {
    await underLease(work, (client) => endPlan(client, work, 'failed', error));
    return;
  }
  const pauseMs = Math.min(1_000 * 2 ** Math.min(plan.attempts, 20), options.backoffMaxMs);
  await releasePlan(work, pauseMs, error);
}
