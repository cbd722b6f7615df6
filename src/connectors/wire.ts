/** The boundary: a channel's answer either becomes a checked value or a `ChannelError` that names the place that is wrong. */

import { z } from 'zod';
import {
  ChannelError,
  type ChannelErrorCode,
  type HttpResponse,
  type Money,
  type PriceRefusal,
  type PriceWriteResult,
  type StockWriteResult,
  type Turn,
} from './connector.ts';
import { moneyFromDecimal } from './money.ts';
import { redactText } from './redaction.ts';

/** An ISO 8601 time with a zone, as a `Date`. */
export const instantSchema = z.string().transform((text, context) => {
  const at = new Date(text);
  if (!Number.isNaN(at.getTime())) return at;
  context.addIssue({ code: 'custom', message: `"${text.slice(0, 40)}" is not a time` });
  return z.NEVER;
});

/** An identifier that one endpoint writes as a number and another as a string. */
export const identifierSchema = z.union([z.string().min(1), z.number().int().transform(String)]);

/** Keeps the channel's own value beside the checked one, for storing it unchanged. */
export function withRaw<Schema extends z.ZodType>(schema: Schema) {
  return z
    .unknown()
    .transform((raw, context): { readonly value: z.output<Schema>; readonly raw: unknown } => {
      const result = schema.safeParse(raw);
      if (result.success) return { value: result.data, raw };
      for (const { path, message } of result.error.issues)
        context.addIssue({ code: 'custom', path, message });
      return z.NEVER;
    });
}

/** Parses and checks an answer body. Throws `ChannelError` (`invalid_response`) with the path of the first wrong member. */
export function parseBody<Schema extends z.ZodType>(
  schema: Schema,
  response: { readonly text: string },
  operation: string,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(response.text);
  } catch (cause) {
    throw new ChannelError('invalid_response', `${operation}: the answer is not JSON`, {
      raw: redactText(response.text, 500),
      cause,
    });
  }
  return parseValue(schema, value, operation);
}

/** Checks a value that is already parsed. Throws `ChannelError` (`invalid_response`). */
export function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  operation: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ChannelError('invalid_response', `${operation}: ${firstProblem(result.error)}`);
}

/** Checks a connection's settings or credentials. Throws `ChannelError` (`misconfigured`) that names every wrong member. */
export function parseSettings<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`);
  throw new ChannelError('misconfigured', `${what}: ${problems.join('; ')}`);
}

/** The value of a JSON text, or null when the text is none. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The amount, or null when it is absent or unreadable: a strange price must not keep an order from moving stock. */
export function moneyOrNull(
  amount: string | null | undefined,
  currency: string | null | undefined,
): Money | null {
  if (amount === null || amount === undefined || currency === null || currency === undefined) return null;
  try {
    return moneyFromDecimal(amount, currency);
  } catch (error) {
    if (error instanceof ChannelError) return null;
    throw error;
  }
}

/** The error for an answer that is not the expected success. 3xx is `invalid_response`: redirects are never followed. */
export function statusError(response: HttpResponse, operation: string): ChannelError {
  return new ChannelError(codeOfStatus(response.status), `${operation}: HTTP ${response.status}`, {
    status: response.status,
    raw: redactText(response.text),
  });
}

/**
 * Waits for a call that must come before another one, such as a token or a reading. Whatever became of it, its failure leaves no doubt
 * about the other call: that one was never sent. Throws the `ChannelError` with `neverSent`.
 */
export async function precedingCall<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    const { retryAfterMs, status, raw } = error;
    throw new ChannelError(error.code, error.message, {
      neverSent: true,
      retryAfterMs,
      status,
      raw,
      cause: error,
    });
  }
}

/** Asked before the first call of a write that had to queue for others. Throws `ChannelError` when its turn came too late. */
export function assertInTime({ leaveBy = Number.POSITIVE_INFINITY }: Turn, now: number): void {
  if (now <= leaveBy) return;
  throw new ChannelError('rate_limited', 'the turn of this write came too late', { retryAfterMs: 0 });
}

/** What a failed call means for one stock write. Anything that may have been applied is `unknown`, never `deferred`. */
export function stockWriteFailure(error: unknown): StockWriteResult {
  if (!(error instanceof ChannelError)) throw error;
  const why = { reason: error.message, error: error.code };
  if (error.maybeApplied) return { kind: 'unknown', ...why };
  // The channel took the request and answered what nobody can read: it may have done it.
  if (error.code === 'invalid_response' && !error.neverSent) return { kind: 'unknown', ...why };
  if (refusals.has(error.code)) {
    return { kind: 'rejected', code: error.code, message: error.message, raw: error.raw };
  }
  const retryAfterMs = error.retryAfterMs ?? (slowToMend.has(error.code) ? 60_000 : 1_000);
  return { kind: 'deferred', ...why, retryAfterMs };
}

/** What a failed call means for one price write. */
export function priceWriteFailure(error: unknown): PriceWriteResult {
  return priceResultOf(stockWriteFailure(error));
}

/** The same answer about a price; `refusal` says why when it is a refusal. */
export function priceResultOf(result: StockWriteResult, refusal: PriceRefusal = 'other'): PriceWriteResult {
  switch (result.kind) {
    case 'accepted':
    case 'unknown':
    case 'deferred':
      return result;
    case 'rejected':
      return refusedPrice(refusal, result.code, result.message);
    case 'effective':
    case 'stale':
      throw new Error(`${result.kind} says nothing of a price`);
  }
}

export function refusedPrice(refusal: PriceRefusal, code: string, message: string): PriceWriteResult {
  return { kind: 'refused', refusal, code, message };
}

/** A price is never converted: a listing in another currency is left alone. */
export function wrongCurrency(asked: Money, listed: string): PriceWriteResult {
  const message = `The listing is sold in ${listed}, the price is in ${asked.currency}`;
  return refusedPrice('wrong_currency', 'wrong_currency', message);
}

const refusals = new Set<ChannelErrorCode>(['rejected', 'forbidden', 'not_found']);
/** The seller must act, or the channel must answer in its own form again. */
const slowToMend = new Set<ChannelErrorCode>(['unauthorized', 'misconfigured', 'invalid_response']);

function codeOfStatus(status: number): ChannelErrorCode {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not_found';
  if (status === 429) return 'rate_limited';
  if (status >= 500) return 'unavailable';
  return status >= 400 ? 'rejected' : 'invalid_response';
}

function firstProblem(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? 'not as specified' : `${pathOf(issue.path)}: ${issue.message}`;
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? '(root)' : path.map(String).join('.');
}
