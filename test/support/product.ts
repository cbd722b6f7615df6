/** Runs the whole product in this process: real connectors, webhook routes and transports over one database and four sandbox marketplaces. */
import { randomBytes } from 'node:crypto';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { createApiKey, scopes } from '../../src/apiKeys.ts';
import { type App, startApp } from '../../src/app.ts';
import { type Config, readConfig } from '../../src/config.ts';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import type { Queryable } from '../../src/db.ts';
import { createLog, type Log } from '../../src/log.ts';
import { tinyCatalogue } from '../../src/sandbox/demoShop.ts';
import type { Order, ShopSettings } from '../../src/sandbox/goods.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.ts';
import { importCatalogue } from '../../src/sync/catalogue.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { adjust } from '../../src/sync/ledger.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import { webhookPath } from '../../src/webhooks.ts';
import { createDatabase } from './database.ts';
import { type AnyEnvelope, type Subscriber, subscribe } from './subscriber.ts';
import { waitFor } from './waiting.ts';

export { tinyCatalogue };

/** Late effects that a test can wait for: nothing takes a second. */
export const shortLateEffects: Readonly<Record<Platform, Partial<ShopSettings>>> = {
  etsy: { orderIndexLagMs: { min: 0, max: 50 } },
  amazon: { writeEffectMs: { min: 100, max: 100 }, orderIndexLagMs: { min: 0, max: 100 } },
  ebay: { orderIndexLagMs: { min: 0, max: 50 } },
  shopify: { orderIndexLagMs: { min: 0, max: 20 } },
};

/** Order polls come only when a test asks, so that what a webhook did cannot be a poll's work; everything else is quick. */
const quickEnvironment: Readonly<Record<string, string>> = {
  PORT: '0',
  POLL_INTERVAL_MS: '3600000',
  LOOK_INTERVAL_MS: '200',
  VERIFY_INTERVAL_MS: '100',
  BACKOFF_MAX_MS: '500',
  CHANNEL_DEADLINE_MS: '2000',
  HEARTBEAT_INTERVAL_MS: '100',
  SHUTDOWN_DEADLINE_MS: '10000',
  DATABASE_POOL_MAX: '12',
};

export type ProductOptions = {
  /** Units per SKU, each on all four marketplaces. Default: one SKU `MUG` with 10. */
  readonly skus?: Readonly<Record<string, number>>;
  readonly sandbox?: SandboxOptions;
  /** Environment variables over the quick ones. */
  readonly environment?: Readonly<Record<string, string>>;
};

export type Stock = {
  readonly quantity: number;
  readonly reserved: number;
  readonly available: number;
  readonly seq: number;
};

export type Product = AsyncDisposable & {
  readonly app: App;
  readonly sandbox: Sandbox;
  readonly db: Queryable;
  readonly databaseUrl: string;
  readonly accountId: string;
  readonly key: string;
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly connections: Readonly<Record<Platform, string>>;
  /** Runs an operation over HTTP that must have data and no error. */
  graphql<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data>;
  /** A live subscription over a WebSocket of its own. */
  subscribe<Data extends Readonly<Record<string, AnyEnvelope>>, Variables>(
    document: TypedDocumentNode<Data, Variables>,
    variables?: Readonly<Record<string, unknown>> & { readonly after?: string },
    key?: string,
  ): Promise<Subscriber<StreamOf<Data>>>;
  /** A buyer takes units; the order must be granted. */
  buy(platform: Platform, sku: string, quantity?: number): Order;
  stock(sku: string): Promise<Stock>;
  /** One order poll now; answers when it is over. */
  poll(platform: Platform): Promise<void>;
  /** Resolves when every channel shows what the ledger says and no newest write is unproved. */
  inStep(options?: { readonly timeoutMs?: number }): Promise<void>;
  /** Another account of the same installation: its key. */
  strangerKey(): Promise<string>;
};

type StreamOf<Data> = Exclude<Data[keyof Data], string | undefined>;

export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const down = new AsyncDisposableStack();
  try {
    const database = down.use(await createDatabase());
    const sandbox = down.adopt(createTestSandbox(options), (running) => running.stop());
    await sandbox.start();
    const secretsKey = randomBytes(32);
    const config = testConfig(database.url, secretsKey, options.environment);
    const app = down.adopt(
      await startApp({ config, databaseUrl: database.url, secretsKey, log: testLog() }),
      (it) => it.stop(),
    );
    const db = app.database.pool;
    const url = `http://127.0.0.1:${app.port ?? 0}`;
    const shop = await openShop({ db, connections: app.connections, sandbox, hookBase: url });
    if (config.role !== 'serve') await waitForFirstPolls(db);
    const disposal = down.move();
    return {
      app,
      sandbox,
      db,
      databaseUrl: database.url,
      url,
      ...shop,
      graphql: (document, variables) => postGraphql(url, shop.key, document, variables),
      subscribe: (document, variables = {}, key = shop.key) =>
        subscribe({
          url,
          key,
          document: document as never,
          variables,
          ...(variables.after === undefined ? {} : { after: variables.after }),
        }),
      buy: (platform, sku, quantity = 1) => buy(sandbox, platform, sku, quantity),
      stock: (sku) => stockOf(db, shop.accountId, sku),
      poll: (platform) => pollNow(app, shop.connections[platform]),
      inStep: (wait) => inStep(db, sandbox, shop.accountId, wait?.timeoutMs ?? 10_000),
      strangerKey: () => addStranger(db),
      [Symbol.asyncDispose]: () => disposal.disposeAsync(),
    };
  } catch (error) {
    await down.disposeAsync();
    throw error;
  }
}

export function createTestSandbox(options: Pick<ProductOptions, 'skus' | 'sandbox'>): Sandbox {
  return createSandbox({
    catalogue: tinyCatalogue(options.skus ?? { MUG: 10 }),
    shops: shortLateEffects,
    webhooks: { retryDelaysMs: [100, 200, 400, 800, 1_600, 3_000] },
    ...options.sandbox,
    ports: { control: null, ...options.sandbox?.ports },
  });
}

export function testEnvironment(
  databaseUrl: string,
  secretsKey: Buffer,
  environment: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    ...quickEnvironment,
    DATABASE_URL: databaseUrl,
    SECRETS_KEY: secretsKey.toString('base64'),
    ...environment,
  };
}

function testConfig(
  databaseUrl: string,
  secretsKey: Buffer,
  environment: Readonly<Record<string, string>> = {},
): Config {
  return readConfig(testEnvironment(databaseUrl, secretsKey, environment));
}

/** `FLOW_LOG=info` shows what the product says. */
export function testLog(): Log {
  return createLog({ level: process.env['FLOW_LOG'] === undefined ? 'silent' : 'info' });
}

// ------------------------------------------------------------------------------------------------------------------ shop

export type ShopParts = {
  readonly db: Queryable;
  readonly connections: Connections;
  readonly sandbox: Sandbox;
  /** Where the marketplaces call, without a slash at the end. */
  readonly hookBase: string;
};

export type OpenShop = Pick<Product, 'accountId' | 'key' | 'connections'>;

/** An account with everything the sandbox sells on its shelf, connected to the four marketplaces as the demo is. */
export async function openShop({ db, connections, sandbox, hookBase }: ShopParts): Promise<OpenShop> {
  const accountId = await addAccount(db, 'Test shop');
  const { key } = await createApiKey(db, { accountId, name: 'test', scopes, expiresAt: null });
  for (const item of sandbox.catalogue) await stockShelf(db, accountId, item);
  const connected = await Promise.all(
    platforms.map(async (platform) => {
      const first = await connections.connect({ accountId, ...sandbox.connection(platform) });
      sandbox.setWebhookTarget(platform, hookBase + webhookPath(platform, first));
      // eBay's challenge is over the exact address, which contains the connection's id.
      const id = await connections.connect({ accountId, ...sandbox.connection(platform) });
      const channel = await connections.open(id);
      if (channel === null) throw new Error(`${platform} is not connected`);
      await importCatalogue(db, channel);
      return [platform, id] as const;
    }),
  );
  return { accountId, key, connections: Object.fromEntries(connected) as Record<Platform, string> };
}

async function addAccount(db: Queryable, name: string): Promise<string> {
  const { rows } = await db.query<{ id: string }>('INSERT INTO accounts (name) VALUES ($1) RETURNING id', [
    name,
  ]);
  return rows[0]?.id ?? '';
}

async function addStranger(db: Queryable): Promise<string> {
  const accountId = await addAccount(db, 'Another shop');
  return (await createApiKey(db, { accountId, name: 'stranger', scopes, expiresAt: null })).key;
}

async function stockShelf(
  db: Queryable,
  accountId: string,
  item: Sandbox['catalogue'][number],
): Promise<void> {
  const { rows } = await db.query<{ id: string }>(
    'INSERT INTO inventory_items (account_id, sku, title) VALUES ($1, $2, $3) RETURNING id',
    [accountId, item.sku, item.title],
  );
  const itemId = rows[0]?.id ?? '';
  await adjust(db, {
    accountId,
    itemId,
    onHandDelta: item.quantity,
    idempotencyKey: `opening:${itemId}`,
    kind: 'opening',
    reason: 'opening',
    reference: null,
    actor: systemActor,
  });
  const spellings = new Set(item.placements.map(({ sku }) => sku).filter((sku) => sku !== item.sku));
  for (const sku of spellings)
    await db.query('INSERT INTO sku_aliases (account_id, sku, item_id) VALUES ($1, $2, $3)', [
      accountId,
      sku,
      itemId,
    ]);
}

/** Every connection is polled once when it is new; tests begin after that. */
async function waitForFirstPolls(db: Queryable): Promise<void> {
  await waitFor(
    async () => {
      const { rows } = await db.query(
        'SELECT 1 FROM connections WHERE last_polled_at IS NULL OR poll_lease_until IS NOT NULL',
      );
      return rows.length === 0;
    },
    { timeoutMs: 15_000, what: 'the first order polls' },
  );
}

// --------------------------------------------------------------------------------------------------------------- actions

export async function postGraphql<Data, Variables>(
  url: string,
  key: string,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = (await response.json()) as { data?: Data; errors?: unknown };
  if (errors !== undefined || data === undefined)
    throw new Error(`the operation failed: ${JSON.stringify(errors)}`);
  return data;
}

export function buy(sandbox: Sandbox, platform: Platform, sku: string, quantity: number): Order {
  const shop = sandbox.shops[platform];
  const variant = shop.variantBySku(sku);
  if (variant === undefined) throw new Error(`${platform} does not sell ${sku}`);
  const result = shop.orders.place({ lines: [{ variantId: variant.id, quantity }] });
  if (result.kind === 'refused')
    throw new Error(`${platform} shows ${result.displayed} of ${sku}, not ${quantity}`);
  return result.order;
}

async function stockOf(db: Queryable, accountId: string, sku: string): Promise<Stock> {
  const { rows } = await db.query<Stock>(
    'SELECT quantity, reserved, available, seq::int FROM inventory_items WHERE account_id = $1 AND sku = $2',
    [accountId, sku],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`there is no item ${sku}`);
  return row;
}

async function pollNow(app: App, connectionId: string): Promise<void> {
  const { rowCount } = await app.database.pool.query(
    'UPDATE connections SET next_poll_at = now() WHERE id = $1 AND poll_lease_until IS NULL',
    [connectionId],
  );
  if (rowCount === 0) throw new Error('a poll is under way already');
  await app.engine.tasks.poll(connectionId);
  // The supervisor may have been quicker.
  await waitFor(
    async () => {
      const { rows } = await app.database.pool.query(
        'SELECT 1 FROM connections WHERE id = $1 AND next_poll_at > now() AND poll_lease_until IS NULL',
        [connectionId],
      );
      return rows.length === 1;
    },
    { timeoutMs: 10_000, what: 'a poll to end' },
  );
}

/**
 * What is not as it should be: a channel that shows another number than the ledger's, a listing still dirty, a newest write that is not proved.
 * An older write may stay open for as long as it could still land.
 */
export async function outOfStep(
  db: Queryable,
  sandbox: Sandbox,
  accountId: string,
): Promise<readonly string[]> {
  const { rows } = await db.query<{
    platform: Platform;
    sku: string;
    available: number;
    dirty: boolean;
    open: boolean | null;
  }>(
    `SELECT listing.platform, listing.sku, item.available,
            EXISTS (SELECT FROM dirty_listings WHERE listing_id = listing.id) AS dirty,
            (SELECT state FROM listing_writes WHERE listing_id = listing.id ORDER BY sent_at DESC, id DESC LIMIT 1)
              IN ('sent', 'accepted', 'unknown') AS open
       FROM listings listing JOIN inventory_items item ON item.id = listing.item_id
      WHERE listing.account_id = $1 AND listing.writable`,
    [accountId],
  );
  const displayed = Object.fromEntries(platforms.map((platform) => [platform, sandbox.displayed(platform)]));
  return rows.flatMap(({ platform, sku, available, dirty, open }) => {
    const shown = displayed[platform]?.[sku];
    const wanted = Math.min(Math.max(available, 0), platform === 'etsy' ? 999 : 1_000_000);
    if (shown === wanted && !dirty && !open) return [];
    return [
      `${platform} ${sku} shows ${shown}, wanted ${wanted}${dirty ? ', dirty' : ''}${open ? ', the newest write is not proved' : ''}`,
    ];
  });
}

async function inStep(db: Queryable, sandbox: Sandbox, accountId: string, timeoutMs: number): Promise<void> {
  await waitFor(
    async () => {
      const wrong = await outOfStep(db, sandbox, accountId);
      if (wrong.length > 0) throw new Error(wrong.slice(0, 8).join('; '));
      return true;
    },
    { timeoutMs, intervalMs: 30, what: 'every channel to be in step' },
  );
}

/** Everything that was written to one listing and everything that changed its number on the channel, in order of time: for the message of a failure. */
export async function historyOf(
  db: Queryable,
  sandbox: Sandbox,
  platform: Platform,
  sku: string,
): Promise<string> {
  const { rows } = await db.query<{ at: Date; what: string }>(
    `SELECT at, what FROM (
       SELECT write.sent_at AS at, 'sent ' || write.quantity || ' over ' || coalesce(write.expected::text, '?') || ' for seq ' || write.target_seq AS what
         FROM listing_writes write JOIN listings listing ON listing.id = write.listing_id WHERE listing.platform = $1::platform AND listing.sku = $2
       UNION ALL
       SELECT coalesce(write.answered_at, write.sent_at), 'answer for ' || write.quantity || ' (seq ' || write.target_seq || '): ' || write.state || coalesce(' ' || write.error, '')
         FROM listing_writes write JOIN listings listing ON listing.id = write.listing_id WHERE listing.platform = $1::platform AND listing.sku = $2
       UNION ALL
       SELECT listing.quantity_at, 'believed ' || coalesce(listing.quantity::text, 'unknown') || ', target ' || coalesce(listing.target::text, 'none')
         FROM listings listing WHERE listing.platform = $1::platform AND listing.sku = $2
       UNION ALL
       SELECT movement.created_at, 'ledger seq ' || movement.seq || ': available ' || (movement.on_hand_after - movement.reserved_after)
         FROM stock_movements movement JOIN listings listing ON listing.item_id = movement.item_id WHERE listing.platform = $1::platform AND listing.sku = $2
     ) history ORDER BY at`,
    [platform, sku],
  );
  const shown = sandbox.shops[platform].journal
    .values()
    .filter((change) => change.sku === sku)
    .map(({ at, cause, from, to }) => ({ at: new Date(at), what: `channel: ${cause} ${from} -> ${to}` }));
  const all = [...rows, ...shown].toSorted((one, other) => one.at.getTime() - other.at.getTime());
  return all.map(({ at, what }) => `${at.toISOString().slice(11, 23)} ${what}`).join('\n');
}
