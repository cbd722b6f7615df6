/** Who the seller is on Amazon, and in which marketplace they sell. */
import { type AmazonAccess } from './amazonAccess.ts';
import type { Route } from './channel.ts';

/** One seller in one marketplace. */
export type AmazonAccount = {
  readonly sellerId: string;
  readonly storeName: string;
  readonly marketplaceId: string;
  readonly marketplaceName: string;
  readonly countryCode: string;
  /** ISO 4217: prices in another currency are refused. */
  readonly currency: string;
  /** `en_US` */
  readonly language: string;
  readonly domain: string;
};

export const demoAmazonAccount: AmazonAccount = {
  sellerId: 'A1SANDBOXSELLER',
  storeName: 'Sandbox store',
  marketplaceId: 'ATVPDKIKX0DER',
  marketplaceName: 'Amazon.com',
  countryCode: 'US',
  currency: 'USD',
  language: 'en_US',
  domain: 'www.amazon.com',
};

export function amazonAccountRoutes(account: AmazonAccount, access: AmazonAccess): readonly Route[] {
  const participation = {
    marketplace: {
      id: account.marketplaceId,
      name: account.marketplaceName,
      countryCode: account.countryCode,
      defaultCurrencyCode: account.currency,
      defaultLanguageCode: account.language,
      domainName: account.domain,
    },
    participation: { isParticipating: true, hasSuspendedListings: false },
    storeName: account.storeName,
  };
  return [
    access.route('GET', '/sellers/v1/marketplaceParticipations', 'getMarketplaceParticipations', () => ({
      status: 200,
      body: { payload: [participation] },
    })),
  ];
}
