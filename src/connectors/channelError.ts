/** The one error that a connector throws, with what its caller must know to go on. */

export type ChannelErrorCode =
  /** The access token is refused and a refresh did not help: the seller must authorise again. */
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  /** Still limited at the deadline. `retryAfterMs` says when to come back. */
  | 'rate_limited'
  /** 5xx at the deadline. */
  | 'unavailable'
  /** No answer within the deadline. */
  | 'timeout'
  | 'network'
  /** The channel refused the request as wrong. */
  | 'rejected'
  /** The answer is not what the marketplace's specification promises. */
  | 'invalid_response'
  /** Settings or credentials of the connection are incomplete. */
  | 'misconfigured';

export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  readonly code: ChannelErrorCode;
  /** True when the request may have taken effect although no answer came. */
  readonly maybeApplied: boolean;
  /** True when the request was never sent, because a call that had to come before it failed with this error. */
  readonly neverSent: boolean;
  readonly retryAfterMs: number | null;
  readonly status: number | null;
  /** The channel's own error body, redacted and shortened. */
  readonly raw: unknown;

  constructor(
    code: ChannelErrorCode,
    message: string,
    details: {
      readonly maybeApplied?: boolean;
      readonly neverSent?: boolean;
      readonly retryAfterMs?: number | null;
      readonly status?: number | null;
      readonly raw?: unknown;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: details.cause });
    this.code = code;
    this.maybeApplied = details.maybeApplied ?? false;
    this.neverSent = details.neverSent ?? false;
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.status = details.status ?? null;
    this.raw = details.raw;
  }
}
