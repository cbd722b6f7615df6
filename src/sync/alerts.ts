/** Alerts are raised and resolved with the stock that causes them; here people say that they have seen one. */
import type { Queryable } from '../db.ts';
import { type Caller, done, type Outcome, refused } from './outcome.ts';

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
       RETURNING id, account_id, kind, status, item_id, units
     ), event AS (
       INSERT INTO events (account_id, topic, subject_id, payload)
       SELECT account_id, 'alert', id, jsonb_build_object('alertId', id, 'kind', kind, 'status', status, 'itemId', item_id, 'units', units,
                'orderIds', (SELECT coalesce(jsonb_agg(order_id ORDER BY order_id), '[]') FROM alert_orders WHERE alert_id = acknowledged.id))
         FROM acknowledged
     )
     SELECT id FROM alerts WHERE id = $2 AND account_id = $1`,
    [caller.accountId, alertId, actorName(caller)],
  );
  if (rows.length === 0)
    return refused({ code: 'NOT_FOUND', message: 'There is no such alert.', field: ['input', 'alertId'] });
  return done({ alertId });
}

function actorName({ actor }: Caller): string {
  return actor.id === null ? actor.kind : `${actor.kind}:${actor.id}`;
}
