/** Keys from the command line, by the very process that an operator starts: made with an end, listed, revoked. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openApiKeys } from '../../src/apiKeys.ts';
import { createDatabase } from '../support/database.ts';
import { openPool } from '../support/fixtures.ts';
import { testEnvironment } from '../support/product.ts';
import { checkoutDirectory } from './processes.ts';

const run = promisify(execFile);

/** What a command prints, or what it refuses with. */
function commands(databaseUrl: string) {
  const env = { ...process.env, ...testEnvironment(databaseUrl, randomBytes(32)) };
  return async (...words: readonly string[]): Promise<string> => {
    const options = { cwd: checkoutDirectory, env };
    const { stdout } = await run(process.execPath, ['src/admin.ts', ...words], options).catch(
      (error: unknown) => ({ stdout: (error as { readonly stderr: string }).stderr }),
    );
    return stdout;
  };
}

test('a key is made with scopes and an end, listed with both, and stands for nobody once it is revoked', async () => {
  await using database = await createDatabase();
  const admin = commands(database.url);
  const [, accountId = ''] = /^account (\S+)$/m.exec(await admin('account', 'Shop')) ?? [];
  const made = await admin('key', accountId, 'Till', '--scopes', 'stock:read', '--expires', '2036-11-22');
  const [, keyId = '', key = ''] = /^key (\S+)\nAPI key, shown only this once: (\S+)$/m.exec(made) ?? [];

  const listed = await admin('keys');
  expect(listed.split('\n').filter(Boolean)).toHaveLength(2);
  expect(listed).toMatch(
    new RegExp(
      `^${keyId}  ${accountId}  ${key.slice(0, 8)}…  Till  stock:read  .*  expires 2036-11-22T00:00:00.000Z$`,
      'm',
    ),
  );
  expect(listed).not.toContain(key);

  expect(await admin('revoke', keyId)).toContain('revoked');
  expect(await admin('keys')).toMatch(new RegExp(`^${keyId}  .*  revoked \\d{4}-`, 'm'));
  expect(await admin('revoke', keyId)).toBe(`there is no key ${keyId} that is still good\n`);
  const pool = openPool(database.url, 1);
  const keys = openApiKeys({
    database: pool,
    cacheMs: 1,
    cacheMax: 1,
    recheckMs: 60_000,
    onError: () => undefined,
  });
  expect(await keys.verify(key)).toBeNull();
  keys.close();
  await pool.end();
}, 60_000);

test('an end that is no date or lies in the past is refused, and no key is made', async () => {
  await using database = await createDatabase();
  const admin = commands(database.url);
  const [, accountId = ''] = /^account (\S+)$/m.exec(await admin('account', 'Shop')) ?? [];
  for (const end of ['soon', '2026-02-30', '2020-01-01'])
    expect(await admin('key', accountId, 'Till', '--expires', end)).toMatch(
      /^--expires takes a date to come/,
    );
  expect((await admin('keys')).split('\n').filter(Boolean)).toHaveLength(1);
}, 60_000);
