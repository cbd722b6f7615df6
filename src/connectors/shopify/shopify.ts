/** One Shopify shop as a `Connector`, over the GraphQL Admin API. */

import { ChannelError, type ConnectorFactory } from '../connector.ts';
import { readShopifySettings } from './auth.ts';
import { createShopifyApi } from './graphql.ts';
import { plainId } from './ids.ts';
import { shopifyCatalogue, shopSchema } from './listings.ts';
import { findShopifyOrder, shopifyOrdersSince } from './orders.ts';
import { readShopifyPrices, setShopifyPrices } from './prices.ts';
import { shipShopifyOrder } from './shipments.ts';
import { idsPerCall, readShopifyStock } from './stock.ts';
import { setShopifyStock } from './stockWrites.ts';
import { parseShopifyWebhook, receiveShopifyWebhook } from './webhooks.ts';

/** Throws `ChannelError` (`misconfigured`) when a setting is wrong. */
export const createShopifyConnector: ConnectorFactory = (context) => {
  const settings = readShopifySettings(context.settings);
  const { locationId, shopDomain } = settings;
  const api = createShopifyApi(context, settings);
  const forOrders = api.inTurn({ urgency: 'orders' });

  return {
    platform: 'shopify',
    capabilities: {
      compareAndSet: true,
      writesPerCall: idsPerCall,
      // The connector puts the variants of one product together; each product is a call of its own.
      pricesPerCall: idsPerCall,
      priceWritesUnit: false,
      stockQueue: null,
      quantityMax: 1_000_000_000,
      pollIntervalMs: 60_000,
      pollWatchfulMs: 10_000,
      pollOverlapMs: 600_000,
      ordersWrites: true,
      settleMaxMs: 0,
      staleMaxMs: 5_000,
      indexLagMs: 10_000,
      clockSkewMaxMs: 1_000,
      restocksOnCancel: true,
    },
    async check() {
      const { shop } = await api.run({ operation: 'shop', variables: {}, schema: shopSchema, retry: 'safe' });
      if (shop.myshopifyDomain.toLowerCase() !== shopDomain.toLowerCase()) {
        throw new ChannelError(
          'misconfigured',
          `the token belongs to ${shop.myshopifyDomain}, not ${shopDomain}`,
        );
      }
      return { externalAccountId: plainId(shop.id) };
    },
    ordersModifiedSince: (since) => shopifyOrdersSince(forOrders, locationId, since),
    order: (orderId) => findShopifyOrder(forOrders, locationId, orderId),
    readStock: (addresses, turn = { urgency: 'read' }) => readShopifyStock(api.inTurn(turn), addresses),
    setStock: (writes, turn = { urgency: 'raise' }) => setShopifyStock(api.inTurn(turn), writes),
    readPrices: (addresses, turn = { urgency: 'read' }) => readShopifyPrices(api.inTurn(turn), addresses),
    setPrices: (writes, turn = { urgency: 'price' }) => setShopifyPrices(api.inTurn(turn), writes),
    catalogue: () => shopifyCatalogue(api.inTurn({ urgency: 'import' }), locationId),
    ship: (orderId, shipment) => shipShopifyOrder(api, orderId, shipment),
    async receiveWebhook(request) {
      return receiveShopifyWebhook(request, shopDomain, await context.credentials.read());
    },
    parseWebhook: (topic, body) => parseShopifyWebhook(topic, body, locationId, context.now()),
  };
};
