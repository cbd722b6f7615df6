/** A shop of the product that is connected to the sandbox marketplaces through the real connectors, with an API key. */
import { createApiKey } from '../src/apiKeys.ts';
import { systemClock } from '../src/clock.ts';
import type { Platform } from '../src/connectors/connector.ts';
import { createHttpClient } from '../src/connectors/httpClient.ts';
import { connectorFactories } from '../src/connectors/index.ts';
import { createMemoryRateBudget } from '../src/connectors/rateBudget.ts';
import { openDatabase } from '../src/db.ts';
import { silentLog } from '../src/log.ts';
import { scopes } from '../src/schema/scopes.ts';
import { createSecretBox } from '../src/secrets.ts';
import { importCatalogue } from '../src/sync/catalogue.ts';
import { createConnections } from '../src/sync/connections.ts';
import type { MarketplaceConnection } from './marketplaces.ts';
import { sku } from './shopData.ts';

export type ConnectedShop = {
  readonly accountId: string;
  readonly apiKey: string;
  /** The connection's id by platform. */
  readonly connectionIds: Readonly<Partial<Record<Platform, string>>>;
};

export type ConnectedShopOptions = {
  readonly databaseUrl: string;
  readonly secretsKey: Buffer;
  readonly marketplaces: readonly MarketplaceConnection[];
  readonly items: number;
  readonly onHand: number;
};

export async function connectShop(options: ConnectedShopOptions): Promise<ConnectedShop> {
  const log = silentLog();
  const database = openDatabase({
    url: options.databaseUrl,
    poolMax: 5,
    connectionTimeoutMs: 5_000,
    statementTimeoutMs: 60_000,
    applicationName: 'bench set-up',
    onError: () => undefined,
  });
  const db = database.pool;
  const budget = createMemoryRateBudget({ now: Date.now });
  const connections = createConnections({
    db,
    secretBox: createSecretBox(options.secretsKey),
    clock: systemClock,
    factories: connectorFactories,
    httpClient: () =>
      createHttpClient({
        budget,
        log,
        deadlineMs: 30_000,
        attemptTimeoutMs: 10_000,
        signal: new AbortController().signal,
      }),
    refreshLeaseMs: 30_000,
  });
  try {
    const { rows } = await db.query<{ id: string }>(
      `INSERT INTO accounts (name) VALUES ('Bench shop') RETURNING id`,
    );
    const accountId = rows[0]?.id ?? '';
    const skus = Array.from({ length: options.items }, (_, number) => sku(number));
    await db.query(
      `INSERT INTO inventory_items (account_id, sku, title, quantity) SELECT $1, sku, 'Item ' || sku, $3 FROM unnest($2::text[]) sku`,
      [accountId, skus, options.onHand],
    );
    const connectionIds: Partial<Record<Platform, string>> = {};
    for (const marketplace of options.marketplaces) {
      const id = await connections.connect({ accountId, ...marketplace });
      connectionIds[marketplace.platform] = id;
      const channel = await connections.open(id);
      if (channel !== null) await importCatalogue(db, channel);
    }
    const { key } = await createApiKey(db, { accountId, name: 'Bench', scopes, expiresAt: null });
    await db.query('ANALYZE');
    return { accountId, apiKey: key, connectionIds };
  } finally {
    await database.close();
  }
}
