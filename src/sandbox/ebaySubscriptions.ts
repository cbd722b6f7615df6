/** Who gets which of eBay's notifications: topics, the scopes they need, and subscriptions to checked destinations. */
import type { Call, Route } from './channel.ts';
import { type EbayAccess, type EbayHolder, ebayRefusal, refuse } from './ebayAccess.ts';
import type { EbayAccount } from './ebayAccount.ts';
import {
  type EbayDestinations,
  notificationPage,
  resourceLocation,
  statusSchema,
} from './ebayDestinations.ts';
import { jsonBody, type Reply } from './http.ts';
import type { Random } from './random.ts';
import { uuidText } from './uuid.ts';
import type { Shop } from './world.ts';

/** Topic by topic the scope that a seller must have granted. */
export const ebayTopics = {
  ORDER_CONFIRMATION: 'sell.fulfillment',
  ITEM_MARKED_SHIPPED: 'commerce.shipping',
  ORDER_CANCELLATION_ACTIVITY: 'sell.cancellation.read',
} as const;
export type EbayTopic = keyof typeof ebayTopics;

type Subscription = {
  readonly subscriptionId: string;
  readonly topicId: EbayTopic;
  readonly status: 'ENABLED' | 'DISABLED';
  readonly destinationId: string;
  readonly creationDate: string;
  readonly payload: {
    readonly format: 'JSON';
    readonly schemaVersion: '1.0';
    readonly deliveryProtocol: 'HTTPS';
  };
};

export type EbaySubscriptions = {
  readonly routes: readonly Route[];
  /**
   * Where a topic is sent: the endpoint subscribed to it, or null when nobody is. Until the first subscription is made through the API
   * every topic goes to the channel's own target, `{}`.
   */
  readonly targetOf: (topic: EbayTopic) => { readonly target?: string } | null;
  clear(): void;
};

export type EbaySubscriptionParts = {
  readonly shop: Shop;
  readonly account: EbayAccount;
  readonly random: Random;
  readonly destinations: EbayDestinations;
};

const scopePrefix = 'https://api.ebay.com/oauth/api_scope/';
const isTopic = (value: unknown): value is EbayTopic => typeof value === 'string' && value in ebayTopics;

const topicBody = (topicId: EbayTopic) => ({
  topicId,
  description: `Sandbox topic ${topicId}`,
  authorizationScopes: [scopePrefix + ebayTopics[topicId]],
  context: 'SELLER',
  scope: 'USER',
  status: 'ENABLED',
  filterable: false,
  supportedPayloads: [
    { deliveryProtocol: 'HTTPS', deprecated: false, format: ['JSON'], schemaVersion: '1.0' },
  ],
});

const getTopics = (call: Call): Reply =>
  notificationPage(call, 'topics', Object.keys(ebayTopics).filter(isTopic).map(topicBody));

const getTopic = ({ params: { topicId } }: Call): Reply =>
  isTopic(topicId) ? { status: 200, body: topicBody(topicId) } : ebayRefusal(195027, '', {}, 404);

export function createEbaySubscriptions(parts: EbaySubscriptionParts, access: EbayAccess): EbaySubscriptions {
  const { shop, account, random, destinations } = parts;
  const subscriptions = new Map<string, Subscription>();

  function subscribe(call: Call): Reply {
    const body = (jsonBody(call.body) ?? {}) as Record<string, unknown>;
    const payload = (body['payload'] ?? {}) as Record<string, unknown>;
    const { topicId } = body;
    if (!destinations.isConfigured()) return ebayRefusal(195003);
    if (!isTopic(topicId)) return ebayRefusal(195027);
    if (!account.scopes.includes(ebayTopics[topicId])) return ebayRefusal(195011);
    const wanted = statusSchema.safeParse(body['status']);
    if (!wanted.success) return ebayRefusal(195006);
    const destination = destinations.find(String(body['destinationId']));
    if (destination === undefined) return ebayRefusal(195007);
    if (payload['schemaVersion'] !== '1.0') return ebayRefusal(195008);
    if (payload['format'] !== 'JSON') return ebayRefusal(195009);
    if (payload['deliveryProtocol'] !== 'HTTPS') return ebayRefusal(195010);
    if (wanted.data === 'ENABLED' && destination.status !== 'ENABLED') return ebayRefusal(195015);
    if ([...subscriptions.values()].some((each) => each.topicId === topicId)) return ebayRefusal(195012);
    const subscriptionId = uuidText(random);
    subscriptions.set(subscriptionId, {
      subscriptionId,
      topicId,
      status: wanted.data,
      destinationId: destination.destinationId,
      creationDate: new Date(shop.clock.now()).toISOString(),
      payload: { format: 'JSON', schemaVersion: '1.0', deliveryProtocol: 'HTTPS' },
    });
    return { status: 201, headers: resourceLocation(call, 'subscription', subscriptionId) };
  }

  const find = (call: Call): Subscription =>
    subscriptions.get(call.params['subscriptionId'] ?? '') ?? refuse(195013);

  function setStatus(call: Call, next: Subscription['status']): Reply {
    const subscription = find(call);
    if (next === 'ENABLED' && destinations.find(subscription.destinationId)?.status !== 'ENABLED')
      return ebayRefusal(195015);
    subscriptions.set(subscription.subscriptionId, { ...subscription, status: next });
    return { status: 204 };
  }

  function remove(call: Call): Reply {
    subscriptions.delete(find(call).subscriptionId);
    return { status: 204 };
  }

  const list = (call: Call): Reply => notificationPage(call, 'subscriptions', [...subscriptions.values()]);
  const get = (call: Call): Reply => ({ status: 200, body: find(call) });
  const one = '/subscription/:subscriptionId';
  const route =
    (holder: EbayHolder) =>
    (endpoint: Parameters<EbayAccess['route']>[1], operation: string, handle: Route['handle']): Route =>
      access.route('notification', endpoint, operation, handle, holder);
  const seller = route('seller');
  const either = route('either');

  return {
    targetOf(topic) {
      if (subscriptions.size === 0) return {};
      const subscribed = [...subscriptions.values()].find(
        (each) => each.topicId === topic && each.status === 'ENABLED',
      );
      const destination = destinations.find(subscribed?.destinationId ?? '');
      return destination?.status === 'ENABLED' ? { target: destination.deliveryConfig.endpoint } : null;
    },
    clear: () => subscriptions.clear(),
    routes: [
      either('GET /subscription', 'getSubscriptions', list),
      seller('POST /subscription', 'createSubscription', subscribe),
      either(`GET ${one}`, 'getSubscription', get),
      seller(`DELETE ${one}`, 'deleteSubscription', remove),
      seller(`POST ${one}/enable`, 'enableSubscription', (call) => setStatus(call, 'ENABLED')),
      seller(`POST ${one}/disable`, 'disableSubscription', (call) => setStatus(call, 'DISABLED')),
      either('GET /topic', 'getTopics', getTopics),
      either('GET /topic/:topicId', 'getTopic', getTopic),
    ],
  };
}
