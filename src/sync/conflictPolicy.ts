/** How an account has proven conflicts decided without asking. It counts for what is proven from then on; what is open stays a person's. */
import type { Queryable } from '../db.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import type { ConflictPolicyInput } from './sync.ts';

/** The range of the columns. */
const limit = 1_000_000_000;

export async function setConflictPolicy(
  db: Queryable,
  caller: Caller,
  input: ConflictPolicyInput,
): Promise<Outcome<{ readonly accountId: string }>> {
  const { resolution, unitsMax, priceToleranceMinor } = input;
  const problems = [
    ...rangeProblem('unitsMax', unitsMax),
    ...rangeProblem('priceToleranceMinor', priceToleranceMinor ?? 0),
  ];
  if (problems.length > 0) return refused(...problems);
  await db.query(
    `UPDATE accounts SET auto_resolution = $2, auto_resolution_units_max = $3, price_tolerance_minor = coalesce($4, price_tolerance_minor),
            updated_at = now()
      WHERE id = $1`,
    [caller.accountId, resolution, unitsMax, priceToleranceMinor],
  );
  return done({ accountId: caller.accountId });
}

function rangeProblem(field: string, value: number): readonly Problem[] {
  if (Number.isSafeInteger(value) && value >= 0 && value <= limit) return [];
  const message = `${field} is a whole number from 0 to ${limit}.`;
  return [{ code: 'INVALID_INPUT', message, field: ['input', field] }];
}
