/** API keys from the command line: make one, list them, revoke one. */
import { z } from 'zod';
import { createApiKey, isScope, type ListedApiKey, listApiKeys, revokeApiKey, scopes } from './apiKeys.ts';
import type { Queryable } from './db.ts';

export class KeyCommandError extends Error {
  override readonly name = 'KeyCommandError';
}

export type KeyCommandOptions = {
  /** Separated by commas; all when left out. */
  readonly scopes?: string | undefined;
  /** A date (its beginning in UTC) or an instant; never when left out. */
  readonly expires?: string | undefined;
};

const instant = z.union([z.iso.date(), z.iso.datetime({ offset: true })]);

/** Makes a key and prints it. */
export async function makeKey(
  database: Queryable,
  accountId: string,
  name: string,
  options: KeyCommandOptions,
): Promise<void> {
  const { id, key } = await createApiKey(database, {
    accountId,
    name,
    scopes: scopesOf(options.scopes),
    expiresAt: expiryOf(options.expires),
  });
  process.stdout.write(`key ${id}\nAPI key, shown only this once: ${key}\n`);
}

/** Prints every key with what it may do, when it was used and until when it is good. */
export async function printKeys(database: Queryable): Promise<void> {
  const keys = await listApiKeys(database);
  process.stdout.write(keys.map((key) => `${lineOf(key)}\n`).join('') || 'none\n');
}

export async function revokeKey(database: Queryable, keyId: string): Promise<void> {
  if (!(await revokeApiKey(database, keyId)))
    throw new KeyCommandError(`there is no key ${keyId} that is still good`);
  process.stdout.write('revoked; within a few seconds no server takes it any more, and its streams end\n');
}

function scopesOf(wanted: string | undefined) {
  const chosen = wanted?.split(',') ?? scopes;
  const unknown = chosen.filter((scope) => !isScope(scope));
  if (unknown.length > 0)
    throw new KeyCommandError(`no such scope: ${unknown.join(', ')}; there are ${scopes.join(', ')}`);
  return chosen.filter(isScope);
}

function expiryOf(wanted: string | undefined): Date | null {
  if (wanted === undefined) return null;
  const date = instant.safeParse(wanted);
  const expiresAt = new Date(date.success ? date.data : Number.NaN);
  // Also false for no date at all.
  if (!(expiresAt.getTime() > Date.now()))
    throw new KeyCommandError(`--expires takes a date to come, such as 2030-12-31 or 2030-12-31T18:00:00Z`);
  return expiresAt;
}

function lineOf(key: ListedApiKey): string {
  const { id, accountId, prefix, name, createdAt, lastUsedAt, expiresAt, revokedAt } = key;
  const used = lastUsedAt === null ? 'never used' : `used ${lastUsedAt.toISOString()}`;
  const end =
    revokedAt === null
      ? expiresAt === null
        ? 'does not expire'
        : `expires ${expiresAt.toISOString()}`
      : `revoked ${revokedAt.toISOString()}`;
  const made = `made ${createdAt.toISOString()}`;
  return [id, accountId, `${prefix}…`, name, key.scopes.join(','), made, used, end].join('  ');
}
