/** Has the plan of a large shop do one batch of what it does next, so that its statements can be looked at. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import type { Connections } from '../../src/sync/connections.ts';
import type { WorkingStatus } from '../../src/sync/planSql.ts';
import { workOnPlan } from '../../src/sync/planWork.ts';
import { readingOptions } from './channel.ts';
import { planId } from './largeShop.ts';
import type { ScriptedChannel } from './scriptedChannel.ts';
import { noWakeUps } from './wakeUps.ts';

export type PlanStep = {
  readonly pool: pg.Pool;
  readonly connections: Connections;
  readonly channel: ScriptedChannel;
};

const nothing = (): undefined => undefined;

/** `change` is SQL that sets further columns of the plan first. */
export async function stepOfPlan(
  { pool, connections, channel }: PlanStep,
  status: WorkingStatus,
  change = '',
): Promise<void> {
  const stop = new AbortController();
  const { onRead } = channel;
  // Reading, and waking whoever pushes, are what a batch ends with.
  channel.onRead = (address) => {
    stop.abort();
    return onRead(address);
  };
  await pool.query(
    `UPDATE sync_plans SET status = '${status}', not_before = now() - interval '1 s', leased_until = NULL${change} WHERE id = $1`,
    [planId],
  );
  const wakeUps = { ...noWakeUps, push: () => stop.abort() };
  const limits = { batchMax: 20, leaseMs: 60_000, backoffMaxMs: 60_000, attemptsMax: 5 };
  await workOnPlan(
    {
      pool,
      connections,
      clock: systemClock,
      newId: randomUUID,
      log: silentLog(),
      wakeUps,
      onEvents: nothing,
      readings: (opened) => readingOptions(pool, opened),
      signal: stop.signal,
      ...limits,
    },
    planId,
  );
  channel.onRead = onRead;
}
