/** Runs the whole product in this process: real connectors, webhook routes and transports over one database and four sandbox marketplaces. */
import { randomBytes } from 'node:crypto';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import type { Pool } from 'pg';
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
import { buy, inStep, pollNow, stockOf } from './productChecks.ts';
import { type AnyEnvelope, type Subscriber, subscribe } from './subscriber.ts';
import { waitFor } from './waiting.ts';

export { buy, historyOf, outOfStep } from './productChecks.ts';
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
  SEND_WITHIN_MS: '500',
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
  /** Where the product's log goes. Default: `testLog()`. */
  readonly log?: Log;
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
      await startApp({ config, databaseUrl: database.url, secretsKey, log: options.log ?? testLog() }),
      (it) => it.stop(),
    );
    const db = app.database.pool;
    const url = `http://127.0.0.1:${app.port ?? 0}`;
    const shop = await openShop({
      db,
      connections: app.connections,
      sandbox,
      hookBase: url,
      readNew: app.engine.readNew,
    });
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
  readonly db: Pool;
  readonly connections: Connections;
  readonly sandbox: Sandbox;
  /** Where the marketplaces call, without a slash at the end. */
  readonly hookBase: string;
  /** Reads what a new channel shows. */
  readonly readNew: (connectionId: string) => Promise<void>;
};

export type OpenShop = Pick<Product, 'accountId' | 'key' | 'connections'>;

/** An account with everything the sandbox sells on its shelf, connected to the four marketplaces as the demo is. */
export async function openShop({
  db,
  connections,
  sandbox,
  hookBase,
  readNew,
}: ShopParts): Promise<OpenShop> {
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
      await readNew(id);
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
