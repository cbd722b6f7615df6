/** Where an installation keeps its data: the database it was given, or an embedded one with a key of its own. */
import { type Config, keptSecretsKey } from './config.ts';
import { startEmbeddedPostgres } from './embeddedPostgres.ts';
import type { Log } from './log.ts';

export type Place = { readonly databaseUrl: string; readonly secretsKey: Buffer; stop(): Promise<void> };

export async function openPlace(config: Config, log: Log): Promise<Place> {
  if (config.databaseUrl !== null && config.secretsKey !== null) {
    return { databaseUrl: config.databaseUrl, secretsKey: config.secretsKey, stop: () => Promise.resolve() };
  }
  const postgres = await startEmbeddedPostgres({ purpose: 'main', log });
  const secretsKey = config.secretsKey ?? (await keptSecretsKey(`${postgres.dataDirectory}.secretsKey`));
  return { databaseUrl: postgres.url, secretsKey, stop: postgres.stop };
}
