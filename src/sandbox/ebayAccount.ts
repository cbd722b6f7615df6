/** Who the seller is on eBay, and what the application was allowed. */

export type EbayAccount = {
  /** Immutable; the user name is not. */
  readonly userId: string;
  readonly username: string;
  readonly marketplaceId: string;
  /** ISO 4217: prices in another currency are refused. */
  readonly currency: string;
  readonly countryCode: string;
  readonly merchantLocationKey: string;
  readonly fulfillmentPolicyId: string;
  readonly paymentPolicyId: string;
  readonly returnPolicyId: string;
  /** What the seller consented to, without the prefix `https://api.ebay.com/oauth/api_scope/`. */
  readonly scopes: readonly string[];
};

export const demoEbayAccount: EbayAccount = {
  userId: 'TFHsandbox01',
  username: 'sandbox_seller',
  marketplaceId: 'EBAY_US',
  currency: 'USD',
  countryCode: 'US',
  merchantLocationKey: 'main',
  fulfillmentPolicyId: '61',
  paymentPolicyId: '62',
  returnPolicyId: '63',
  scopes: [
    'sell.inventory',
    'sell.fulfillment',
    'commerce.identity.readonly',
    'commerce.notification.subscription',
    'commerce.shipping',
    'sell.cancellation.read',
  ],
};
