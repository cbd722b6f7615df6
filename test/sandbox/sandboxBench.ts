/** A running sandbox, clients of its marketplaces and a webhook receiver for one test, all gone at the end of its scope. */
import { createManualClock, type ManualClock } from '../../src/sandbox/clock.ts';
import { tinyCatalogue } from '../../src/sandbox/demoShop.ts';
import type { Platform } from '../../src/sandbox/goods.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.ts';
import { assertEtsyAnswer } from '../support/etsySpecification.ts';
import { type Answer, answerOf, startAt } from './channelBench.ts';

export type SandboxBench = AsyncDisposable & { readonly sandbox: Sandbox; readonly clock: ManualClock };

/** Two SKUs, A with 5 and B with 3 units, on every marketplace, and a clock that stands still, unless the options say otherwise. */
export async function openSandbox(options: SandboxOptions = {}): Promise<SandboxBench> {
  const clock = createManualClock(startAt);
  const sandbox = createSandbox({ catalogue: tinyCatalogue({ A: 5, B: 3 }), clock, ...options });
  await sandbox.start();
  return { sandbox, clock, [Symbol.asyncDispose]: () => sandbox.stop() };
}

/** The value at a path such as `data.orders.nodes.0.id`; undefined when there is none. */
export function at(value: unknown, path: string): unknown {
  let here: unknown = value;
  for (const name of path.split('.')) {
    here = typeof here === 'object' && here !== null ? Reflect.get(here, name) : undefined;
  }
  return here;
}

export type EtsyRequest = {
  readonly form?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  /** Default: a good token and key. */
  readonly headers?: Readonly<Record<string, string>>;
};

export type EtsyClient = (method: string, path: string, request?: EtsyRequest) => Promise<Answer>;

/** Every answer must conform to Etsy's specification. */
export function etsyClient(sandbox: Sandbox): EtsyClient {
  const { credentials } = sandbox.connection('etsy');
  const { keystring = '', sharedSecret = '', accessToken = '' } = credentials;
  return async (method, path, { form, json, headers } = {}) => {
    const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded';
    const text = form === undefined ? JSON.stringify(json) : new URLSearchParams(form).toString();
    const response = await fetch(sandbox.url('etsy') + path, {
      method,
      headers: {
        'x-api-key': `${keystring}:${sharedSecret}`,
        authorization: `Bearer ${accessToken}`,
        'content-type': type,
        ...headers,
      },
      ...(form === undefined && json === undefined ? {} : { body: text }),
    });
    const answer = await answerOf(response);
    assertEtsyAnswer(method, path.replace(/\?.*$/u, ''), answer.status, answer.body);
    return answer;
  };
}

export type ShopifyClient = (query: string, variables?: object, token?: string) => Promise<Answer>;

export function shopifyClient(sandbox: Sandbox): ShopifyClient {
  const { accessToken = '' } = sandbox.connection('shopify').credentials;
  return async (query, variables = {}, token = accessToken) => {
    const response = await fetch(`${sandbox.url('shopify')}/admin/api/2026-10/graphql.json`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-shopify-access-token': token },
      body: JSON.stringify({ query, variables }),
    });
    return answerOf(response);
  };
}

/** Resolves when something waits for this clock: the moment at which a test may move it. */
export async function timerSet(clock: ManualClock): Promise<void> {
  while (clock.pending() === 0) await new Promise((resolve) => setImmediate(resolve));
}

/** The variant id behind a SKU. */
export function variantId(sandbox: Sandbox, platform: Platform, sku: string): string {
  const variant = sandbox.shops[platform].variantBySku(sku);
  if (variant === undefined) throw new Error(`There is no ${sku} on ${platform}.`);
  return variant.id;
}

/** The listing id behind a SKU. */
export function listingId(sandbox: Sandbox, platform: Platform, sku: string): string {
  return sandbox.shops[platform].requireVariant(variantId(sandbox, platform, sku)).listingId;
}

/** One buyer takes this; answers the order's id. */
export function buy(
  sandbox: Sandbox,
  platform: Platform,
  sku: string,
  quantity: number,
  paid = true,
): string {
  const lines = [{ variantId: variantId(sandbox, platform, sku), quantity }];
  const result = sandbox.shops[platform].orders.place({ lines, paid });
  if (result.kind === 'refused') throw new Error(`${sku} shows only ${result.displayed}.`);
  return result.order.id;
}
