/** eBay (Sell Inventory, Sell Fulfillment, Commerce Notification) behind the `Connector` interface. Quirks and sources: README.md. */

import { z } from 'zod';
import type { ConnectorCapabilities, ConnectorFactory } from '../connector.ts';
import { parseBody } from '../wire.ts';
import { createEbayApi, type EbayApi } from './auth.ts';
import { catalogue } from './listings.ts';
import { createUnits } from './offers.ts';
import { changedOrders, findOrder } from './orders.ts';
import { readPrices, setPrices } from './prices.ts';
import { shipOrder } from './shipping.ts';
import { readStock, setStock } from './stock.ts';
import { createWebhooks, parseWebhook } from './webhooks.ts';

const capabilities: ConnectorCapabilities = {
  compareAndSet: false,
  writesPerCall: 25,
  pricesPerCall: 25,
  priceWritesUnit: false,
  stockQueue: null,
  // eBay names no largest quantity; this one fits its int32 with room.
  quantityMax: 1_000_000_000,
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
export const createEbayConnector: ConnectorFactory = (context) => {
  const api = createEbayApi(context);
  const forOrders = api.inTurn({ urgency: 'orders' });
  const units = createUnits(context.now);
  const webhooks = createWebhooks(api);
  return {
    platform: 'ebay',
    capabilities: {
      ...capabilities,
      writesPerCall: api.settings.skusPerUpdate,
      pricesPerCall: api.settings.skusPerUpdate,
    },
    check: () => check(api),
    ordersModifiedSince: (since) => changedOrders(forOrders, since),
    order: (orderId) => findOrder(forOrders, orderId),
    readStock: (addresses, turn = { urgency: 'read' }) => readStock(api.inTurn(turn), addresses),
    setStock: (writes, turn = { urgency: 'raise' }) => setStock(api.inTurn(turn), units, writes),
    readPrices: (addresses, turn = { urgency: 'read' }) => readPrices(api.inTurn(turn), addresses),
    setPrices: (writes, turn = { urgency: 'price' }) => setPrices(api.inTurn(turn), writes),
    catalogue: () => catalogue(api.inTurn({ urgency: 'import' })),
    ship: (orderId, shipment) => shipOrder(api, orderId, shipment),
    receiveWebhook: (request) => webhooks.receive(request),
    parseWebhook,
  };
};

const userSchema = z.object({ userId: z.string().min(1) });

async function check(api: EbayApi): Promise<{ readonly externalAccountId: string }> {
  const operation = 'ebay.getUser';
  const path = '/commerce/identity/v1/user/';
  const response = await api.call({ api: 'identity', method: 'GET', path, operation, retry: 'safe' });
  return { externalAccountId: parseBody(userSchema, response, operation).userId };
}
