/** The shape that all mutations share: one `input`, one verb of sync, the object read again, and business errors as data. */
import type { Outcome, Problem } from '../sync/outcome.ts';

/** `value` is null when the verb refused; `subject` is the id that the object is read again by, also after a refusal. */
export type Payload<Value> = {
  readonly subject: string | null;
  readonly value: Value | null;
  readonly userErrors: readonly Problem[];
};

export function answered<Value>(subject: string | null, outcome: Outcome<Value>): Payload<Value> {
  return outcome.ok
    ? { subject, value: outcome.value, userErrors: [] }
    : { subject, value: null, userErrors: outcome.problems };
}

export function refusedWith(...problems: readonly Problem[]): Payload<never> {
  return { subject: null, value: null, userErrors: problems };
}

export const idempotencyKeyDescription =
  'Yours, 1 to 255 characters, best a UUID. The same key with the same input is done once and answered alike for at least 24 hours.';
