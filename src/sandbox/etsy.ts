/** Etsy as a channel: Open API v3 over the shop, with its key check, its limits, its receipts and its webhooks. */
import type { Channel, ChannelFactory, Route } from './channel.ts';
import { createEtsyAccess, etsyError, tooMany } from './etsyAccess.ts';
import { etsyListingRoutes } from './etsyListings.ts';
import { etsyReceiptRoutes } from './etsyReceipts.ts';
import { createEtsyTokens, etsyApp, etsyShopId, etsyUserId } from './etsyTokens.ts';
import { etsyDeliveries } from './etsyWebhooks.ts';

export const createEtsyChannel: ChannelFactory = ({ shop, clock, random, rateScale }) => {
  const tokens = createEtsyTokens(clock, random.fork('etsy tokens'));
  const access = createEtsyAccess(tokens, clock, rateScale);
  // Receivers remember delivery ids: a restarted sandbox must not use one again.
  const ids = random.fork(`etsy webhooks ${clock.now()}`);

  const account: readonly Route[] = [
    {
      method: 'GET',
      path: '/v3/application/openapi-ping',
      operation: 'ping',
      handle: access.guarded('app', () => ({ status: 200, body: { application_id: 1_000_000_001 } })),
    },
    {
      method: 'GET',
      path: '/v3/application/users/me',
      operation: 'getMe',
      handle: access.guarded('user', () => ({
        status: 200,
        body: { user_id: etsyUserId, shop_id: etsyShopId },
      })),
    },
  ];

  const channel: Channel = {
    platform: 'etsy',
    routes: [
      ...tokens.routes,
      ...account,
      ...etsyListingRoutes(shop, access),
      ...etsyReceiptRoutes(shop, access),
    ],
    errors: {
      notFound: () => etsyError(404, 'Resource not found'),
      rateLimited: (seconds) => {
        const reply = tooMany('Exceeded per second rate limit', seconds * 1000);
        return {
          ...reply,
          headers: { ...access.limitHeaders(), 'x-remaining-this-second': '0', ...reply.headers },
        };
      },
      serverError: (status) => etsyError(status, 'Server Error'),
    },
    connection: (baseUrl) => {
      const pair = tokens.issue();
      return {
        platform: 'etsy',
        name: 'Demo Shop on Etsy',
        externalAccountId: String(etsyShopId),
        settings: {
          apiBaseUrl: baseUrl,
          tokenUrl: `${baseUrl}/v3/public/oauth/token`,
          shopId: String(etsyShopId),
          rateScale,
        },
        credentials: {
          keystring: etsyApp.keystring,
          sharedSecret: etsyApp.sharedSecret,
          accessToken: pair.accessToken,
          accessTokenExpiresAt: new Date(pair.accessTokenExpiresAt).toISOString(),
          refreshToken: pair.refreshToken,
          webhookSecret: etsyApp.webhookSecret,
        },
      };
    },
    deliveries: (event) => etsyDeliveries(event, ids),
    expireTokens: () => tokens.expireAll(),
    clear() {
      // Etsy remembers nothing beside the shop.
    },
  };
  return channel;
};
