/** What went wrong in PostgreSQL, read the same way through `pg` and through Prisma, and the one retry rule built on it. */

const retryable = new Set(['40001', '40P01']);
const attemptsMax = 10;

/** The SQLSTATE of an error from `pg` or from Prisma's driver adapter; null when it is no database error. */
export function sqlState(error: unknown): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const shape = error as {
    code?: unknown;
    cause?: { originalCode?: unknown };
    meta?: { driverAdapterError?: { cause?: { originalCode?: unknown } } };
  };
  const candidates = [
    shape.meta?.driverAdapterError?.cause?.originalCode,
    shape.cause?.originalCode,
    shape.code,
  ];
  const found = candidates.find(
    (candidate) => typeof candidate === 'string' && /^[0-9A-Z]{5}$/.test(candidate),
  );
  return typeof found === 'string' ? found : null;
}

/** The violated constraint, or null. */
export function violatedConstraint(error: unknown): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const { constraint } = error as { constraint?: unknown };
  return typeof constraint === 'string' ? constraint : null;
}

/** What was locked is not what the snapshot before the lock said: nothing was changed, and the same work may run again. */
export class OvertakenSnapshot extends Error {
  readonly code = '40001';
}

/** True for a deadlock or a snapshot that was overtaken: nothing was changed and the same work may run again. */
export function isRetryable(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && retryable.has(state);
}

/** Runs `work` again, at once, while PostgreSQL asks for it. The waiting happens inside PostgreSQL, on the lock. */
export async function withRetry<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= attemptsMax || !isRetryable(error)) throw error;
    }
  }
}
