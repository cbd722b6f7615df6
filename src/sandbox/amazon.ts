/** Amazon's Selling Partner API as a local server: real paths, bodies and rules over one shop. */
import { type AmazonApplication, amazonErrors, createAmazonAccess } from './amazonAccess.ts';
import { type AmazonAccount, amazonAccountRoutes, demoAmazonAccount } from './amazonAccount.ts';
import { createAmazonFeeds } from './amazonFeeds.ts';
import { type AmazonCatalogue, type AmazonDocuments, amazonListingRoutes } from './amazonListings.ts';
import { amazonDeliveries } from './amazonNotifications.ts';
import type { AmazonParcels } from './amazonOrderBody.ts';
import { amazonOrderRoutes } from './amazonOrders.ts';
import { amazonSubmissionRoutes, createAmazonSubmissions } from './amazonSubmissions.ts';
import type { Channel, ChannelParts } from './channel.ts';
import { instantly, type Span } from './random.ts';

export type AmazonOptions = AmazonAccount &
  AmazonApplication & {
    readonly webhookToken: string;
    readonly personalData: boolean;
    readonly feedStepMs: Span;
    /** Most results one search can page through. Amazon is said to stop at about 1000. */
    readonly searchResultsMax: number;
  };

export const demoAmazonOptions: AmazonOptions = {
  ...demoAmazonAccount,
  clientId: 'amzn1.application-oa2-client.sandbox',
  clientSecret: 'amzn1.oa2-cs.v1.sandbox',
  authorizationCode: 'sandbox-authorization-code',
  accessTokenLifeMs: 3_600_000,
  webhookToken: 'sandbox-amazon-webhook-token',
  personalData: true,
  feedStepMs: instantly,
  searchResultsMax: Number.POSITIVE_INFINITY,
};

export function createAmazonChannel(parts: ChannelParts, options: Partial<AmazonOptions> = {}): Channel {
  const settings: AmazonOptions = { ...demoAmazonOptions, ...options };
  const { shop, clock } = parts;
  const random = parts.random.fork('amazon');
  // Receivers remember notification ids: a restarted sandbox must not use one again.
  const ids = parts.random.fork(`amazon ids ${clock.now()}`);
  const access = createAmazonAccess(settings, { clock, random, rateScale: parts.rateScale });
  const documents: AmazonDocuments = new Map();
  const parcels: AmazonParcels = new Map();
  const catalogue: AmazonCatalogue = { shop, account: settings, documents };
  const submissions = createAmazonSubmissions(catalogue);
  const feeds = createAmazonFeeds(
    { shop, account: settings, submissions, feedStepMs: settings.feedStepMs },
    access,
  );
  const withId = (reply: ReturnType<typeof amazonErrors.notFound>) => ({
    ...reply,
    headers: access.requestId(),
  });

  return {
    platform: 'amazon',
    routes: [
      access.tokenRoute,
      ...amazonAccountRoutes(settings, access),
      ...amazonListingRoutes(catalogue, access, settings.searchResultsMax),
      ...amazonSubmissionRoutes({ catalogue, submissions, ids }, access),
      ...feeds.routes,
      ...amazonOrderRoutes({ shop, account: settings, parcels, personalData: settings.personalData }, access),
    ],
    errors: {
      notFound: () => withId(amazonErrors.notFound('The requested resource does not exist.')),
      // Amazon documents no Retry-After: a client works out the wait from the rate.
      rateLimited: () => withId(amazonErrors.quotaExceeded()),
      serverError: (status) => withId(amazonErrors.serverError(status)),
    },
    connection(baseUrl) {
      const { accessToken, accessTokenExpiresAt, refreshToken } = access.tokens.issue();
      return {
        platform: 'amazon',
        name: settings.storeName,
        externalAccountId: settings.sellerId,
        settings: {
          apiBaseUrl: baseUrl,
          tokenUrl: `${baseUrl}/auth/o2/token`,
          sellerId: settings.sellerId,
          marketplaceId: settings.marketplaceId,
          rateScale: parts.rateScale,
        },
        credentials: {
          clientId: settings.clientId,
          clientSecret: settings.clientSecret,
          refreshToken,
          accessToken,
          accessTokenExpiresAt: new Date(accessTokenExpiresAt).toISOString(),
          webhookToken: settings.webhookToken,
        },
      };
    },
    deliveries: (event) =>
      amazonDeliveries({ shop, account: settings, webhookToken: settings.webhookToken, ids }, event),
    expireTokens: () => access.tokens.expireAccess(),
    clear() {
      documents.clear();
      parcels.clear();
      feeds.clear();
    },
  };
}
