/** A pool of a process that dies at a chosen statement: what was committed before stays, everything else never was. */
import type pg from 'pg';

export class KilledError extends Error {
  override readonly name = 'KilledError';
}

type Query = (...words: unknown[]) => Promise<unknown>;

/** So many statements until a process dies, below 0 once it is dead; may be set to that from outside. */
export type Life = { left: number };

/** The pool as a process has it that dies before its n-th statement from now: that one and everything after it fails. */
export function dyingPool(pool: pg.Pool, statements: number | Life): pg.Pool {
  const life = typeof statements === 'number' ? { left: statements } : statements;
  const dying =
    (query: Query): Query =>
    async (...words) => {
      // What the server does when the connection of a dead process breaks.
      if (words[0] === 'ROLLBACK') return query(...words);
      life.left -= 1;
      if (life.left < 0) throw new KilledError('killed');
      return query(...words);
    };
  return {
    query: dying(pool.query.bind(pool)),
    connect: async () => {
      if (life.left <= 0) {
        life.left = -1;
        throw new KilledError('killed');
      }
      const client = await pool.connect();
      return {
        query: dying(client.query.bind(client)),
        release: (error?: Error) => client.release(error),
      };
    },
  } as unknown as pg.Pool;
}

/** Lets a worker run until it dies; any other end but a normal one is a failure of the test. */
export async function untilKilled(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof KilledError)) throw error;
  }
}
