/** API keys: shown once, stored as a hash, verified from a short-lived cache, and a revoked one ends its open streams within seconds. */
import { createHash, randomBytes } from 'node:crypto';
import type { Queryable } from './db.ts';
import type { Session } from './schema/context.ts';
import { isScope, type Scope } from './schema/scopes.ts';

export { isScope, type Scope, scopes } from './schema/scopes.ts';

export type NewApiKey = {
  readonly accountId: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Null means that it does not expire. */
  readonly expiresAt: Date | null;
  /** A key chosen beforehand instead of a random one, 16 to 200 characters. */
  readonly key?: string;
};

/** A key as people see it again; itself it is never shown. */
export type ListedApiKey = {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  /** Its first characters. */
  readonly prefix: string;
  readonly scopes: readonly string[];
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
};

export type ApiKeysOptions = {
  readonly database: Queryable;
  /** How long a verified key is believed without asking the database again, in milliseconds. */
  readonly cacheMs: number;
  /** Most keys remembered. */
  readonly cacheMax: number;
  /** Pause between two looks at the keys of open streams, in milliseconds. */
  readonly recheckMs: number;
  /** Told when the background look fails; open streams then go on until one succeeds. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds since the epoch. Default: the system clock. */
  readonly now?: () => number;
};

export type Watch = { readonly signal: AbortSignal; release(): void };

export type ApiKeys = {
  /** Whose key it is; null when it is unknown, expired or revoked. */
  verify(key: string): Promise<Session | null>;
  /** A signal that ends when the session's key is revoked or expires. `release` it when its stream ends. */
  watch(session: Session): Watch;
  /** Looks at the keys of all open streams now. */
  recheck(): Promise<void>;
  close(): void;
};

type Known = { readonly session: Session; readonly believedUntil: number; lastUsed: number };
type KeyRow = {
  id: string;
  account_id: string;
  name: string;
  scopes: string[];
  expires_at: Date | null;
  last_used_at: Date | null;
};

const keyLengthMax = 200;
const keyLengthMin = 16;
const prefixLength = 8;
const usedIntervalMs = 60_000;
const good = 'revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())';

/** Stores a key and answers it; it cannot be read again. Throws when a chosen key is too short, too long or already there. */
export async function createApiKey(
  database: Queryable,
  { accountId, name, scopes, expiresAt, key = `lgs_${randomBytes(24).toString('base64url')}` }: NewApiKey,
): Promise<{ readonly id: string; readonly key: string }> {
  if (key.length < keyLengthMin || key.length > keyLengthMax) {
    throw new RangeError(`an API key has ${keyLengthMin} to ${keyLengthMax} characters`);
  }
  const { rows } = await database.query<{ id: string }>(
    `INSERT INTO api_keys (account_id, name, prefix, hash, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
    [accountId, name, key.slice(0, prefixLength), hashOf(key), scopes, expiresAt],
  );
  const id = rows[0]?.id;
  if (id === undefined) throw new Error('the key was not stored');
  return { id, key };
}

/** False when there is no such key that is still good. Open streams end within `recheckMs`, requests are refused within `cacheMs`. */
export async function revokeApiKey(database: Queryable, keyId: string): Promise<boolean> {
  const { rowCount } = await database.query(
    `UPDATE api_keys SET revoked_at = now() WHERE id::text = $1 AND ${good}`,
    [keyId],
  );
  return rowCount === 1;
}

/** Every key of the installation, by account and age. */
export async function listApiKeys(database: Queryable): Promise<readonly ListedApiKey[]> {
  const { rows } = await database.query<ListedApiKey>(
    `SELECT id, account_id AS "accountId", name, prefix, scopes, created_at AS "createdAt", last_used_at AS "lastUsedAt",
            expires_at AS "expiresAt", revoked_at AS "revokedAt"
       FROM api_keys ORDER BY account_id, id`,
  );
  return rows;
}

export function openApiKeys(options: ApiKeysOptions): ApiKeys {
  const { database, cacheMs, cacheMax, recheckMs, onError, now = Date.now } = options;
  const known = new Map<string, Known>();
  const watched = new Map<string, Set<AbortController>>();
  const timer = setInterval(() => void recheck().catch(onError), recheckMs);
  timer.unref();

  return { verify, watch, recheck, close: () => clearInterval(timer) };

  async function verify(key: string): Promise<Session | null> {
    if (key.length < keyLengthMin || key.length > keyLengthMax) return null;
    const hash = hashOf(key);
    const name = hash.toString('base64');
    const remembered = known.get(name);
    if (remembered && remembered.believedUntil > now()) {
      touch(remembered);
      return remembered.session;
    }
    known.delete(name);
    const { rows } = await database.query<KeyRow>(
      `SELECT id, account_id, name, scopes, expires_at, last_used_at FROM api_keys WHERE hash = $1 AND ${good}`,
      [hash],
    );
    const [row] = rows;
    if (!row) return null;
    const believedUntil = Math.min(now() + cacheMs, row.expires_at?.getTime() ?? Number.POSITIVE_INFINITY);
    const entry: Known = {
      session: sessionOf(row),
      believedUntil,
      lastUsed: row.last_used_at?.getTime() ?? 0,
    };
    known.set(name, entry);
    const [oldest] = known.keys();
    if (known.size > cacheMax && oldest !== undefined) known.delete(oldest);
    touch(entry);
    return entry.session;
  }

  function touch(entry: Known): void {
    if (now() - entry.lastUsed < usedIntervalMs) return;
    entry.lastUsed = now();
    // Other processes use the key too: the database decides whether a minute has passed.
    database
      .query(
        `UPDATE api_keys SET last_used_at = now() WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`,
        [entry.session.keyId],
      )
      .catch(onError);
  }

  function watch({ keyId }: Session): Watch {
    const controller = new AbortController();
    const streams = watched.get(keyId) ?? new Set();
    watched.set(keyId, streams.add(controller));
    return {
      signal: controller.signal,
      release() {
        streams.delete(controller);
        if (streams.size === 0 && watched.get(keyId) === streams) watched.delete(keyId);
      },
    };
  }

  async function recheck(): Promise<void> {
    const ids = [...watched.keys()];
    if (ids.length === 0) return;
    const { rows } = await database.query<{ id: string }>(
      `SELECT id FROM api_keys WHERE id = ANY($1::uuid[]) AND ${good}`,
      [ids],
    );
    const stillGood = new Set(rows.map(({ id }) => id));
    for (const id of ids) if (!stillGood.has(id)) end(id);
  }

  function end(keyId: string): void {
    for (const [name, { session }] of known) if (session.keyId === keyId) known.delete(name);
    const streams = watched.get(keyId) ?? [];
    watched.delete(keyId);
    for (const controller of streams) controller.abort();
  }
}

function sessionOf({ id, account_id, name, scopes }: KeyRow): Session {
  return { accountId: account_id, keyId: id, keyName: name, scopes: new Set(scopes.filter(isScope)) };
}

/** Keys are long and random, so a plain hash is enough: there is nothing to guess (no password hash needed). */
function hashOf(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}
