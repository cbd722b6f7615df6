/** Etsy Open API v3 behind the `Connector` interface. Quirks and sources: README.md beside this file. */

import { z } from 'zod';
import { ChannelError, type ConnectorCapabilities, type ConnectorFactory } from '../connector.ts';
import { parseBody } from '../wire.ts';
import { createEtsyApi, type EtsyApi } from './auth.ts';
import { catalogue } from './listings.ts';
import { changedReceipts, findOrder } from './orders.ts';
import { readPrices, setPrices } from './prices.ts';
import { shipReceipt } from './shipping.ts';
import { readStock } from './stock.ts';
import { quantityMax, setStock } from './stockWrites.ts';
import { parseWebhook, receiveWebhook } from './webhooks.ts';

const capabilities: ConnectorCapabilities = {
  // `expected` stops a raise over a sale that the read before the write shows, but that comparison is not atomic.
  compareAndSet: false,
  // One call writes one listing; a batch lets the variants of one listing travel together.
  writesPerCall: 10,
  pricesPerCall: 10,
  priceWritesUnit: true,
  stockQueue: null,
  quantityMax,
  pollIntervalMs: 60_000,
  pollWatchfulMs: 10_000,
  pollOverlapMs: 600_000,
  ordersWrites: true,
  settleMaxMs: 5_000,
  staleMaxMs: 60_000,
  indexLagMs: 60_000,
  clockSkewMaxMs: 1_000,
  restocksOnCancel: true,
};

/** Throws `ChannelError` (`misconfigured`) when a setting is wrong; missing credentials are reported by the first call. */
export const createEtsyConnector: ConnectorFactory = (context) => {
  const api = createEtsyApi(context);
  const forOrders = api.inTurn({ urgency: 'orders' });
  return {
    platform: 'etsy',
    capabilities,
    check: () => check(api),
    ordersModifiedSince: (since) => changedReceipts(forOrders, since),
    order: (orderId) => findOrder(forOrders, orderId),
    readStock: (addresses, turn = { urgency: 'read' }) => readStock(api.inTurn(turn), addresses),
    setStock: (writes, turn = { urgency: 'raise' }) => setStock(api.inTurn(turn), writes),
    readPrices: (addresses, turn = { urgency: 'read' }) => readPrices(api.inTurn(turn), addresses),
    setPrices: (writes, turn = { urgency: 'price' }) => setPrices(api.inTurn(turn), writes),
    catalogue: () => catalogue(api.inTurn({ urgency: 'import' })),
    ship: (orderId, shipment) => shipReceipt(api, orderId, shipment),
    receiveWebhook: (request) => receiveWebhook(api, request),
    parseWebhook: (topic, body) => parseWebhook(api, topic, body),
  };
};

const selfSchema = z.object({ shop_id: z.int() });

/** The token must belong to the shop of the settings: otherwise every write would go to a stranger's listings, or fail. */
async function check(api: EtsyApi): Promise<{ readonly externalAccountId: string }> {
  const operation = 'etsy.getMe';
  const response = await api.call({
    method: 'GET',
    path: '/v3/application/users/me',
    operation,
    retry: 'safe',
  });
  const shopId = String(parseBody(selfSchema, response, operation).shop_id);
  if (shopId !== api.settings.shopId) {
    throw new ChannelError('misconfigured', `etsy settings: shopId: the token belongs to shop ${shopId}`);
  }
  return { externalAccountId: shopId };
}
