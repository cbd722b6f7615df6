/** A shop that answers each GraphQL operation with what a test says, for tests of the Shopify connector. */

import { createShopifyConnector } from '../../src/connectors/shopify/shopify.ts';
import {
  type Answer,
  createTestContext,
  type LocalChannel,
  type ReceivedRequest,
  startLocalChannel,
} from './localChannel.ts';

export type GraphqlRequest = {
  readonly operation: string;
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly token: string;
};

export type ShopAnswers = (request: GraphqlRequest) => Answer;

export const shopDomain = 'demo-shop.myshopify.com';
export const locationId = '65000001';

export function graphqlRequestOf(request: ReceivedRequest): GraphqlRequest {
  const body = JSON.parse(request.body) as { query: string; variables: Record<string, unknown> };
  return {
    operation: /^(?:query|mutation) (\w+)/.exec(body.query)?.[1] ?? '',
    query: body.query,
    variables: body.variables,
    token: String(request.headers['x-shopify-access-token']),
  };
}

/** `answer` sees GraphQL requests, `tokens` what is posted to the token endpoint. */
export async function startShop(
  answer: ShopAnswers,
  tokens: (body: Readonly<Record<string, unknown>>) => Answer = () => ({ status: 404 }),
): Promise<LocalChannel> {
  return startLocalChannel((request) => {
    if (request.path === '/admin/oauth/access_token') {
      return tokens(JSON.parse(request.body) as Record<string, unknown>);
    }
    if (request.path !== '/admin/api/2026-10/graphql.json') return { status: 404 };
    return answer(graphqlRequestOf(request));
  });
}

export function connectShop(
  channel: LocalChannel,
  settings: Readonly<Record<string, unknown>> = {},
  credentials: Readonly<Record<string, string>> = {},
  options: { readonly now?: () => number } = {},
) {
  const context = createTestContext(
    {
      shopDomain,
      apiBaseUrl: channel.url,
      locationId: `gid://shopify/Location/${locationId}`,
      authMode: 'static',
      ...settings,
    },
    { accessToken: 'shpat_demo', clientId: 'client', clientSecret: 'shpss_demo_secret', ...credentials },
    { retriesMax: 2, attemptTimeoutMs: 500, ...options },
  );
  return { connector: createShopifyConnector(context), context };
}

export function stockWrite(item: number, quantity: number, expected: number | null, key: string) {
  return { address: { unitId: `${item}/${locationId}`, variantId: '' }, quantity, expected, key };
}
