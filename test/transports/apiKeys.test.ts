/** Keys are stored as hashes, believed for seconds only, and end their streams when they are revoked. */
import { expect, test } from 'vitest';
import {
  type ApiKeysOptions,
  createApiKey,
  listApiKeys,
  openApiKeys,
  revokeApiKey,
} from '../../src/apiKeys.ts';
import { openApi } from '../schema/apiFixture.ts';
import { waitFor } from '../support/waiting.ts';

/** Keys with a clock that stands still until it is moved. */
function withClock(options: Pick<ApiKeysOptions, 'database'> & Partial<ApiKeysOptions>) {
  const clock = { ms: Date.now() };
  const errors: unknown[] = [];
  const keys = openApiKeys({
    cacheMs: 5_000,
    cacheMax: 10,
    recheckMs: 3_600_000,
    onError: (error) => errors.push(error),
    now: () => clock.ms,
    ...options,
  });
  return { keys, clock, errors };
}

test('only the hash and the visible start of a key are stored', async () => {
  await using api = await openApi();
  expect(api.key).toMatch(/^lgs_[\w-]{32}$/);
  const { rows } = await api.database.pool.query<{ prefix: string; hash: Buffer; everything: string }>(
    'SELECT prefix, hash, api_keys::text AS everything FROM api_keys',
  );
  expect(rows[0]?.prefix).toBe(api.key.slice(0, 8));
  expect(rows[0]?.hash).toHaveLength(32);
  expect(rows[0]?.everything).not.toContain(api.key);
});

test('a key stands for its account with its scopes, unknown words in them left out', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  const { id, key } = await api.keyFor(api.shop, ['stock:read']);
  await pool.query(`UPDATE api_keys SET scopes = '{stock:read,everything}' WHERE id = $1`, [id]);
  expect(await api.keys.verify(key)).toEqual({
    accountId: api.shop.accountId,
    keyId: id,
    keyName: 'test',
    scopes: new Set(['stock:read']),
  });
});

test('an unknown, expired, revoked or ill-formed key stands for nobody', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  const account = { accountId: api.shop.accountId, name: 'old', scopes: [] };
  const expired = await createApiKey(pool, { ...account, expiresAt: new Date(Date.now() - 1) });
  const revoked = await createApiKey(pool, { ...account, expiresAt: null });
  await pool.query('UPDATE api_keys SET revoked_at = now() WHERE id = $1', [revoked.id]);
  for (const key of [expired.key, revoked.key, `${api.key}x`, '', 'x'.repeat(10_000)]) {
    expect(await api.keys.verify(key)).toBeNull();
  }
});

test('a key chosen beforehand works, and a guessable one is refused', async () => {
  await using api = await openApi();
  const preset = { accountId: api.shop.accountId, name: 'demo', scopes: [], expiresAt: null };
  await createApiKey(api.database.pool, { ...preset, key: 'demo-key-for-everyone' });
  expect((await api.keys.verify('demo-key-for-everyone'))?.keyName).toBe('demo');
  await expect(createApiKey(api.database.pool, { ...preset, key: 'short' })).rejects.toThrow(RangeError);
});

test('a verified key is believed for a while and then asked for again', async () => {
  await using api = await openApi();
  const { keys, clock } = withClock({ database: api.database.pool });
  await keys.verify(api.key);
  api.statements.length = 0;
  await keys.verify(api.key);
  expect(api.statements).toEqual([]);
  clock.ms += 5_001;
  await keys.verify(api.key);
  // That it was used is written down beside, at most once a minute.
  expect(api.statements.filter((statement) => statement.includes('SELECT'))).toHaveLength(1);
  keys.close();
});

test('the cache forgets the oldest key when it is full', async () => {
  await using api = await openApi();
  const { keys } = withClock({ database: api.database.pool, cacheMax: 2 });
  const others = await Promise.all([api.keyFor(api.shop), api.keyFor(api.shop)]);
  for (const key of [api.key, ...others.map((other) => other.key)]) await keys.verify(key);
  const looks = () => api.statements.filter((text) => text.startsWith('SELECT id, account_id')).length;
  const before = looks();
  await keys.verify(others[1]?.key ?? '');
  expect(looks()).toBe(before);
  await keys.verify(api.key);
  expect(looks()).toBe(before + 1);
  keys.close();
});

test('the last use is written at most once a minute', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  await pool.query('UPDATE api_keys SET last_used_at = NULL');
  const { keys, clock } = withClock({ database: pool });
  await keys.verify(api.key);
  await waitFor(
    async () => (await pool.query('SELECT FROM api_keys WHERE last_used_at IS NOT NULL')).rowCount,
  );
  api.statements.length = 0;
  for (let call = 0; call < 10; call += 1) await keys.verify(api.key);
  expect(api.statements).toEqual([]);
  clock.ms += 120_000;
  await keys.verify(api.key);
  await waitFor(() => api.statements.some((text) => text.startsWith('UPDATE api_keys')));
  keys.close();
});

test('a revoked key ends its streams and its use at the next look, and is revoked once', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  const watched = api.keys.watch(api.session);
  expect(await revokeApiKey(pool, api.session.keyId)).toBe(true);
  await api.keys.recheck();
  expect(watched.signal.aborted).toBe(true);
  expect(await api.keys.verify(api.key)).toBeNull();
  expect(await revokeApiKey(pool, api.session.keyId)).toBe(false);
  expect(await revokeApiKey(pool, 'no id')).toBe(false);
});

test('keys are listed with what a person needs to tell them apart, and never with the key or its hash', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  const expiresAt = new Date('2036-11-22T10:00:00Z');
  const { accountId } = api.shop;
  const { id } = await createApiKey(pool, { accountId, name: 'Till', scopes: ['stock:read'], expiresAt });
  await revokeApiKey(pool, api.session.keyId);
  const [first, second, ...more] = await listApiKeys(pool);
  expect(first).toMatchObject({
    id: api.session.keyId,
    revokedAt: expect.any(Date) as Date,
    expiresAt: null,
  });
  expect(second).toEqual({
    id,
    accountId,
    name: 'Till',
    prefix: expect.stringMatching(/^lgs_.{4}$/) as string,
    scopes: ['stock:read'],
    createdAt: expect.any(Date) as Date,
    lastUsedAt: null,
    expiresAt,
    revokedAt: null,
  });
  expect(more).toEqual([]);
});

test('a key revoked elsewhere, expired or deleted ends its streams at the next look, and only those', async () => {
  await using api = await openApi();
  const { pool } = api.database;
  const sessions = await Promise.all(
    Array.from({ length: 4 }, async () => api.keys.verify((await api.keyFor(api.shop)).key)),
  );
  const [revoked, expired, deleted, good] = sessions.map((session) => {
    if (!session) throw new Error('the key is not good');
    return { id: session.keyId, watch: api.keys.watch(session) };
  });
  await pool.query('UPDATE api_keys SET revoked_at = now() WHERE id = $1', [revoked?.id]);
  // The machine's clock may be set back by a moment.
  await pool.query(`UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = $1`, [expired?.id]);
  await pool.query('DELETE FROM api_keys WHERE id = $1', [deleted?.id]);
  await api.keys.recheck();
  expect([revoked, expired, deleted, good].map((each) => each?.watch.signal.aborted)).toEqual([
    true,
    true,
    true,
    false,
  ]);
});

test('looking again costs nothing while no stream is open', async () => {
  await using api = await openApi();
  api.keys.watch(api.session).release();
  api.statements.length = 0;
  await api.keys.recheck();
  expect(api.statements).toEqual([]);
});

test('the look repeats by itself, and a failing database does not stop it', async () => {
  await using api = await openApi();
  let looks = 0;
  const failing = { query: () => ((looks += 1), Promise.reject(new Error('no database'))) } as never;
  const { keys, errors } = withClock({ database: failing, recheckMs: 5 });
  const watched = keys.watch(api.session);
  await waitFor(() => looks >= 3);
  expect(errors.length).toBeGreaterThanOrEqual(2);
  expect(watched.signal.aborted).toBe(false);
  keys.close();
});
