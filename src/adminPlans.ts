/** Plans from the command line: make one and print it, apply it, take it back. Works by itself, also while no worker runs. */
import type { App } from './app.ts';
import { systemClock } from './clock.ts';
import { type Caller, type Outcome, systemActor } from './sync/outcome.ts';

export class PlanCommandError extends Error {
  override readonly name = 'PlanCommandError';
}

type PlanRow = {
  account_id: string;
  connection_id: string;
  platform: string;
  name: string;
  status: string;
  error: string | null;
} & Record<Count, number> & { large: boolean };

type Count =
  | 'listings'
  | 'raising'
  | 'lowering'
  | 'zeroing'
  | 'unchanged'
  | 'left_out'
  | 'channel_wins'
  | 'skipped'
  | 'units_added'
  | 'units_removed'
  | 'applied'
  | 'changed'
  | 'undone'
  | 'failed';

export type PlanCommandOptions = {
  readonly channelWins: boolean;
  readonly replace: boolean;
  readonly acknowledgeLarge: boolean;
};

/** Makes a plan of a connection, or goes on with the one that is open, and prints what it says. */
export async function planConnection(
  app: App,
  connectionId: string,
  { channelWins, replace }: PlanCommandOptions,
): Promise<void> {
  const { rows } = await app.database.pool.query<{ account_id: string }>(
    'SELECT account_id FROM connections WHERE id::text = $1',
    [connectionId],
  );
  const [connection] = rows;
  if (connection === undefined) throw new PlanCommandError(`there is no connection ${connectionId}`);
  const { planId } = answer(
    await app.engine.sync.createPlan(callerOf(connection.account_id), {
      connectionId,
      winner: channelWins ? 'channel' : 'ledger',
      replace,
      idempotencyKey: null,
    }),
  );
  await workOff(app, planId);
  await printPlan(app, planId);
}

export async function applyPlanById(
  app: App,
  planId: string,
  { acknowledgeLarge }: PlanCommandOptions,
): Promise<void> {
  const plan = await readPlan(app, planId);
  const input = { planId, acknowledgeLarge, idempotencyKey: `admin apply ${planId}` };
  answer(await app.engine.sync.applyPlan(callerOf(plan.account_id), input));
  await workOff(app, planId);
  await printProgress(app, planId);
}

export async function undoPlanById(app: App, planId: string): Promise<void> {
  const plan = await readPlan(app, planId);
  answer(await app.engine.sync.undoPlan(callerOf(plan.account_id), planId));
  await workOff(app, planId);
  await printProgress(app, planId);
}

function callerOf(accountId: string): Caller {
  return { accountId, actor: systemActor, correlationId: 'admin' };
}

function answer<Value>(outcome: Outcome<Value>): Value {
  if (outcome.ok) return outcome.value;
  throw new PlanCommandError(outcome.problems.map(({ message }) => message).join('\n'));
}

const lookIntervalMs = 500;

/** Also polls: what was sold meanwhile tells an edit from a sale. */
async function workOff(app: App, planId: string): Promise<void> {
  const { tasks } = app.engine;
  let told = '';
  for (;;) {
    await tasks.plan(planId);
    const { status, error, connection_id: connectionId } = await readPlan(app, planId);
    if (!['planning', 'applying', 'undoing'].includes(status)) return;
    if (error !== null && error !== told) process.stdout.write(`waiting: ${error}\n`);
    told = error ?? told;
    await tasks.poll(connectionId);
    await systemClock.sleep(lookIntervalMs);
  }
}

async function readPlan({ database }: App, planId: string): Promise<PlanRow> {
  const { rows } = await database.pool.query<PlanRow>(
    `SELECT plan.*, connection.platform, connection.name FROM sync_plans plan JOIN connections connection ON connection.id = plan.connection_id
      WHERE plan.id::text = $1`,
    [planId],
  );
  const [plan] = rows;
  if (plan === undefined) throw new PlanCommandError(`there is no plan ${planId}`);
  return plan;
}

/** Entries that are printed; the API has them all. */
const printedMax = 100;

async function printPlan(app: App, planId: string): Promise<void> {
  const plan = await readPlan(app, planId);
  const share = (count: number): string =>
    plan.listings === 0 ? '' : ` (${Math.round((100 * count) / plan.listings)} %)`;
  const changing = plan.raising + plan.lowering + plan.zeroing;
  process.stdout.write(
    [
      `plan ${planId} of ${plan.platform} "${plan.name}": ${plan.status}${plan.error === null ? '' : ` (${plan.error})`}`,
      `${plan.listings} listings: ${plan.raising} to raise, ${plan.lowering} to lower, ${plan.zeroing} to zero${share(plan.zeroing)}, ${plan.unchanged} right already,`,
      `  ${plan.channel_wins} keep the channel's number (ledger +${plan.units_added} -${plan.units_removed}), ${plan.skipped} skipped, ${plan.left_out} left out`,
      ...(plan.large
        ? [`It would change ${changing} listings${share(changing)}: to apply it say --acknowledge-large.`]
        : []),
      '',
    ].join('\n'),
  );
  const { rows } = await app.database.pool.query<{ line: string }>(
    `SELECT concat_ws('  ', rpad(entry.action::text, 9), rpad(entry.winner::text, 7), coalesce(listing.sku, listing.unit_id), entry.why) AS line
       FROM sync_plan_entries entry JOIN listings listing ON listing.id = entry.listing_id
      WHERE entry.plan_id = $1 AND entry.action <> 'unchanged' ORDER BY entry.action DESC, entry.id LIMIT $2`,
    [planId, printedMax],
  );
  process.stdout.write(rows.map(({ line }) => `${line}\n`).join(''));
}

async function printProgress(app: App, planId: string): Promise<void> {
  const plan = await readPlan(app, planId);
  process.stdout.write(
    `plan ${planId}: ${plan.status}, ${plan.applied} applied, ${plan.changed} left because something changed, ${plan.undone} undone, ${plan.failed} refused by the channel\n`,
  );
  const { rows } = await app.database.pool.query<{ line: string }>(
    `SELECT concat_ws('  ', coalesce(listing.sku, listing.unit_id), entry.error) AS line
       FROM sync_plan_entries entry JOIN listings listing ON listing.id = entry.listing_id
      WHERE entry.plan_id = $1 AND entry.state IN ('changed', 'failed') ORDER BY entry.id LIMIT $2`,
    [planId, printedMax],
  );
  process.stdout.write(rows.map(({ line }) => `${line}\n`).join(''));
}
