/** One seller account in one Amazon marketplace as a `Connector`, over the Selling Partner API. */

import { z } from 'zod';
import { ChannelError, type ConnectorFactory } from '../connector.ts';
import { parseBody } from '../wire.ts';
import { type AmazonApi, amazonError, createAmazonApi } from './api.ts';
import { readAmazonSettings } from './auth.ts';
import { changesPerFeed, patchedMax } from './changes.ts';
import { createAmazonFeeds } from './feeds.ts';
import { amazonCatalogue, createListingMemory } from './listings.ts';
import { amazonOrdersSince, fetchAmazonOrder, orderOf } from './orders.ts';
import { readAmazonPrices, setAmazonPrices } from './prices.ts';
import { shipAmazonOrder } from './shipments.ts';
import { readAmazonStock, setAmazonStock } from './stock.ts';
import { parseAmazonWebhook, receiveAmazonWebhook } from './webhooks.ts';

/** A feed shows after five to twenty minutes, as a rule. */
const feedLandingMs = 1_200_000;

/** Throws `ChannelError` (`misconfigured`) when a setting is wrong. */
export const createAmazonConnector: ConnectorFactory = (context) => {
  const settings = readAmazonSettings(context.settings);
  const api = createAmazonApi(context, settings);
  const forOrders = api.inTurn({ urgency: 'orders' });
  const memory = createListingMemory(settings.marketplaceId, context.now);
  const feeds = createAmazonFeeds(context.now);

  return {
    platform: 'amazon',
    capabilities: {
      compareAndSet: false,
      writesPerCall: 1,
      get pricesPerCall() {
        return feeds.mayBeSent() ? changesPerFeed : patchedMax;
      },
      priceWritesUnit: false,
      get stockQueue() {
        const { stockFeedMin: waitingMin } = settings;
        const size = { callMin: patchedMax + 1, callMax: changesPerFeed };
        return feeds.mayBeSent() ? { waitingMin, ...size, landingMs: feedLandingMs } : null;
      },
      quantityMax: 1_000_000,
      // The usage plan of searchOrders refills one call in about 179 s.
      pollIntervalMs: 180_000,
      // Twice what is refilled: the burst of 20 calls lasts an hour.
      pollWatchfulMs: 90_000,
      pollOverlapMs: 600_000,
      ordersWrites: false,
      settleMaxMs: 900_000,
      staleMaxMs: 60_000,
      indexLagMs: 120_000,
      clockSkewMaxMs: 1_000,
      restocksOnCancel: true,
    },
    check: () => checkAccount(api),
    ordersModifiedSince: (since) => amazonOrdersSince(forOrders, since),
    async order(orderId) {
      const order = await fetchAmazonOrder(forOrders, orderId);
      return order === null ? null : orderOf(order);
    },
    readStock: (addresses, turn = { urgency: 'read' }) =>
      readAmazonStock(api.inTurn(turn), memory, addresses),
    setStock: (writes, turn = { urgency: 'raise' }) =>
      setAmazonStock(api.inTurn(turn), { memory, feeds }, writes, turn),
    readPrices: (addresses, turn = { urgency: 'read' }) => readAmazonPrices(api.inTurn(turn), addresses),
    setPrices: (writes, turn = { urgency: 'price' }) =>
      setAmazonPrices(api.inTurn(turn), feeds, writes, turn),
    submitted: (queued, turn = { urgency: 'read' }) => feeds.outcomes(api.inTurn(turn), queued),
    catalogue: () => amazonCatalogue(api.inTurn({ urgency: 'import' })),
    ship: (orderId, shipment) => shipAmazonOrder(api, orderId, shipment),
    async receiveWebhook(request) {
      return receiveAmazonWebhook(request, await context.credentials.read());
    },
    parseWebhook: (topic, body) => parseAmazonWebhook(topic, body, settings),
  };
};

const participationsSchema = z.looseObject({
  payload: z
    .array(
      z.looseObject({
        marketplace: z.looseObject({ id: z.string() }),
        participation: z.looseObject({ isParticipating: z.boolean() }).nullish(),
      }),
    )
    .default([]),
});

/** No answer names the seller, so the id is the configured one, confirmed by the marketplace it sells in. */
async function checkAccount(api: AmazonApi): Promise<{ readonly externalAccountId: string }> {
  const response = await api.send({
    operation: 'getMarketplaceParticipations',
    method: 'GET',
    path: '/sellers/v1/marketplaceParticipations',
    retry: 'safe',
  });
  if (response.status !== 200) throw amazonError(response, 'getMarketplaceParticipations');
  const { payload } = parseBody(participationsSchema, response, 'amazon.getMarketplaceParticipations');
  const { marketplaceId, sellerId } = api.settings;
  const here = payload.find((entry) => entry.marketplace.id === marketplaceId);
  if (here === undefined || here.participation?.isParticipating === false) {
    throw new ChannelError('misconfigured', `the seller does not take part in marketplace ${marketplaceId}`);
  }
  return { externalAccountId: sellerId };
}
