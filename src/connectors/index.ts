/** Every marketplace by its name: the only place that knows them all. */

import { createAmazonConnector } from './amazon/amazon.ts';
import type { ConnectorFactory, Platform } from './connector.ts';
import { createEbayConnector } from './ebay/ebay.ts';
import { createEtsyConnector } from './etsy/etsy.ts';
import { createShopifyConnector } from './shopify/shopify.ts';

export const connectorFactories: Readonly<Record<Platform, ConnectorFactory>> = {
  etsy: createEtsyConnector,
  amazon: createAmazonConnector,
  ebay: createEbayConnector,
  shopify: createShopifyConnector,
};
