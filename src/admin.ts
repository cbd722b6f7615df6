/** Commands for the operator of an installation: accounts, API keys and connections. Works on the same database as the server. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { KeyCommandError, makeKey, printKeys, revokeKey } from './adminKeys.ts';
import { applyPlanById, PlanCommandError, planConnection, undoPlanById } from './adminPlans.ts';
import { createApiKey, scopes } from './apiKeys.ts';
import { type App, startApp } from './app.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { platforms } from './connectors/connector.ts';
import { createLog } from './log.ts';
import { openPlace } from './place.ts';
import { importCatalogue, openItems } from './sync/catalogue.ts';
import { systemActor } from './sync/outcome.ts';
import { webhookPath } from './webhooks.ts';

const usage = `npm run admin -- COMMAND

  account NAME                                    makes an account and its first API key
  key ACCOUNT_ID NAME [--scopes a,b] [--expires DATE]
                                                  makes another key (all scopes and no end unless given)
  keys                                            lists all keys: scopes, last use, end
  revoke KEY_ID                                   ends a key and its streams
  connect ACCOUNT_ID FILE [--create-items]        connects a marketplace account and imports its catalogue
  import CONNECTION_ID [--create-items]           imports the catalogue again: new listings become known
  plan CONNECTION_ID [--channel-wins] [--replace] says what a sync of the connection would do; writes nothing
  apply PLAN_ID [--acknowledge-large]             carries a plan out
  undo PLAN_ID                                    takes an applied plan back
  failed                                          lists webhook deliveries that were set aside
  replay DELIVERY_ID                              has one of them carried out again

FILE is JSON: {"platform", "name", "settings", "credentials"}; the README of each folder in src/connectors lists its
settings and credentials. Nothing is written to a new connection before a plan of it is applied.
With --create-items every SKU that no item is known for becomes an item whose opening stock is
what the marketplace shows.
`;

const connectionFile = z.object({
  platform: z.enum(platforms),
  name: z.string().min(1),
  settings: z.record(z.string(), z.unknown()),
  credentials: z.record(z.string(), z.string()),
  bounds: z
    .strictObject({
      staleMaxMs: z.int().min(0),
      settleMaxMs: z.int().min(0),
      indexLagMs: z.int().min(0),
      clockSkewMaxMs: z.int().min(0),
    })
    .optional(),
});

class UsageError extends Error {
  override readonly name = 'UsageError';
}

async function makeAccount({ database }: App, name: string): Promise<void> {
  const { rows } = await database.pool.query<{ id: string }>(
    'INSERT INTO accounts (name) VALUES ($1) RETURNING id',
    [name],
  );
  const accountId = rows[0]?.id ?? '';
  const { key } = await createApiKey(database.pool, {
    accountId,
    name: 'First key',
    scopes,
    expiresAt: null,
  });
  process.stdout.write(`account ${accountId}\nAPI key, shown only this once: ${key}\n`);
}

async function connect(
  app: App,
  config: Config,
  accountId: string,
  file: string,
  createItems: boolean,
): Promise<void> {
  const parsed = connectionFile.safeParse(JSON.parse(await readFile(file, 'utf8')));
  if (!parsed.success) throw new UsageError(`${file}: ${z.prettifyError(parsed.error)}`);
  // Before the channel is asked: a refresh token that it rotates must find a row to be kept in.
  const { rowCount } = await app.database.pool.query('SELECT 1 FROM accounts WHERE id::text = $1', [
    accountId,
  ]);
  if (rowCount === 0) throw new UsageError(`there is no account ${accountId}`);
  const { platform } = parsed.data;
  const { bounds, ...rest } = parsed.data;
  const connection = await app.connections.identify({ accountId, ...rest, ...(bounds && { bounds }) });
  const connectionId = await app.connections.connect({ ...connection, awaitPlan: true });
  process.stdout.write(
    `connection ${connectionId} (${platform} ${connection.externalAccountId})\n` +
      `webhooks: ${config.publicUrl}${webhookPath(platform, connectionId)}\n`,
  );
  await importListings(app, connectionId, createItems);
}

async function importListings(app: App, connectionId: string, createItems: boolean): Promise<void> {
  const channel = await app.connections.open(connectionId);
  if (channel === null) throw new UsageError(`there is no active connection ${connectionId}`);
  const { accountId } = channel.connection;
  const { listings, unmatched } = await importCatalogue(app.database.pool, channel);
  const made = createItems ? await openItems(app.database.pool, accountId, connectionId, systemActor) : 0;
  await app.engine.readNew(connectionId);
  process.stdout.write(`${listings} listings, ${unmatched} were without an item, ${made} items made\n`);
}

async function listFailed({ database }: App): Promise<void> {
  const { rows } = await database.pool.query<{ line: string }>(
    `SELECT concat_ws('  ', id, received_at, topic, error) AS line FROM webhook_deliveries WHERE status = 'failed' ORDER BY id LIMIT 1000`,
  );
  process.stdout.write(rows.map(({ line }) => `${line}\n`).join('') || 'none\n');
}

async function replay({ database }: App, deliveryId: string): Promise<void> {
  const { rowCount } = await database.pool.query(
    `UPDATE webhook_deliveries SET status = 'pending', attempts = 0, not_before = now() WHERE id::text = $1 AND status = 'failed'`,
    [deliveryId],
  );
  if (rowCount === 0) throw new UsageError(`there is no failed delivery ${deliveryId}`);
  process.stdout.write('queued\n');
}

async function run(words: readonly string[]): Promise<void> {
  const options = {
    scopes: { type: 'string' },
    expires: { type: 'string' },
    'create-items': { type: 'boolean' },
    'channel-wins': { type: 'boolean' },
    replace: { type: 'boolean' },
    'acknowledge-large': { type: 'boolean' },
  } as const;
  const { positionals, values } = parseArgs({ args: [...words], allowPositionals: true, options });
  const [command, first, second] = positionals;
  const config = { ...readConfig(process.env), role: 'worker' } as const;
  const log = createLog({ level: 'error' });
  const work = async (app: App): Promise<void> => {
    if (command === 'account' && first !== undefined) return makeAccount(app, first);
    if (command === 'key' && first !== undefined && second !== undefined)
      return makeKey(app.database.pool, first, second, values);
    if (command === 'keys') return printKeys(app.database.pool);
    if (command === 'revoke' && first !== undefined) return revokeKey(app.database.pool, first);
    if (command === 'connect' && first !== undefined && second !== undefined) {
      return connect(app, config, first, second, values['create-items'] === true);
    }
    if (command === 'import' && first !== undefined)
      return importListings(app, first, values['create-items'] === true);
    const planOptions = {
      channelWins: values['channel-wins'] === true,
      replace: values.replace === true,
      acknowledgeLarge: values['acknowledge-large'] === true,
    };
    if (command === 'plan' && first !== undefined) return planConnection(app, first, planOptions);
    if (command === 'apply' && first !== undefined) return applyPlanById(app, first, planOptions);
    if (command === 'undo' && first !== undefined) return undoPlanById(app, first);
    if (command === 'failed') return listFailed(app);
    if (command === 'replay' && first !== undefined) return replay(app, first);
    throw new UsageError(usage);
  };
  const place = await openPlace(config, log);
  try {
    // Up to the point where background work would begin, and no further.
    const app = await startApp({ ...place, config, log, background: false });
    try {
      await work(app);
    } finally {
      await app.stop();
    }
  } finally {
    await place.stop();
  }
}

await run(process.argv.slice(2)).catch((error: unknown) => {
  const expected = [UsageError, ConfigError, PlanCommandError, KeyCommandError].some(
    (kind) => error instanceof kind,
  );
  process.stderr.write(`${expected ? (error as Error).message : String(error)}\n`);
  process.exitCode = 1;
});
