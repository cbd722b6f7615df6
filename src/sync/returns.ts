/** Goods that come back after they were shipped: booked once, whatever the channel says of the same parcel. */
import type pg from 'pg';
import { once } from './idempotency.ts';
import { type OrderEffect, reapplyOrder } from './orders.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import type { OrderReturnInput } from './sync.ts';

export type ReturnOptions = {
  readonly pool: pg.Pool;
  readonly onApplied: (effect: OrderEffect) => void;
};

export const returnLinesMax = 100;

/**
 * The seller's count of what came back of a line stands beside the channel's own: the larger of both counts, never their sum. A later refund with restock
 * on the channel therefore adds nothing to what was returned here, and the other way round. Units that are not restocked stay off the shelf, also when the
 * channel counts them as restocked.
 */
export async function returnOrder(
  options: ReturnOptions,
  caller: Caller,
  input: OrderReturnInput,
): Promise<Outcome<{ orderId: string }>> {
  const unclear = linesProblem(input.lines);
  if (unclear !== null) return refused(unclear);
  let effect: OrderEffect | undefined;
  const request = { operation: 'orderReturn', key: input.idempotencyKey, input };
  const outcome = await once(options.pool, caller, request, async (client) => {
    const problem = await returnProblem(client, caller, input);
    if (problem !== null) return refused(problem);
    effect = await book(client, caller, input);
    return done({ orderId: input.orderId });
  });
  if (effect !== undefined && outcome.ok) options.onApplied(effect);
  return outcome;
}

function linesProblem(lines: OrderReturnInput['lines']): Problem | null {
  if (lines.length === 0 || lines.length > returnLinesMax) {
    const message = `A return has 1 to ${returnLinesMax} lines.`;
    return { code: 'INVALID_INPUT', message, field: ['input', 'lines'] };
  }
  for (const [index, { lineId, quantity }] of lines.entries()) {
    const field = ['input', 'lines', String(index)];
    if (!Number.isSafeInteger(quantity) || quantity < 1)
      return {
        code: 'INVALID_INPUT',
        message: 'A quantity is a whole number, 1 or more.',
        field: [...field, 'quantity'],
      };
    if (lines.findIndex((line) => line.lineId === lineId) < index)
      return {
        code: 'INVALID_INPUT',
        message: 'Each line is named once.',
        field: [...field, 'lineId'],
      };
  }
  return null;
}

/** Locks the order: from here on its lines stand still. */
async function returnProblem(
  client: pg.PoolClient,
  caller: Caller,
  input: OrderReturnInput,
): Promise<Problem | null> {
  const { rows } = await client.query<{ counted_before: boolean }>(
    `SELECT orders.channel_created_at < date_trunc('second', connection.connected_at) AS counted_before
       FROM orders JOIN connections connection ON connection.id = orders.connection_id
      WHERE orders.id = $1 AND orders.account_id = $2 FOR UPDATE OF orders`,
    [input.orderId, caller.accountId],
  );
  const [order] = rows;
  if (order === undefined)
    return { code: 'NOT_FOUND', message: 'There is no such order.', field: ['input', 'orderId'] };
  const { rows: lines } = await client.query<{ id: string; left: number }>(
    'SELECT id, shipped_max - returned AS left FROM order_lines WHERE order_id = $1',
    [input.orderId],
  );
  for (const [index, { lineId, quantity }] of input.lines.entries()) {
    const line = lines.find(({ id }) => id === lineId);
    const field = ['input', 'lines', String(index)];
    if (line === undefined)
      return {
        code: 'NOT_FOUND',
        message: 'The order has no such line.',
        field: [...field, 'lineId'],
      };
    if (order.counted_before) {
      const message =
        'This order is from before the shop was connected and holds no stock here: adjust the stock instead.';
      return { code: 'EXCEEDS_SHIPPED', message, field: [...field, 'quantity'], current: 0 };
    }
    if (quantity > line.left) {
      const message = `Of this line ${line.left} can still come back.`;
      return { code: 'EXCEEDS_SHIPPED', message, field: [...field, 'quantity'], current: line.left };
    }
  }
  return null;
}

async function book(client: pg.PoolClient, caller: Caller, input: OrderReturnInput): Promise<OrderEffect> {
  const { accountId, actor } = caller;
  await client.query(
    `INSERT INTO order_returns (account_id, order_id, order_line_id, quantity, restock, reason, reference, actor_kind, actor_id)
     SELECT $1, $2, "lineId", quantity, $4, $5, $6, $7, $8 FROM jsonb_to_recordset($3::jsonb) AS line ("lineId" uuid, quantity integer)`,
    [
      accountId,
      input.orderId,
      JSON.stringify(input.lines),
      input.restock,
      input.reason,
      input.reference,
      actor.kind,
      actor.id,
    ],
  );
  return reapplyOrder(client, {
    accountId,
    orderId: input.orderId,
    localStatus: null,
    actor,
    returns: input.lines.map(({ lineId, quantity }) => ({
      lineId,
      quantity,
      restocked: input.restock ? quantity : 0,
    })),
    reference: input.reference,
  });
}
