/** Sends one request within a deadline: waits for its rate budget, retries what may be retried, and never lets a secret into a log or error. */

import { setTimeout as wait } from 'node:timers/promises';
import {
  type AnsweredAt,
  ChannelError,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
} from './connector.ts';
import type { RateBudget } from './rateBudget.ts';
import { redactText, redactUrl } from './redaction.ts';
import { type Refusal, refusalOf } from './refusal.ts';

export type HttpLog = {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
};

export type HttpClientOptions = {
  readonly budget: RateBudget;
  readonly log?: HttpLog;
  /** Told of every answer, whatever it says. */
  readonly onAnswer?: (answer: AnsweredAt) => void;
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds since the epoch; default the system clock. */
  readonly now?: () => number;
  /** In [0, 1); spreads retries. */
  readonly random?: () => number;
  readonly sleep?: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** Whole time for one `send`, waiting and retries included. Default 30 000. */
  readonly deadlineMs?: number;
  /** Time for one attempt, body included. Default 10 000. */
  readonly attemptTimeoutMs?: number;
  /** Attempts after the first. Default 4. */
  readonly retriesMax?: number;
  /** Upper bound of the first random delay; doubles with each retry. Default 250. */
  readonly backoffBaseMs?: number;
  /** Default 8 000. */
  readonly backoffMaxMs?: number;
  /** Largest answer body. Default 16 MiB. */
  readonly responseBytesMax?: number;
  readonly userAgent?: string;
  /** Ends every waiting and running request, for shutdown. */
  readonly signal?: AbortSignal;
};

type Settings = Required<Omit<HttpClientOptions, 'signal' | 'log'>> & {
  readonly signal: AbortSignal | undefined;
  readonly log: HttpLog;
};

/** A failure of one attempt, before the client decides whether to try again. */
type Failure = {
  readonly error: ChannelError;
  readonly retryable: boolean;
  /** False when the channel certainly did nothing: never connected, or answered 429. */
  readonly maybeApplied: boolean;
};

type Outcome = { readonly response: HttpResponse } | Failure;

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const settings: Settings = {
    budget: options.budget,
    log: options.log ?? { debug() {}, warn() {} },
    onAnswer: options.onAnswer ?? (() => undefined),
    fetch: options.fetch ?? globalThis.fetch,
    now: options.now ?? Date.now,
    random: options.random ?? Math.random,
    sleep: options.sleep ?? ((milliseconds, signal) => wait(milliseconds, undefined, signal && { signal })),
    deadlineMs: options.deadlineMs ?? 30_000,
    attemptTimeoutMs: options.attemptTimeoutMs ?? 10_000,
    retriesMax: options.retriesMax ?? 4,
    backoffBaseMs: options.backoffBaseMs ?? 250,
    backoffMaxMs: options.backoffMaxMs ?? 8_000,
    responseBytesMax: options.responseBytesMax ?? 16 * 1024 * 1024,
    userAgent: options.userAgent ?? 'listgenius-sync/0.1 (Language=TypeScript)',
    signal: options.signal,
  };
  return { send: (request) => send(settings, request) };
}

async function send(settings: Settings, request: HttpRequest): Promise<HttpResponse> {
  assertSendable(request);
  const { leaveBy = Number.POSITIVE_INFINITY } = request.turn ?? {};
  // However many calls a write takes, the last of them that goes by its turn has ended one deadline after it was to leave.
  const deadlineAt = Math.min(settings.now(), leaveBy) + (request.deadlineMs ?? settings.deadlineMs);
  const waitsUntil = Math.min(deadlineAt, leaveBy);
  let failed: ChannelError | null = null;
  // Sticky: once an attempt may have taken effect, no later answer that says "nothing happened" takes that back.
  let maybeApplied = false;
  for (let attempt = 1; ; attempt += 1) {
    await waitForBudget(settings, request, waitsUntil, maybeApplied);
    const startedAt = settings.now();
    if (startedAt > deadlineAt - leastMs(settings, request)) throw failed ?? tooLate(request);
    const outcome = await attemptOnce(settings, request, deadlineAt - startedAt);
    const fields = { operation: request.operation, attempt, durationMs: settings.now() - startedAt };
    if ('response' in outcome) {
      settings.log.debug({ ...fields, status: outcome.response.status }, 'channel answered');
      return outcome.response;
    }
    const { error } = outcome;
    maybeApplied ||= outcome.maybeApplied;
    const delay = await delayBeforeRetry(settings, request, error, attempt);
    const retry = outcome.retryable && attempt <= settings.retriesMax && settings.now() + delay < waitsUntil;
    const message = retry ? 'channel call failed, trying again' : 'channel call failed';
    settings.log.warn(
      {
        ...fields,
        status: error.status,
        code: error.code,
        url: redactUrl(request.url),
        delayMs: retry ? delay : null,
      },
      message,
    );
    failed = withDetails(error, maybeApplied, error.code === 'rate_limited' ? delay : error.retryAfterMs);
    if (!retry) throw failed;
    await pause(settings, request, delay, maybeApplied);
  }
}

function assertSendable(request: HttpRequest): void {
  const protocol = URL.canParse(request.url) ? new URL(request.url).protocol : null;
  if (protocol !== 'https:' && protocol !== 'http:') {
    throw new ChannelError(
      'misconfigured',
      `${request.operation}: "${redactUrl(request.url)}" is not an http(s) URL`,
    );
  }
}

/** What is sent once would, with hardly any time left, only end as not known: less than a second, or than a tenth of the deadline where that is shorter. */
function leastMs({ deadlineMs }: Settings, { retry }: HttpRequest): number {
  return retry === 'never' ? Math.min(1_000, deadlineMs / 10) : 1;
}

function tooLate({ operation }: HttpRequest): ChannelError {
  return new ChannelError('rate_limited', `${operation}: its turn came too late`, { retryAfterMs: 0 });
}

/** Asks again after each wait, because another worker may have been quicker. */
async function waitForBudget(
  settings: Settings,
  request: HttpRequest,
  waitsUntil: number,
  maybeApplied: boolean,
): Promise<void> {
  if (request.budget === undefined) return;
  const asked = { ...request.budget, urgency: request.turn?.urgency ?? 'read' };
  for (;;) {
    const milliseconds = await settings.budget.take(asked);
    if (milliseconds <= 0) return;
    if (settings.now() + milliseconds >= waitsUntil) {
      throw new ChannelError('rate_limited', `${request.operation}: the rate budget is spent`, {
        maybeApplied,
        retryAfterMs: milliseconds,
      });
    }
    await pause(settings, request, milliseconds, maybeApplied);
  }
}

async function pause(
  settings: Settings,
  request: HttpRequest,
  milliseconds: number,
  maybeApplied: boolean,
): Promise<void> {
  try {
    await settings.sleep(milliseconds, settings.signal);
  } catch (cause) {
    throw new ChannelError('network', `${request.operation}: stopped while waiting`, { maybeApplied, cause });
  }
}

async function attemptOnce(settings: Settings, request: HttpRequest, remainingMs: number): Promise<Outcome> {
  const timeout = AbortSignal.timeout(Math.max(1, Math.min(settings.attemptTimeoutMs, remainingMs)));
  const signal = settings.signal ? AbortSignal.any([timeout, settings.signal]) : timeout;
  try {
    const from = settings.now();
    const answer = await settings.fetch(request.url, {
      method: request.method,
      headers: { 'user-agent': settings.userAgent, ...request.headers },
      body: request.body ?? null,
      // A redirect would carry our own secret headers to a host that nobody configured.
      redirect: 'manual',
      signal,
    });
    const { headers } = answer;
    settings.onAnswer({ date: headers.get('date'), age: headers.get('age'), from, until: settings.now() });
    const text = await boundedText(answer, settings.responseBytesMax, request);
    const response = { status: answer.status, headers, text };
    const refusal = refusalOf(response.status, response.headers, text, settings.now());
    return refusal === null ? { response } : refusedAttempt(request, response, refusal);
  } catch (error) {
    return connectionFailure(request, error, timeout.aborted, settings.signal?.aborted ?? false);
  }
}

async function boundedText(answer: Response, bytesMax: number, request: HttpRequest): Promise<string> {
  if (answer.body === null) return '';
  const decoder = new TextDecoder();
  const decode = (chunk: Uint8Array): string =>
    request.binary === true ? Buffer.from(chunk).toString('latin1') : decoder.decode(chunk, { stream: true });
  let bytes = 0;
  let text = '';
  for await (const chunk of answer.body) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) {
      throw new ChannelError(
        'invalid_response',
        `${request.operation}: the answer exceeds ${bytesMax} bytes`,
        {
          maybeApplied: request.method !== 'GET',
          status: answer.status,
        },
      );
    }
    text += decode(chunk);
  }
  return text + decoder.decode();
}

function refusedAttempt(request: HttpRequest, response: HttpResponse, refusal: Refusal): Failure {
  const limited = refusal.code === 'rate_limited';
  const maybeApplied = !limited && request.method !== 'GET';
  const message = `${request.operation}: ${limited ? 'too many requests' : 'the channel failed'} (HTTP ${response.status})`;
  const error = new ChannelError(refusal.code, message, {
    maybeApplied,
    retryAfterMs: refusal.retryAfterMs,
    status: response.status,
    raw: redactText(response.text),
  });
  return { error, retryable: limited || request.retry === 'safe', maybeApplied };
}

/** Failures that happen before a byte of the request has left. */
const unsentCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function connectionFailure(request: HttpRequest, cause: unknown, late: boolean, stopped: boolean): Failure {
  if (cause instanceof ChannelError) {
    return { error: cause, retryable: false, maybeApplied: cause.maybeApplied };
  }
  const code = causeCode(cause);
  const unsent = code !== null && unsentCodes.has(code);
  const maybeApplied = !unsent && request.method !== 'GET';
  const reason = stopped ? 'stopped' : late ? 'no answer in time' : (code ?? 'the connection failed');
  const kind = late && !stopped ? 'timeout' : 'network';
  const error = new ChannelError(kind, `${request.operation}: ${reason}`, { maybeApplied, cause });
  return { error, retryable: !stopped && (unsent || request.retry === 'safe'), maybeApplied };
}

function causeCode(error: unknown): string | null {
  for (
    let current = error, depth = 0;
    current instanceof Error && depth < 4;
    current = current.cause, depth += 1
  ) {
    if ('code' in current && typeof current.code === 'string') return current.code;
  }
  return null;
}

/** The larger of what the channel asked for and a random delay (full jitter); a 429 also closes the budget for everybody else. */
async function delayBeforeRetry(
  settings: Settings,
  request: HttpRequest,
  error: ChannelError,
  attempt: number,
): Promise<number> {
  const ceiling = Math.min(settings.backoffMaxMs, settings.backoffBaseMs * 2 ** (attempt - 1));
  const jitter = Math.floor(settings.random() * ceiling);
  if (error.code !== 'rate_limited') return Math.max(error.retryAfterMs ?? 0, jitter);
  const oneToken = request.budget === undefined ? 0 : Math.ceil(1000 / request.budget.perSecond);
  const closed = error.retryAfterMs ?? oneToken;
  if (request.budget !== undefined) await settings.budget.penalise(request.budget.key, closed);
  return Math.max(closed, jitter);
}

function withDetails(error: ChannelError, maybeApplied: boolean, retryAfter: number | null): ChannelError {
  return new ChannelError(error.code, error.message, {
    maybeApplied,
    retryAfterMs: retryAfter,
    status: error.status,
    raw: error.raw,
    cause: error.cause,
  });
}
