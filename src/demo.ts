/** The demo: four sandbox marketplaces, one shop connected to them through the real connectors, buyers, a packer and deliveries. */

import { createApiKey, scopes } from './apiKeys.ts';
import type { App } from './app.ts';
import type { Config } from './config.ts';
import { type Platform, platforms } from './connectors/connector.ts';
import { violatedConstraint } from './dbErrors.ts';
import type { Log } from './log.ts';
import { createSandbox, demoShopSettings, type Sandbox } from './sandbox/sandbox.ts';
import { importCatalogue } from './sync/catalogue.ts';
import { adjust } from './sync/ledger.ts';
import { type Caller, systemActor } from './sync/outcome.ts';
import { webhookPath } from './webhooks.ts';

export type DemoOptions = { readonly app: App; readonly config: Config; readonly log: Log };
export type Demo = {
  readonly sandbox: Sandbox;
  readonly accountId: string;
  /** Lets the buyers in. */
  open(): void;
  /** Sends them home. */
  close(): void;
  /** Ends the marketplaces; after the product, which still has calls to finish. */
  stop(): Promise<void>;
};

const accountName = 'Demo shop';
const shopkeeperIntervalMs = 5_000;
/** Parcels leave this long after the order, and empty shelves are filled. */
const packAfterSeconds = 45;

export async function startDemo({ app, config, log }: DemoOptions): Promise<Demo> {
  const sandbox = createSandbox({
    shops: demoShopSettings,
    buyers: { perMinute: config.buyersPerMinute },
  });
  await sandbox.start();
  const accountId = await ensureAccount(app);
  const key = await ensureKey(app, accountId, config, log);
  await stockShelves(app, accountId, sandbox);
  const hookBase = `http://127.0.0.1:${app.port ?? config.port}`;
  for (const platform of platforms) await connect(app, accountId, sandbox, platform, hookBase);
  const caller: Caller = { accountId, actor: systemActor, correlationId: 'demo' };
  // The marketplaces begin anew with every start, the ledger does not: bring them to what the ledger says.
  await app.engine.sync.syncAll(caller);
  let keeper: { stop(): void } | undefined;
  return {
    sandbox,
    accountId,
    open() {
      process.stdout.write(welcome(app, config, key, sandbox));
      if (config.buyersPerMinute > 0) sandbox.buyers.start();
      keeper ??= startShopkeeper(app, caller, sandbox, log);
    },
    close() {
      keeper?.stop();
      sandbox.buyers.stop();
    },
    stop: () => sandbox.stop(),
  };
}

async function ensureAccount({ database }: App): Promise<string> {
  const known = await database.pool.query<{ id: string }>(
    'SELECT id FROM accounts WHERE name = $1 ORDER BY id LIMIT 1',
    [accountName],
  );
  if (known.rows[0] !== undefined) return known.rows[0].id;
  const made = await database.pool.query<{ id: string }>(
    'INSERT INTO accounts (name) VALUES ($1) RETURNING id',
    [accountName],
  );
  return made.rows[0]?.id ?? '';
}

/** A key that is shown once. `DEMO_API_KEY` presets it, at any start. Answers what to show. */
async function ensureKey({ database }: App, accountId: string, config: Config, log: Log): Promise<string> {
  const preset = config.demoApiKey;
  const { rows } = await database.pool.query(
    'SELECT 1 FROM api_keys WHERE account_id = $1 AND revoked_at IS NULL LIMIT 1',
    [accountId],
  );
  if (preset === null && rows.length > 0) return 'shown at the first start (DEMO_API_KEY presets another)';
  try {
    const wanted = { accountId, name: 'Demo', scopes, expiresAt: null };
    const { key } = await createApiKey(database.pool, preset === null ? wanted : { ...wanted, key: preset });
    return preset === null ? `${key}   (shown only this once)` : 'the one in DEMO_API_KEY';
  } catch (error) {
    if (preset === null || violatedConstraint(error) === null) throw error;
    log.debug('the preset demo key is already there');
    return 'the one in DEMO_API_KEY';
  }
}

function welcome(app: App, config: Config, key: string, { controlUrl }: Sandbox): string {
  const base = `http://localhost:${app.port}`;
  return [
    '',
    `  ListGenius Sync     ${base}`,
    ...(config.graphiql ? [`  GraphiQL            ${base}/graphql`] : []),
    `  API key             ${key}`,
    `  Demo                four sandbox marketplaces, ${config.buyersPerMinute} buyers a minute (BUYERS_PER_MINUTE)`,
    `  Their control API   ${controlUrl}/_sandbox/state   (buy, break and mend: src/sandbox/README.md)`,
    '',
    '',
  ].join('\n');
}

async function stockShelves({ database }: App, accountId: string, sandbox: Sandbox): Promise<void> {
  for (const item of sandbox.catalogue) {
    const { rows } = await database.pool.query<{ id: string }>(
      'INSERT INTO inventory_items (account_id, sku, title) VALUES ($1, $2, $3) ON CONFLICT (account_id, sku) DO NOTHING RETURNING id',
      [accountId, item.sku, item.title],
    );
    const [made] = rows;
    if (made === undefined) continue;
    await adjust(database.pool, {
      accountId,
      itemId: made.id,
      onHandDelta: item.quantity,
      idempotencyKey: `opening:${made.id}`,
      kind: 'opening',
      reason: 'opening',
      reference: null,
      actor: systemActor,
    });
    // Where a channel spells the SKU in its own way, the seller has said so before.
    for (const { sku } of item.placements) {
      if (sku === item.sku) continue;
      await database.pool.query(
        'INSERT INTO sku_aliases (account_id, sku, item_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        [accountId, sku, made.id],
      );
    }
  }
}

async function connect(
  app: App,
  accountId: string,
  sandbox: Sandbox,
  platform: Platform,
  hookBase: string,
): Promise<void> {
  const first = await app.connections.connect({ accountId, ...sandbox.connection(platform) });
  const target = hookBase + webhookPath(platform, first);
  sandbox.setWebhookTarget(platform, target);
  // eBay's challenge is over the exact address, which contains the connection's id.
  const connectionId = await app.connections.connect({ accountId, ...sandbox.connection(platform) });
  const channel = await app.connections.open(connectionId);
  if (channel === null) return;
  await importCatalogue(app.database.pool, channel);
  await app.engine.readNew(connectionId);
}

/** Packs orders and fills shelves, so that the demo can run for hours. Does it through the same verbs as any client. */
function startShopkeeper(app: App, caller: Caller, sandbox: Sandbox, log: Log): { stop(): void } {
  const { sync } = app.engine;
  const shelf = new Map(sandbox.catalogue.map((item) => [item.sku, item.quantity]));

  async function pack(): Promise<void> {
    const { rows } = await app.database.pool.query<{ id: string }>(
      `SELECT id FROM orders WHERE account_id = $1 AND status = 'processing' AND created_at < now() - $2 * interval '1 s' ORDER BY id LIMIT 5`,
      [caller.accountId, packAfterSeconds],
    );
    for (const { id } of rows) {
      await sync.updateOrderStatus(caller, {
        orderId: id,
        status: 'shipped',
        carrier: 'USPS',
        trackingNumber: `94001${id.replaceAll(/\D/g, '').slice(0, 15)}`,
        idempotencyKey: `demo-pack:${id}`,
      });
    }
  }

  async function refill(): Promise<void> {
    const { rows } = await app.database.pool.query<{
      id: string;
      sku: string;
      available: number;
      seq: string;
    }>(
      `SELECT id, sku, available, seq FROM inventory_items WHERE account_id = $1 AND available <= 0 AND updated_at < now() - $2 * interval '1 s' LIMIT 5`,
      [caller.accountId, packAfterSeconds],
    );
    for (const { id, sku, available, seq } of rows) {
      await sync.adjustStock(caller, {
        itemId: id,
        delta: (shelf.get(sku) ?? 1) - available,
        reason: 'received',
        reference: 'demo delivery',
        idempotencyKey: `demo-refill:${id}:${seq}`,
      });
    }
  }

  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    pack()
      .then(refill)
      .catch((error: unknown) => log.warn({ error }, 'the demo shopkeeper stumbled'))
      .finally(() => {
        busy = false;
      });
  }, shopkeeperIntervalMs);
  return { stop: () => clearInterval(timer) };
}
