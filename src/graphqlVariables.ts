/** Refuses input that no part of the API can use, before anything is done with it. */
import { apiError } from './schema/apiError.ts';

/** Filters, the deepest input there is, need less than half of it. */
const variablesDepthMax = 32;

/** Throws BAD_USER_INPUT for text that PostgreSQL cannot keep, and for what nests too deep to be walked through. */
export function checkVariables(value: unknown, depth = 0): void {
  if (typeof value === 'string') checkText(value);
  if (typeof value !== 'object' || value === null) return;
  if (depth > variablesDepthMax)
    throw apiError('BAD_USER_INPUT', `Variables may be nested ${variablesDepthMax} levels deep.`);
  for (const member of Object.values(value)) checkVariables(member, depth + 1);
}

export function checkText(text: string): void {
  if (text.includes('\0')) throw apiError('BAD_USER_INPUT', 'Text must not contain the character U+0000.');
}
