/** Sends one Selling Partner API operation within its own rate plan and answers the HTTP response, whatever its status below 500. */

import {
  ChannelError,
  type ConnectorContext,
  type HttpRequest,
  type HttpResponse,
  type RateLimit,
  type Turn,
} from '../connector.ts';
import { redactText } from '../redaction.ts';
import { jsonOrNull, statusError } from '../wire.ts';
import { type AmazonSettings, amazonErrorsSchema, createAmazonSend } from './auth.ts';

/** Requests per second and burst, per operation and seller (usage plan tables of the Selling Partner API models), and who needs it most. */
const usagePlans = {
  searchOrders: { perSecond: 0.0056, burst: 20, mostUrgent: 'orders' },
  getOrder: { perSecond: 0.5, burst: 30, mostUrgent: 'orders' },
  confirmShipment: { perSecond: 2, burst: 10, mostUrgent: 'read' },
  searchListingsItems: { perSecond: 5, burst: 5, mostUrgent: 'lower' },
  getListingsItem: { perSecond: 5, burst: 10, mostUrgent: 'lower' },
  patchListingsItem: { perSecond: 5, burst: 5, mostUrgent: 'lower' },
  getMarketplaceParticipations: { perSecond: 0.016, burst: 15, mostUrgent: 'read' },
  // The plan says 15, but five listings feeds in five minutes are the most: three, and what comes back in that time, are never more.
  createFeed: { perSecond: 0.0083, burst: 3, mostUrgent: 'raise' },
  createFeedDocument: { perSecond: 0.5, burst: 15, mostUrgent: 'raise' },
  getFeed: { perSecond: 2, burst: 15, mostUrgent: 'read' },
  getFeeds: { perSecond: 0.0222, burst: 10, mostUrgent: 'read' },
  getFeedDocument: { perSecond: 0.0222, burst: 10, mostUrgent: 'read' },
} as const;

export type AmazonOperation = keyof typeof usagePlans;

export type AmazonRequest = {
  readonly operation: AmazonOperation;
  readonly method: HttpRequest['method'];
  /** Below the base URL; its parts already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly retry: HttpRequest['retry'];
  /** True: wait for the next token of the usage plan, however long its refill takes. */
  readonly patient?: boolean;
};

export type StorageRequest = Pick<HttpRequest, 'url' | 'headers' | 'body'> & {
  readonly method: 'GET' | 'PUT';
  readonly operation: string;
};

export interface AmazonApi {
  readonly settings: AmazonSettings;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  send(request: AmazonRequest): Promise<HttpResponse>;
  /** To the presigned URL of a document. The URL is the permission: no token of the seller goes there. */
  store(request: StorageRequest): Promise<HttpResponse>;
  /** The same, taking another turn. */
  inTurn(turn: Turn): AmazonApi;
}

const patienceBeyondRefillMs = 30_000;

export function createAmazonApi(context: ConnectorContext, settings: AmazonSettings): AmazonApi {
  const authorizedSend = createAmazonSend(context, settings);
  const grantedRates = new Map<AmazonOperation, number>();

  const budgetFor = (operation: AmazonOperation): RateLimit => {
    const plan = usagePlans[operation];
    const scale = settings.rateScale;
    return {
      key: `amazon.${settings.sellerId}.${operation}`,
      perSecond: grantedRates.get(operation) ?? plan.perSecond * scale,
      burst: Math.max(1, plan.burst * scale),
      mostUrgent: plan.mostUrgent,
    };
  };

  const inTurn = (turn: Turn): AmazonApi => ({
    settings,
    now: context.now,
    inTurn,
    store: ({ operation, ...request }) =>
      context.http.send({
        ...request,
        operation: `amazon.${operation}`,
        // A document is complete or not there: putting it twice is putting it once.
        retry: 'safe',
        binary: true,
        turn,
      }),
    async send({ operation, method, path, query, json, retry, patient = false }) {
      const budget = budgetFor(operation);
      const refillMs = Math.ceil(1000 / budget.perSecond);
      const search = query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;
      const response = await authorizedSend((accessToken) => ({
        method,
        url: `${settings.apiBaseUrl}${path}${search}`,
        headers: {
          accept: 'application/json',
          'x-amz-access-token': accessToken,
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        operation: `amazon.${operation}`,
        retry,
        budget,
        turn,
        ...(patient ? { deadlineMs: refillMs + patienceBeyondRefillMs } : {}),
      }));
      // A seller may have been granted another rate than the default. A scaled plan is deliberate and stays.
      const granted = Number(response.headers.get('x-amzn-ratelimit-limit'));
      if (settings.rateScale === 1 && granted > 0) grantedRates.set(operation, granted);
      return response;
    },
  });
  return inTurn({ urgency: 'read' });
}

/** The error of an answer that is not a success, with Amazon's first error code in its message. */
export function amazonError(response: HttpResponse, operation: AmazonOperation): ChannelError {
  const error = statusError(response, `amazon.${operation}`);
  const code = firstErrorCode(response);
  if (code === null) return error;
  return new ChannelError(error.code, `${error.message} ${code}`, { status: error.status, raw: error.raw });
}

/** Amazon's first error code, such as `InvalidInput`; null when the body has none. */
export function firstErrorCode(response: HttpResponse): string | null {
  const parsed = amazonErrorsSchema.safeParse(jsonOrNull(response.text));
  const code = parsed.success ? parsed.data.errors[0]?.code : undefined;
  return code === undefined ? null : redactText(code, 80);
}
