/** A seller account that answers each Selling Partner call with what a test says, for tests of the Amazon connector. */

import { createAmazonConnector } from '../../src/connectors/amazon/amazon.ts';
import type { HttpClientOptions } from '../../src/connectors/httpClient.ts';
import { createTestContext, type Handler, type LocalChannel, startLocalChannel } from './localChannel.ts';
import { recording } from './recordings.ts';

export const sellerId = 'A1SELLER';
export const marketplaceId = 'ATVPDKIKX0DER';

/** The token endpoint gives `Atza|new`, valid for an hour. */
export function startSeller(answer: Handler): Promise<LocalChannel> {
  return startLocalChannel((request) =>
    request.path === '/auth/o2/token'
      ? { json: { access_token: 'Atza|new', token_type: 'bearer', expires_in: 3600 } }
      : answer(request),
  );
}

export function connectSeller(
  channel: { readonly url: string },
  settings: Readonly<Record<string, unknown>> = {},
  credentials: Readonly<Record<string, string>> = {},
  options: Partial<HttpClientOptions> = {},
) {
  const context = createTestContext(
    {
      apiBaseUrl: channel.url,
      tokenUrl: `${channel.url}/auth/o2/token`,
      sellerId,
      marketplaceId,
      ...settings,
    },
    {
      clientId: 'client',
      clientSecret: 'secret',
      refreshToken: 'Atzr|1',
      accessToken: 'Atza|old',
      accessTokenExpiresAt: '2026-11-22T09:00:00Z',
      webhookToken: 'forwarder-token',
      ...credentials,
    },
    { retriesMax: 2, attemptTimeoutMs: 500, ...options },
  );
  return { connector: createAmazonConnector(context), context };
}

export type WireOrder = Record<string, unknown> & { orderItems: Record<string, unknown>[] };

/** The documented order with some of its members changed. */
export function wireOrder(changes: Readonly<Record<string, unknown>> = {}): WireOrder {
  const [order] = (recording('amazon/searchOrders') as { orders: WireOrder[] }).orders;
  if (order === undefined) throw new Error('the recording holds no order');
  return { ...order, ...changes };
}
