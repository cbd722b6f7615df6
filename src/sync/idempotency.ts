/** Makes a mutation safe to retry: the first result of a key is stored with the effect itself and answered to every repeat. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { inTransaction } from '../db.ts';
import { sqlState } from '../dbErrors.ts';
import { type Caller, type Outcome, refused } from './outcome.ts';

export type KeyedRequest = {
  readonly operation: string;
  /** At most 255 characters, chosen by the caller. */
  readonly key: string;
  /** Everything that makes two requests the same. Must be JSON. */
  readonly input: unknown;
};

/** Longest wait for the first request with the same key. */
const lockTimeoutMs = 5_000;
const lockNotAvailable = '55P03';

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
  if (key.length === 0 || key.length > 255) {
    return refused({
      code: 'INVALID_INPUT',
      message: 'An idempotency key has 1 to 255 characters.',
      field: ['input', 'idempotencyKey'],
    });
  }
  const inputHash = createHash('sha256').update(JSON.stringify(request.input)).digest('base64');
  try {
    return await inTransaction(pool, async (client) => {
      await client.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
      const inserted = await client.query(
        `INSERT INTO idempotency_keys (account_id, key, operation, input_hash) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
        [caller.accountId, key, operation, inputHash],
      );
      if (inserted.rowCount === 0) return await repeated<Value>(client, caller, request, inputHash);
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
    if (sqlState(error) !== lockNotAvailable) throw error;
    return refused({
      code: 'IN_PROGRESS',
      message: 'The first request with this idempotency key is still running. Try again in a moment.',
      field: ['input', 'idempotencyKey'],
    });
  }
}

class Refusal extends Error {
  readonly outcome: Outcome<unknown>;

  constructor(outcome: Outcome<unknown>) {
    super('refused');
    this.outcome = outcome;
  }
}

async function repeated<Value>(
  client: pg.PoolClient,
  caller: Caller,
  request: KeyedRequest,
  inputHash: string,
): Promise<Outcome<Value>> {
  const { rows } = await client.query<{ operation: string; input_hash: string; result: Value }>(
    'SELECT operation, input_hash, result FROM idempotency_keys WHERE account_id = $1 AND key = $2',
    [caller.accountId, request.key],
  );
  const [first] = rows;
  if (first?.operation === request.operation && first.input_hash === inputHash)
    return { ok: true, value: first.result };
  return refused({
    code: 'IDEMPOTENCY_KEY_REUSED',
    message: 'This idempotency key was used before with other input.',
    field: ['input', 'idempotencyKey'],
  });
}
