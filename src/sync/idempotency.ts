/** Makes a mutation safe to retry: the first result of a key is stored with the effect itself and answered to every repeat. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { inTransaction, type Queryable } from '../db.ts';
import { sqlState, violatedConstraint } from '../dbErrors.ts';
import { type Caller, type Outcome, type Problem, refused } from './outcome.ts';

export type KeyedRequest = {
  readonly operation: string;
  /** At most 255 characters, chosen by the caller. */
  readonly key: string;
  /** Everything that makes two requests the same. Must be JSON. */
  readonly input: unknown;
};

/** Begins the keys that no caller can choose. */
export const internalKey = '\u0001';

/** Longest wait for the first request with the same key, and then for each lock that the work needs. */
const lockTimeoutMs = 5_000;
const lockNotAvailable = '55P03';
/** Movements carry the key of their request, and outlive the stored result. */
const movementKey = 'stock_movements_account_id_idempotency_key_key';

/**
 * Runs `work` in a transaction that also stores its outcome under the key. A refused outcome is not stored and undoes the transaction, so the
 * caller may correct the request and use the key again.
 */
export async function once<Value>(
  pool: pg.Pool,
  caller: Caller,
  request: KeyedRequest,
  work: (client: pg.PoolClient) => Promise<Outcome<Value>>,
): Promise<Outcome<Value>> {
  const { key, operation } = request;
  if (key.length === 0 || key.length > 255 || key.startsWith(internalKey)) {
    return refused({
      code: 'INVALID_INPUT',
      message: 'An idempotency key has 1 to 255 characters and begins with a printable one.',
      field: ['input', 'idempotencyKey'],
    });
  }
  const inputHash = hashOf(request);
  let first = false;
  try {
    return await inTransaction(pool, async (client) => {
      first = false;
      await client.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
      const inserted = await client.query(
        `INSERT INTO idempotency_keys (account_id, key, operation, input_hash) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
        [caller.accountId, key, operation, inputHash],
      );
      if (inserted.rowCount === 0)
        return ((await firstResult(client, caller, request)) ?? reused()) as Outcome<Value>;
      first = true;
      const outcome = await work(client);
      if (!outcome.ok) throw new Refusal(outcome);
      await client.query('UPDATE idempotency_keys SET result = $3 WHERE account_id = $1 AND key = $2', [
        caller.accountId,
        key,
        JSON.stringify(outcome.value),
      ]);
      return outcome;
    });
  } catch (error) {
    if (error instanceof Refusal) return error.outcome as Outcome<Value>;
    if (violatedConstraint(error) === movementKey) return reused();
    if (sqlState(error) !== lockNotAvailable) throw error;
    return refused(
      inProgress(
        first
          ? 'Another change holds what this request needs. Nothing was changed: send the same request again.'
          : 'The first request with this idempotency key is still running. Try again in a moment.',
      ),
    );
  }
}

class Refusal extends Error {
  readonly outcome: Outcome<unknown>;

  constructor(outcome: Outcome<unknown>) {
    super('refused');
    this.outcome = outcome;
  }
}

/** What the first request with this key was answered, or that it was another request; null when there was none. */
export async function firstResult(
  db: Queryable,
  caller: Caller,
  request: KeyedRequest,
): Promise<Outcome<unknown> | null> {
  const { rows } = await db.query<{ operation: string; input_hash: string; result: unknown }>(
    'SELECT operation, input_hash, result FROM idempotency_keys WHERE account_id = $1 AND key = $2',
    [caller.accountId, request.key],
  );
  const [first] = rows;
  if (first === undefined) return null;
  if (first.operation !== request.operation || first.input_hash !== hashOf(request)) return reused();
  return { ok: true, value: first.result };
}

/**
 * Does once what no transaction can hold, such as a call to a channel: `work` runs while nobody else runs it under this key, and never again after
 * it has answered null. A problem that it answers, or an error, frees the key; should the process die, the key is free again after `leaseMs`.
 */
export async function onceOutside(
  db: Queryable,
  caller: Caller,
  request: Pick<KeyedRequest, 'operation' | 'key'>,
  leaseMs: number,
  work: () => Promise<Problem | null>,
): Promise<Problem | null> {
  const values = [caller.accountId, request.key];
  const taken = await db.query(
    `INSERT INTO idempotency_keys AS current (account_id, key, operation, input_hash) VALUES ($1, $2, $3, '')
     ON CONFLICT (account_id, key) DO UPDATE SET created_at = now()
      WHERE current.result IS NULL AND current.created_at < now() - $4 * interval '1 ms'`,
    [...values, request.operation, leaseMs],
  );
  if (taken.rowCount === 0) {
    const { rows } = await db.query<{ finished: boolean }>(
      'SELECT result IS NOT NULL AS finished FROM idempotency_keys WHERE account_id = $1 AND key = $2',
      values,
    );
    return rows[0]?.finished === true
      ? null
      : inProgress('Another request is doing this. Try again in a moment.');
  }
  let finished = false;
  try {
    const problem = await work();
    finished = problem === null;
    return problem;
  } finally {
    await db.query(
      finished
        ? `UPDATE idempotency_keys SET result = 'true' WHERE account_id = $1 AND key = $2`
        : 'DELETE FROM idempotency_keys WHERE account_id = $1 AND key = $2 AND result IS NULL',
      values,
    );
  }
}

function hashOf({ input }: KeyedRequest): string {
  return createHash('sha256').update(JSON.stringify(input)).digest('base64');
}

function reused(): Outcome<never> {
  return refused({
    code: 'IDEMPOTENCY_KEY_REUSED',
    message: 'This idempotency key was used before with other input.',
    field: ['input', 'idempotencyKey'],
  });
}

function inProgress(message: string): Problem {
  return { code: 'IN_PROGRESS', message, field: ['input', 'idempotencyKey'] };
}
