/** One seller of the real product: an account with stock on its shelf, connected to the four sandbox marketplaces. */
import { createApiKey, scopes } from '../apiKeys.ts';
import type { App } from '../app.ts';
import { platforms } from '../connectors/connector.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { importCatalogue } from '../sync/catalogue.ts';
import { adjust } from '../sync/ledger.ts';
import { systemActor } from '../sync/outcome.ts';
import { webhookPath } from '../webhooks.ts';
import { type LiveApi, openApi } from './liveApi.ts';
import { channelOf, type LivePace } from './livePace.ts';
import type { Parameters } from './parameters.ts';

export async function openLiveShop(
  app: App,
  sandbox: Sandbox,
  world: Parameters,
  pace: LivePace,
): Promise<LiveApi> {
  const { pool } = app.database;
  const { rows } = await pool.query<{ id: string }>(
    `INSERT INTO accounts (name) VALUES ('Simulated shop') RETURNING id`,
  );
  const accountId = rows[0]?.id ?? '';
  const { key } = await createApiKey(pool, { accountId, name: 'simulation', scopes, expiresAt: null });
  for (const { sku, title, quantity } of sandbox.catalogue) {
    const made = await pool.query<{ id: string }>(
      'INSERT INTO inventory_items (account_id, sku, title) VALUES ($1, $2, $3) RETURNING id',
      [accountId, sku, title],
    );
    const itemId = made.rows[0]?.id ?? '';
    if (quantity === 0) continue;
    await adjust(pool, {
      accountId,
      itemId,
      onHandDelta: quantity,
      idempotencyKey: `opening:${itemId}`,
      kind: 'opening',
      reason: 'opening',
      reference: null,
      actor: systemActor,
    });
  }
  const url = `http://127.0.0.1:${app.port ?? 0}`;
  for (const platform of platforms) {
    const bounds = pace.bounds(channelOf(world, platform));
    const connect = () => app.connections.connect({ accountId, ...sandbox.connection(platform), bounds });
    sandbox.setWebhookTarget(platform, url + webhookPath(platform, await connect()));
    // eBay's challenge is over the exact address, which contains the connection's id.
    const connectionId = await connect();
    const channel = await app.connections.open(connectionId);
    if (channel === null) throw new Error(`${platform} is not connected`);
    await importCatalogue(pool, channel);
    await app.engine.readNew(connectionId);
  }
  return openApi(url, key);
}
