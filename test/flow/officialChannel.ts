/** A running product whose connections meet one local server that answers as the official documents say, so that examples come in over real HTTP. */
import { randomBytes } from 'node:crypto';
import { type AppOptions, startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import type { ChannelMessage, Money, Order, OrderStatus, Platform } from '../../src/connectors/connector.ts';
import type { Queryable } from '../../src/db.ts';
import { webhookPath } from '../../src/webhooks.ts';
import { ebayCredentials } from '../connectors/ebaySeller.ts';
import { etsyCredentials, shopId } from '../connectors/etsyShop.ts';
import { type Handler, type LocalChannel, startLocalChannel } from '../connectors/localChannel.ts';
import { createDatabase } from '../support/database.ts';
import { insertAccount, insertItem, insertListing, type TestConnection } from '../support/fixtures.ts';
import { testEnvironment, testLog } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';

export type Installation = AsyncDisposable & {
  /** One seller's account of this installation; `answer` sees every call but those for tokens. */
  connect(platform: Platform, given?: Given): Promise<OfficialConnection>;
};

type Given = {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly credentials?: Readonly<Record<string, string>>;
  readonly answer?: Handler;
};

export type Delivered = {
  readonly status: 'processed';
  readonly topic: string;
  readonly deliveryId: string;
  readonly body: string;
  /** Why nothing was done; null when something was. */
  readonly note: string | null;
  /** What the connector of this connection takes the stored bytes for. */
  readonly meaning: readonly ChannelMessage[];
};

export type OfficialConnection = {
  readonly channel: LocalChannel;
  get(query: string): Promise<Response>;
  /** Posts exactly these bytes and answers the status. */
  post(body: string, headers: Readonly<Record<string, string>>): Promise<number>;
  /** All that was stored, once it was carried out; a delivery that fails never is. */
  delivered(): Promise<readonly Delivered[]>;
  /** Puts an item on the shelf; `unitId` lists it and reads what the channel shows. */
  stock(
    sku: string,
    onHand: number,
    address?: { readonly unitId: string; variantId?: string },
  ): Promise<void>;
  item(sku: string): Promise<{ readonly quantity: number; readonly reserved: number } | undefined>;
  /** What we believe that the only listing shows. */
  shown(): Promise<number | null | undefined>;
  orders(): Promise<readonly Order[]>;
};

export async function startInstallation(given: Pick<AppOptions, 'clock'> = {}): Promise<Installation> {
  const down = new AsyncDisposableStack();
  const database = down.use(await createDatabase());
  const secretsKey = randomBytes(32);
  const app = down.adopt(
    await startApp({
      config: readConfig(testEnvironment(database.url, secretsKey)),
      databaseUrl: database.url,
      secretsKey,
      log: testLog(),
      ...given,
    }),
    (running) => running.stop(),
  );
  const db = app.database.pool;
  // The documented orders are old, and none may come by a poll.
  await db.query(`ALTER TABLE connections ALTER connected_at SET DEFAULT '2020-01-01',
                                          ALTER next_poll_at SET DEFAULT 'infinity'`);
  return {
    async connect(platform, { settings, credentials, answer = () => ({ status: 404 }) } = {}) {
      const channel = down.use(await startLocalChannel(withTokens(answer)));
      const accountId = await insertAccount(db);
      const id = await app.connections.connect({
        accountId,
        platform,
        name: platform,
        externalAccountId: 'official',
        settings: { ...settingsOf(platform, channel.url), ...settings },
        credentials: { ...officialCredentials[platform], ...credentials },
      });
      const hook = `http://127.0.0.1:${app.port ?? 0}${webhookPath(platform, id)}`;
      const open = async () => (await app.connections.open(id))?.connector;
      return {
        channel,
        get: (query) => fetch(`${hook}?${query}`),
        post: async (body, headers) => (await fetch(hook, { method: 'POST', body, headers })).status,
        delivered: async () => {
          const connector = await open();
          return (await carriedOut(db, id)).map(({ status, topic, deliveryId, body, note }) => ({
            status,
            topic,
            deliveryId,
            body: body.toString(),
            note,
            meaning: connector?.parseWebhook(topic, body) ?? [],
          }));
        },
        stock: async (sku, onHand, address) => {
          const item = await insertItem(db, accountId, { sku, onHand });
          if (address === undefined) return;
          const connection: TestConnection = { id, accountId, platform };
          await insertListing(db, connection, { itemId: item.id, ...address });
          await app.engine.readNew(id);
        },
        item: (sku) => itemOf(db, accountId, sku),
        shown: () => shownOn(db, id),
        orders: () => ordersOf(db, id),
      };
    },
    [Symbol.asyncDispose]: () => down.disposeAsync(),
  };
}

// ---------------------------------------------------------------------------------------------------------------- settings

function withTokens(answer: Handler): Handler {
  const token = { access_token: 'new', token_type: 'bearer', expires_in: 3600, refresh_token: 'next' };
  return (request) => (request.path.endsWith('/token') ? { json: token } : answer(request));
}

function settingsOf(platform: Platform, url: string): Record<string, unknown> {
  const base = { apiBaseUrl: url, tokenUrl: `${url}/token` };
  switch (platform) {
    case 'etsy':
      return { ...base, shopId };
    case 'amazon':
      return { ...base, sellerId: 'A1SELLER', marketplaceId: 'ATVPDKIKX0DER' };
    case 'ebay':
      return { ...base, identityBaseUrl: url };
    case 'shopify':
      return {
        apiBaseUrl: url,
        shopDomain: 'demo-shop.myshopify.com',
        locationId: '65000001',
        authMode: 'static',
      };
  }
}

/** Those of the vectors, and tokens that no test wears out. */
export const officialCredentials: Readonly<Record<Platform, Readonly<Record<string, string>>>> = {
  etsy: etsyCredentials,
  amazon: { clientId: 'client', clientSecret: 'secret', refreshToken: 'Atzr|1', webhookToken: 'forwarder' },
  ebay: ebayCredentials,
  shopify: { accessToken: 'shpat_demo', clientId: 'client', clientSecret: 'shpss_demo_secret' },
};

// ------------------------------------------------------------------------------------------------------------------ tables

async function carriedOut(db: Queryable, connectionId: string) {
  return waitFor(
    async () => {
      const { rows } = await db.query<Omit<Delivered, 'body' | 'meaning'> & { body: Buffer }>(
        `SELECT topic, status::text, delivery_id AS "deliveryId", body, error AS note
           FROM webhook_deliveries WHERE connection_id = $1 ORDER BY id`,
        [connectionId],
      );
      const open = rows.filter(({ status }) => status !== 'processed');
      if (open.length > 0) throw new Error(JSON.stringify(open.map(({ topic, note }) => [topic, note])));
      return rows;
    },
    { what: 'the deliveries to be carried out' },
  );
}

async function itemOf(db: Queryable, accountId: string, sku: string) {
  const { rows } = await db.query<{ quantity: number; reserved: number }>(
    'SELECT quantity, reserved FROM inventory_items WHERE account_id = $1 AND sku = $2',
    [accountId, sku],
  );
  return rows[0];
}

async function shownOn(db: Queryable, connectionId: string): Promise<number | null | undefined> {
  const { rows } = await db.query<{ quantity: number | null }>(
    'SELECT quantity FROM listings WHERE connection_id = $1',
    [connectionId],
  );
  return rows[0]?.quantity;
}

type OrderRow = {
  readonly orderId: string;
  readonly status: OrderStatus;
  readonly customerName: string | null;
  readonly total: Money;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly raw: unknown;
  readonly lines: Order['lines'];
};

/** As an order again, so that a row is compared member by member with what was meant. */
async function ordersOf(db: Queryable, connectionId: string): Promise<readonly OrderRow[]> {
  const { rows } = await db.query<OrderRow>(
    `SELECT platform_order_id AS "orderId", status::text, customer_name AS "customerName",
            json_build_object('minor', total_minor, 'currency', currency) AS total,
            channel_created_at AS "createdAt", channel_updated_at AS "updatedAt", order_data AS raw,
            (SELECT json_agg(json_build_object(
                      'lineId', platform_line_id, 'sku', sku, 'title', title, 'ordered', ordered, 'reserved', reserved, 'shipped', shipped,
                      'address', CASE WHEN unit_id IS NOT NULL THEN json_build_object('unitId', unit_id, 'variantId', variant_id) END,
                      'unitPrice', json_build_object('minor', unit_price_minor, 'currency', line.currency)) ORDER BY position)
               FROM order_lines line WHERE order_id = orders.id) AS lines
       FROM orders WHERE connection_id = $1 ORDER BY id`,
    [connectionId],
  );
  return rows;
}
