/** What a marketplace is to the sandbox: routes in its own wire shapes, its own errors, its own webhooks; faults apply to all alike. */
import type { Cancel, Clock } from './clock.ts';
import type { Faults } from './faults.ts';
import type { Platform, ShopEvent } from './goods.ts';
import {
  type Answer,
  type HttpCall,
  type HttpServer,
  listen,
  pathPattern,
  Refusal,
  type Reply,
} from './http.ts';
import type { Random } from './random.ts';
import { Ring } from './ring.ts';
import type { Shop, StockView } from './world.ts';

/** A request as a handler sees it, with what the faults want done inside it. */
export type Call = HttpCall & {
  /** Decoded parameters of the path pattern. */
  readonly params: Readonly<Record<string, string>>;
  readonly operation: string;
  /** Stock as this call may see it: stale when the shop's settings or a fault say so. Take it once per request. */
  view(): StockView;
  /** The rows of a list answer, cut short by a fault. Cut after paging, and then say that there is no more. */
  cut<T>(rows: readonly T[]): readonly T[];
  /** True when `cut` shortens: the answer then claims to be the last page. */
  readonly cutShort: boolean;
  /** Extra delay of writes accepted by this call: pass it to `shop.write`. */
  readonly lateEffectMs: number;
};

export type Route = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** For instance `/v3/application/shops/:shopId/receipts`. */
  readonly path: string;
  /** The name that faults and the request journal use: the specification's operationId, or drawn from the body (GraphQL). */
  readonly operation: string | ((call: HttpCall) => string);
  /** May throw `Refusal` to answer early. */
  readonly handle: (call: Call) => Reply | Promise<Reply>;
};

/** How the marketplace says what every marketplace says. */
export type ChannelErrors = {
  notFound(call: HttpCall): Reply;
  rateLimited(retryAfterSeconds: number, call: HttpCall): Reply;
  /** `status` is from 500 to 599. */
  serverError(status: number, call: HttpCall): Reply;
};

/** What a connector is given to reach this marketplace; plain data. */
export type Connection = {
  readonly platform: Platform;
  readonly name: string;
  readonly externalAccountId: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Strings; times are ISO 8601. */
  readonly credentials: Readonly<Record<string, string>>;
};

/** How late a marketplace is at worst, in milliseconds. */
export type ConnectionBounds = {
  readonly staleMaxMs: number;
  readonly settleMaxMs: number;
  readonly indexLagMs: number;
  readonly clockSkewMaxMs: number;
};

/** A request that was given up once it had arrived may still be carried out for so long. */
const carriedOutMs = 500;
/** Marketplaces tell times to the second. */
const roundingMs = 1_000;

export function boundsOf(shop: Shop): ConnectionBounds {
  const { readStaleMs, writeEffectMs, orderIndexLagMs } = shop.settings;
  return {
    staleMaxMs: readStaleMs.max,
    settleMaxMs: writeEffectMs.max + carriedOutMs,
    indexLagMs: orderIndexLagMs.max,
    clockSkewMaxMs: roundingMs,
  };
}

/** One webhook. The body is the same for every attempt. */
export type Delivery = {
  readonly id: string;
  readonly topic: string;
  readonly body: string;
  /** Headers of one attempt, signature included. `attempt` starts at 1; `at` is the time of sending in milliseconds. */
  headers(attempt: number, at: number): Readonly<Record<string, string>>;
  /** Where this one goes instead of the channel's webhook target. */
  readonly target?: string;
  /** The body of one attempt when it says which attempt it is (eBay's `publishAttemptCount`). Default: `body`. */
  bodyOf?(attempt: number): string;
};

export type Channel = {
  readonly platform: Platform;
  readonly routes: readonly Route[];
  readonly errors: ChannelErrors;
  /** Fresh tokens in the connection each time; `baseUrl` has no slash at the end; `webhookUrl` is null while nobody listens. */
  connection(baseUrl: string, webhookUrl: string | null): Connection;
  /** The webhooks that the marketplace sends for something that happened in the shop. */
  deliveries(event: ShopEvent): readonly Delivery[];
  /** Makes every access token given out so far expired; refresh tokens stay good. */
  expireTokens(): void;
  /** Forgets what the channel remembers beside the shop (idempotency keys, feeds). Called when the shop is cleared. */
  clear(): void;
};

export type ChannelParts = {
  readonly shop: Shop;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Multiplies every documented rate limit (requests per second, points per second): 1 is the real marketplace, 1000 never stands in the way
   * of a demo. Also given to the connector as `settings.rateScale`.
   */
  readonly rateScale: number;
};

export type ChannelFactory = (parts: ChannelParts) => Channel;

export type RequestRecord = {
  readonly at: number;
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  /** Null when the connection was destroyed. */
  readonly status: number | null;
};

export type ChannelServer = HttpServer & {
  /** The newest requests, oldest first. */
  readonly requests: Ring<RequestRecord>;
};

const requestsKept = 5_000;

/** Serves one channel on loopback, with faults applied around its routes. */
export async function serveChannel(
  channel: Channel,
  parts: { readonly shop: Shop; readonly clock: Clock; readonly faults: Faults; readonly port: number },
): Promise<ChannelServer> {
  const { shop, clock, faults } = parts;
  const requests = new Ring<RequestRecord>(requestsKept);
  const waiting = new Set<Cancel>();
  const table = channel.routes.map((route) => ({ route, match: pathPattern(route.path) }));

  const wait = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const cancel = clock.after(milliseconds, () => {
        waiting.delete(finish);
        resolve();
      });
      const finish = () => {
        cancel();
        resolve();
      };
      waiting.add(finish);
    });

  async function answer(call: HttpCall): Promise<Answer> {
    const found = findRoute(table, call);
    if (found === null) return channel.errors.notFound(call);
    const operation = operationOf(found.route, call);
    const hit = faults.forCall(channel.platform, operation);
    if (hit.latencyMs > 0) await wait(hit.latencyMs);
    if (hit.refusedConnection) return { destroy: 'now' };
    if (hit.expiredToken) channel.expireTokens();
    if (hit.rateLimitSeconds !== null) return channel.errors.rateLimited(hit.rateLimitSeconds, call);
    if (hit.serverErrorStatus !== null) return channel.errors.serverError(hit.serverErrorStatus, call);
    const { keepRows, staleMs, lateEffectMs } = hit;
    const reply = await handled(found.route, {
      ...call,
      params: found.params,
      operation,
      view: () => (staleMs === null ? shop.view() : shop.view(staleMs)),
      cut: (rows) => (keepRows === null ? rows : rows.slice(0, keepRows)),
      cutShort: keepRows !== null,
      lateEffectMs,
    });
    if (hit.lostAnswer) return { destroy: 'now' };
    return hit.brokenAnswer ? { destroy: 'midway', reply } : reply;
  }

  const server = await listen(
    parts.port,
    async (call) => {
      const result = await answer(call);
      const found = findRoute(table, call);
      requests.push({
        at: clock.now(),
        operation: found === null ? '' : operationOf(found.route, call),
        method: call.method,
        path: call.path,
        status: 'destroy' in result ? null : result.status,
      });
      return result;
    },
    clock.now,
  );

  return {
    url: server.url,
    requests,
    async stop() {
      for (const finish of waiting) finish();
      await server.stop();
    },
  };
}

function findRoute(
  table: readonly { readonly route: Route; readonly match: ReturnType<typeof pathPattern> }[],
  call: HttpCall,
): { readonly route: Route; readonly params: Record<string, string> } | null {
  for (const { route, match } of table) {
    if (route.method !== call.method) continue;
    const params = match(call.path);
    if (params !== null) return { route, params };
  }
  return null;
}

const operationOf = (route: Route, call: HttpCall) =>
  typeof route.operation === 'string' ? route.operation : route.operation(call);

async function handled(route: Route, call: Call): Promise<Reply> {
  try {
    return await route.handle(call);
  } catch (error) {
    if (error instanceof Refusal) return error.reply;
    throw error;
  }
}
