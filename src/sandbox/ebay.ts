/** eBay's Sell Inventory, Sell Fulfillment and Notification APIs as a local server: real paths, bodies and rules over one shop. */
import type { Call, Channel, ChannelParts, Route } from './channel.ts';
import {
  createEbayAccess,
  type EbayAccess,
  type EbayApi,
  type EbayApplication,
  ebayApis,
  ebayRefusal,
} from './ebayAccess.ts';
import { demoEbayAccount, type EbayAccount } from './ebayAccount.ts';
import { createEbayCatalogue } from './ebayCatalogue.ts';
import { createEbayDestinations } from './ebayDestinations.ts';
import { ebayItemRoutes } from './ebayItems.ts';
import { ebayDeliveries } from './ebayNotifications.ts';
import { ebayOfferRoutes } from './ebayOffers.ts';
import { ebayOrderRoutes } from './ebayOrders.ts';
import { ebayPriceQuantityRoutes } from './ebayPriceQuantity.ts';
import { ebayShippingRoutes } from './ebayShipping.ts';
import { createEbaySigner, type EbaySigner } from './ebaySignature.ts';
import { createEbaySubscriptions } from './ebaySubscriptions.ts';
import type { HttpCall } from './http.ts';

export type EbayOptions = EbayAccount &
  EbayApplication & {
    /** eBay: 32 to 80 letters, digits, `_` and `-`. */
    readonly verificationToken: string;
    /** eBay: 250 per listing and calendar day. */
    readonly revisionsPerDay: number;
    /** eBay's documents say 25 and 1. */
    readonly skusPerUpdate: number;
    readonly challengeTimeoutMs: number;
  };

export const demoEbayOptions: EbayOptions = {
  ...demoEbayAccount,
  appId: 'Sandbox-App-PRD-000000000-00000000',
  certId: 'PRD-sandbox-cert-id',
  ruName: 'Sandbox-Sandbox-App-PRD-redirect',
  authorizationCode: 'v^1.1#i^1#sandbox-code',
  accessTokenLifeMs: 7_200_000,
  verificationToken: 'sandbox_verification_token_0123456789abcdef',
  revisionsPerDay: 250,
  skusPerUpdate: 25,
  challengeTimeoutMs: 3000,
};

function identityRoutes(account: EbayAccount, access: EbayAccess): readonly Route[] {
  const body = {
    userId: account.userId,
    username: account.username,
    accountType: 'INDIVIDUAL',
    registrationMarketplaceId: account.marketplaceId,
    status: 'CONFIRMED',
  };
  return [access.route('identity', 'GET /user/', 'getUser', () => ({ status: 200, body }))];
}

function publicKeyRoute(signer: EbaySigner, access: EbayAccess): Route {
  const handle = ({ params }: Call) =>
    params['keyId'] === signer.keyId ? { status: 200, body: signer.publicKey } : ebayRefusal(195001);
  return access.route('notification', 'GET /public_key/:keyId', 'getPublicKey', handle, 'application');
}

const daySeconds = 86_400;

function analyticsRoutes(access: EbayAccess): readonly Route[] {
  const handle = ({ query }: HttpCall) => {
    const apis = Object.keys(ebayApis).filter((name): name is EbayApi => name in ebayApis);
    const asked = apis.filter(
      (name) =>
        (query.get('api_name') ?? name) === name &&
        (query.get('api_context') ?? ebayApis[name].context) === ebayApis[name].context,
    );
    if (asked.length === 0) return { status: 204 };
    const rateLimits = asked.map((name) => {
      const { count, limit, resetAt } = access.quota(name);
      const reset = new Date(resetAt).toISOString();
      const rate = { count, limit, remaining: limit - count, reset, timeWindow: daySeconds };
      return {
        apiContext: ebayApis[name].context,
        apiName: name,
        apiVersion: ebayApis[name].path.split('/').at(-1) ?? 'v1',
        resources: [{ name, rates: [rate] }],
      };
    });
    return { status: 200, body: { rateLimits } };
  };
  return [
    access.route('analytics', 'GET /rate_limit/', 'getRateLimits', handle, 'application'),
    access.route('analytics', 'GET /user_rate_limit/', 'getUserRateLimits', handle),
  ];
}

/** In the Inventory API a failing write is most often two writes at once; anything else is eBay's own trouble. */
const serverError = (status: number, call: HttpCall) => {
  if (call.path.startsWith(ebayApis.notification.path)) return ebayRefusal(195000, '', {}, status);
  if (call.path.startsWith(ebayApis.fulfillment.path)) return ebayRefusal(30500, '', {}, status);
  return ebayRefusal(call.method === 'GET' ? 25001 : 25025, '', {}, status);
};

export function createEbayChannel(parts: ChannelParts, options: Partial<EbayOptions> = {}): Channel {
  const settings: EbayOptions = { ...demoEbayOptions, ...options };
  const { shop, clock } = parts;
  const random = parts.random.fork('ebay');
  // Receivers remember notification ids: a restarted sandbox must not use one again.
  const ids = parts.random.fork(`ebay ids ${clock.now()}`);
  const access = createEbayAccess(settings, { clock, random, rateScale: parts.rateScale });
  const signer = createEbaySigner();
  const catalogue = createEbayCatalogue(shop, settings, settings.revisionsPerDay);
  const destinations = createEbayDestinations(access, random, settings.challengeTimeoutMs);
  const subscriptions = createEbaySubscriptions({ shop, account: settings, random, destinations }, access);

  return {
    platform: 'ebay',
    routes: [
      access.tokenRoute,
      ...ebayItemRoutes(catalogue, access),
      ...ebayOfferRoutes(catalogue, access),
      ...ebayPriceQuantityRoutes(catalogue, access, settings.skusPerUpdate),
      ...ebayOrderRoutes(catalogue, access),
      ...ebayShippingRoutes(catalogue, access),
      ...destinations.routes,
      ...subscriptions.routes,
      publicKeyRoute(signer, access),
      ...identityRoutes(settings, access),
      ...analyticsRoutes(access),
    ],
    errors: {
      notFound: () => ebayRefusal(2002),
      rateLimited: (seconds) => ({
        ...ebayRefusal(2001),
        headers: { 'retry-after': String(Math.ceil(seconds)) },
      }),
      serverError,
    },
    connection(baseUrl, webhookUrl) {
      const { accessToken, accessTokenExpiresAt, refreshToken } = access.tokens.issue();
      return {
        platform: 'ebay',
        name: settings.username,
        externalAccountId: settings.userId,
        settings: {
          apiBaseUrl: baseUrl,
          identityBaseUrl: baseUrl,
          tokenUrl: `${baseUrl}/identity/v1/oauth2/token`,
          marketplaceId: settings.marketplaceId,
          merchantLocationKey: settings.merchantLocationKey,
          skusPerUpdate: settings.skusPerUpdate,
          rateScale: parts.rateScale,
          ...(webhookUrl === null ? {} : { webhookUrl }),
        },
        credentials: {
          appId: settings.appId,
          certId: settings.certId,
          refreshToken,
          accessToken,
          accessTokenExpiresAt: new Date(accessTokenExpiresAt).toISOString(),
          verificationToken: settings.verificationToken,
        },
      };
    },
    deliveries: (event) =>
      ebayDeliveries({ catalogue, signer, ids, targetOf: subscriptions.targetOf }, event),
    expireTokens: () => access.tokens.expireAccess(),
    clear() {
      catalogue.clear();
      destinations.clear();
      subscriptions.clear();
    },
  };
}
