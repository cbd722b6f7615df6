/** The four marketplaces in one process: shops with stock and orders, HTTP servers on loopback, webhooks, buyers and faults. */
import { createAmazonChannel } from './amazon.ts';
import { type BuyerOptions, type Buyers, createBuyers } from './buyers.ts';
import {
  boundsOf,
  type Channel,
  type ChannelFactory,
  type ChannelServer,
  type Connection,
  type ConnectionBounds,
  serveChannel,
} from './channel.ts';
import { type Clock, createSystemClock, type SystemClock } from './clock.ts';
import { createControl } from './control.ts';
import { type CatalogueItem, demoCatalogue, stockShop } from './demoShop.ts';
import { createEbayChannel } from './ebay.ts';
import { createEtsyChannel } from './etsy.ts';
import { createFaults, type Faults } from './faults.ts';
import { type Platform, platforms, type ShopSettings } from './goods.ts';
import type { HttpServer } from './http.ts';
import { createIdentifiers } from './identifiers.ts';
import { createRandom } from './random.ts';
import { createShopifyChannel } from './shopify.ts';
import { createWebhookSender, type WebhookSender, type WebhookSenderOptions } from './webhookSender.ts';
import { Shop } from './world.ts';

export type SandboxOptions = {
  /** The same seed draws the same chances. Default 1. */
  readonly seed?: number;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Default: the demo's 36 items. */
  readonly catalogue?: readonly CatalogueItem[];
  /** Multiplies the documented rate limits. Default 1000, so that limits show only by faults; 1 is the real marketplace. */
  readonly rateScale?: number;
  /** Fixed ports; 0 or absent takes a free one. `control` null: no control server. */
  readonly ports?: Partial<Record<Platform, number>> & { readonly control?: number | null };
  readonly shops?: Partial<Record<Platform, Partial<ShopSettings>>>;
  readonly buyers?: Partial<BuyerOptions>;
  readonly webhooks?: Pick<WebhookSenderOptions, 'retryDelaysMs' | 'concurrency' | 'timeoutMs' | 'queueMax'>;
};

/** Late effects of a size that can be watched: Amazon's minutes become seconds. */
export const demoShopSettings: Readonly<Record<Platform, Partial<ShopSettings>>> = {
  etsy: { orderIndexLagMs: { min: 0, max: 1000 }, readStaleMs: { min: 0, max: 500 } },
  amazon: {
    writeEffectMs: { min: 2000, max: 8000 },
    readStaleMs: { min: 0, max: 2000 },
    orderIndexLagMs: { min: 200, max: 2500 },
  },
  ebay: { orderIndexLagMs: { min: 0, max: 1500 }, readStaleMs: { min: 0, max: 500 } },
  shopify: { orderIndexLagMs: { min: 0, max: 500 } },
};

export type Sandbox = {
  readonly shops: Readonly<Record<Platform, Shop>>;
  readonly webhooks: Readonly<Record<Platform, WebhookSender>>;
  readonly faults: Faults;
  readonly buyers: Buyers;
  readonly catalogue: readonly CatalogueItem[];
  /** Listens on every port. Buyers are started separately. */
  start(): Promise<void>;
  /** Ends buyers, webhooks, late effects and servers; nothing of it is left running. */
  stop(): Promise<void>;
  /** Every shop as at the beginning, without orders, faults and remembered keys. Tokens stay good. */
  reset(): void;
  /** What a connector needs to reach this marketplace, with fresh tokens. Only while started. */
  connection(platform: Platform): Connection & { readonly bounds: ConnectionBounds };
  /** `http://127.0.0.1:port` of a marketplace. Only while started. */
  url(platform: Platform): string;
  /** Of the control API; null without one or while stopped. */
  readonly controlUrl: string | null;
  /** Null: nobody listens. */
  setWebhookTarget(platform: Platform, url: string | null): void;
  /** SKU (the channel's spelling) to the units that buyers can take now; `Infinity` when the channel does not count. */
  displayed(platform: Platform): Readonly<Record<string, number>>;
  /** The newest requests to a marketplace, oldest first. */
  requests(platform: Platform): ReturnType<ChannelServer['requests']['values']>;
  /** Makes every access token of a marketplace expired now. */
  expireTokens(platform: Platform): void;
};

const factories: Readonly<Record<Platform, ChannelFactory>> = {
  etsy: createEtsyChannel,
  amazon: createAmazonChannel,
  ebay: createEbayChannel,
  shopify: createShopifyChannel,
};

const defaultRateScale = 1000;

function forEach<T>(make: (platform: Platform) => T): Record<Platform, T> {
  return { etsy: make('etsy'), amazon: make('amazon'), ebay: make('ebay'), shopify: make('shopify') };
}

function demandOf(catalogue: readonly CatalogueItem[]): ReadonlyMap<string, number> {
  return new Map(
    catalogue.flatMap(({ demand, placements }) => placements.map(({ sku }) => [sku, demand] as const)),
  );
}

type World = Pick<Sandbox, 'shops' | 'webhooks' | 'faults' | 'buyers' | 'catalogue'> & {
  readonly clock: Clock;
  readonly ownClock: SystemClock | null;
  readonly channels: Readonly<Record<Platform, Channel>>;
};

function createWorld(options: SandboxOptions): World {
  const ownClock = options.clock === undefined ? createSystemClock() : null;
  const clock = options.clock ?? ownClock ?? createSystemClock();
  const random = createRandom(options.seed ?? 1);
  const faults = createFaults(random.fork('faults'));
  const catalogue = options.catalogue ?? demoCatalogue;
  const rateScale = options.rateScale ?? defaultRateScale;
  const shops = forEach((platform) => {
    const identifiers = createIdentifiers(platform, clock.now());
    const settings = options.shops?.[platform] ?? {};
    return new Shop({ platform, clock, random: random.fork(`shop ${platform}`), identifiers, settings });
  });
  const channels = forEach((platform) =>
    factories[platform]({
      shop: shops[platform],
      clock,
      random: random.fork(`channel ${platform}`),
      rateScale,
    }),
  );
  const webhooks = forEach((platform) =>
    createWebhookSender({ platform, clock, faults, ...options.webhooks }),
  );
  for (const platform of platforms) {
    stockShop(shops[platform], catalogue);
    shops[platform].subscribe((event) => {
      for (const delivery of channels[platform].deliveries(event)) webhooks[platform].send(delivery);
    });
  }
  const buyers = createBuyers(shops, clock, random.fork('buyers'), {
    demand: demandOf(catalogue),
    ...options.buyers,
  });
  return { shops, channels, webhooks, faults, buyers, catalogue, clock, ownClock };
}

/** Makes the shops at once and the servers on `start`. */
export function createSandbox(options: SandboxOptions = {}): Sandbox {
  const world = createWorld(options);
  const { shops, channels, webhooks, faults, buyers, clock } = world;
  const servers = new Map<Platform, ChannelServer>();
  let control: HttpServer | null = null;

  function running(platform: Platform): ChannelServer {
    const server = servers.get(platform);
    if (server === undefined) throw new Error('The sandbox is not started.');
    return server;
  }

  const sandbox: Sandbox = {
    shops,
    webhooks,
    faults,
    buyers,
    catalogue: world.catalogue,
    get controlUrl() {
      return control?.url ?? null;
    },
    async start() {
      if (servers.size > 0) return;
      try {
        for (const platform of platforms) {
          const port = options.ports?.[platform] ?? 0;
          servers.set(
            platform,
            await serveChannel(channels[platform], { shop: shops[platform], clock, faults, port }),
          );
        }
        const controlPort = options.ports?.control ?? (options.ports?.control === null ? null : 0);
        if (controlPort !== null) control = await createControl(sandbox).listen(controlPort);
      } catch (error) {
        await stopServers();
        throw error;
      }
    },
    async stop() {
      buyers.stop();
      await Promise.all(platforms.map((platform) => webhooks[platform].stop()));
      await stopServers();
      for (const platform of platforms) shops[platform].cancelLateEffects();
      world.ownClock?.cancelAll();
    },
    reset() {
      faults.clear();
      for (const platform of platforms) {
        shops[platform].clear();
        channels[platform].clear();
        stockShop(shops[platform], world.catalogue);
      }
    },
    connection: (platform) => ({
      ...channels[platform].connection(running(platform).url, webhooks[platform].target),
      bounds: boundsOf(shops[platform]),
    }),
    url: (platform) => running(platform).url,
    setWebhookTarget(platform, url) {
      webhooks[platform].target = url;
    },
    displayed: (platform) =>
      Object.fromEntries(
        shops[platform].variants().map((variant) => [variant.sku, shops[platform].displayed(variant)]),
      ),
    requests: (platform) => running(platform).requests.values(),
    expireTokens: (platform) => channels[platform].expireTokens(),
  };

  async function stopServers(): Promise<void> {
    const open = [...servers.values(), ...(control === null ? [] : [control])];
    servers.clear();
    control = null;
    await Promise.all(open.map((server) => server.stop()));
  }

  return sandbox;
}
