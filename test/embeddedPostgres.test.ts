/** Proves that the embedded PostgreSQL starts in every state a machine is left in, and leaves nothing running. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../src/embeddedPostgres.ts';
import { isAlive } from '../src/embeddedPostgresFiles.ts';
import { silentLog } from '../src/log.ts';
import { type OwnerRequest, type PostgresOwner, query, startOwner } from './support/postgresOwner.ts';
import { waitFor } from './support/waiting.ts';

// Each test makes whole clusters and processes, some of them several.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const fast = { fsync: 'off', max_connections: '20', shared_buffers: '16MB' };
const checkout = path.join(import.meta.dirname, '..');

/** A place that any user may enter, gone after the test. */
async function emptyPlace(): Promise<string> {
  const directory = await mkdtemp('/tmp/listgenius-postgres-');
  await chmod(directory, 0o755);
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return path.join(directory, 'data');
}

async function start(
  dataDirectory: string,
  more: Partial<EmbeddedPostgresOptions> = {},
): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    purpose: 'own-test',
    log: silentLog(),
    dataDirectory,
    settings: fast,
    ...more,
  });
  onTestFinished(() => server.stop());
  return server;
}

async function owner(dataDirectory: string, more: Partial<OwnerRequest> = {}): Promise<PostgresOwner> {
  const started = await startOwner({ purpose: 'own-test', dataDirectory, settings: fast, ...more });
  onTestFinished(() => started.kill());
  return started;
}

async function serverPid(dataDirectory: string): Promise<number> {
  return Number((await readFile(path.join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

test('a server starts from nothing: PostgreSQL 18, UTF-8, UTC, durable, on this machine only', async () => {
  const server = await start(await emptyPlace(), { settings: {} });

  const settings = [
    'server_version_num',
    'server_encoding',
    'timezone',
    'fsync',
    'full_page_writes',
    'synchronous_commit',
  ];
  const more = ['listen_addresses', 'unix_socket_directories', 'password_encryption'];
  const rows = await query(
    server.url,
    `select name, setting from pg_settings where lower(name) in ('${[...settings, ...more].join("','")}')`,
  );
  const found = Object.fromEntries(rows.map((row) => [String(row['name']).toLowerCase(), row['setting']]));
  expect(Number(found['server_version_num'])).toBeGreaterThanOrEqual(180_000);
  expect(found).toMatchObject({
    server_encoding: 'UTF8',
    timezone: 'UTC',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    password_encryption: 'scram-sha-256',
  });
  expect(
    await query(server.url, `select datlocprovider, datlocale from pg_database where datname = 'postgres'`),
  ).toEqual([{ datlocprovider: 'b', datlocale: 'C.UTF-8' }]);
});

test('a wrong password is refused', async () => {
  const server = await start(await emptyPlace());
  const url = new URL(server.url);
  url.password = 'wrong';

  await expect(query(url.href, 'select 1')).rejects.toThrow('password authentication failed');
});

test('after the stop no process is left, and the next start finds the data again', async () => {
  const place = await emptyPlace();
  const first = await start(place);
  const pid = await serverPid(place);
  await query(first.url, 'create table kept (id integer)');
  await first.stop();

  // An orphan that has ended counts as alive until the system has buried it.
  expect(await waitFor(() => !isAlive(pid), { what: 'the server to be gone' })).toBe(true);
  const second = await start(place);
  expect(await query(second.url, 'select count(*)::integer as rows from kept')).toEqual([{ rows: 0 }]);
});

test('a temporary server leaves no file behind', async () => {
  const place = await emptyPlace();
  const server = await start(place, { temporary: true });
  await server.stop();

  expect(await readdir(path.dirname(place))).toEqual([]);
});

test('two servers of two places run at once', async () => {
  const [one, other] = await Promise.all([start(await emptyPlace()), start(await emptyPlace())]);

  expect(one.url).not.toBe(other.url);
  expect(await query(one.url, 'select 1 as one')).toEqual(await query(other.url, 'select 1 as one'));
});

test('owners that start at once from nothing share one server, and only the last one to stop ends it', async () => {
  const place = await emptyPlace();
  const owners = await Promise.all(Array.from({ length: 4 }, () => start(place, { temporary: true })));
  const pid = await serverPid(place);

  expect(new Set(owners.map(({ url }) => url)).size).toBe(1);
  const last = owners.pop();
  for (const one of owners) await one.stop();
  expect(await query(last?.url ?? '', 'select 1 as one')).toEqual([{ one: 1 }]);
  await last?.stop();
  // An orphan that has ended counts as alive until the system has buried it.
  expect(await waitFor(() => !isAlive(pid), { what: 'the server to be gone' })).toBe(true);
});

test('owners that stop at once leave no server behind', async () => {
  const place = await emptyPlace();
  const owners = await Promise.all(Array.from({ length: 8 }, () => start(place)));
  const pid = await serverPid(place);
  await Promise.all(owners.map((one) => one.stop()));

  // An orphan that has ended counts as alive until the system has buried it.
  expect(await waitFor(() => !isAlive(pid), { what: 'the server to be gone' })).toBe(true);
});

test('starting while the last owner stops gives a working server', async () => {
  const place = await emptyPlace();
  const first = await start(place);
  const [, second] = await Promise.all([first.stop(), start(place)]);

  expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('a second process shares the server of the first and outlives it', async () => {
  const place = await emptyPlace();
  const first = await owner(place);
  const second = await start(place);

  expect(second.url).toBe(first.url);
  expect(await first.signalGroup('SIGTERM')).toEqual(['answered [{"one":1}]', 'stopped']);
  expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  'the server survives %s to the whole process group until its owner stops it',
  async (signal) => {
    const place = await emptyPlace();
    const { signalGroup } = await owner(place);
    const pid = await serverPid(place);

    expect(await signalGroup(signal)).toEqual(['answered [{"one":1}]', 'stopped']);
    // An orphan that has ended counts as alive until the system has buried it.
    expect(await waitFor(() => !isAlive(pid), { what: 'the server to be gone' })).toBe(true);
  },
);

test('a server whose owner was killed is replaced with nothing lost', async () => {
  const place = await emptyPlace();
  const killed = await owner(place);
  const orphan = await serverPid(place);
  await query(killed.url, 'create table kept (id integer)');
  await killed.kill();
  expect(isAlive(orphan)).toBe(true);

  const server = await start(place);

  expect(await waitFor(() => !isAlive(orphan))).toBe(true);
  expect(await query(server.url, 'select count(*)::integer as rows from kept')).toEqual([{ rows: 0 }]);
});

test('the data of a temporary server whose owner was killed is not used again', async () => {
  const place = await emptyPlace();
  const killed = await owner(place, { temporary: true });
  await query(killed.url, 'create table stale (id integer)');
  await killed.kill();

  const server = await start(place, { temporary: true });

  expect(await query(server.url, `select to_regclass('stale') as stale`)).toEqual([{ stale: null }]);
});

test('a server killed together with its owner recovers what was committed', async () => {
  const place = await emptyPlace();
  const killed = await owner(place, { settings: { ...fast, fsync: 'on' } });
  await query(killed.url, 'create table kept as select 7 as units');
  process.kill(await serverPid(place), 'SIGKILL');
  await killed.kill();

  const server = await start(place);

  expect(await query(server.url, 'select units from kept')).toEqual([{ units: 7 }]);
});

test.each(['a process that is gone', 'an unrelated living process'])(
  'a postmaster.pid left by %s does not prevent the start',
  async (whose) => {
    const place = await emptyPlace();
    const first = await start(place);
    const file = path.join(place, 'postmaster.pid');
    const lines = (await readFile(file, 'utf8')).split('\n');
    await first.stop();
    // The unrelated process belongs to the server's own user, the case in which PostgreSQL itself gives up.
    const { uid, gid } = await stat(place);
    const other = spawn('sleep', ['1000'], { uid, gid, stdio: 'ignore' });
    const exited = once(other, 'exit');
    onTestFinished(() => void other.kill('SIGKILL'));
    if (whose === 'a process that is gone') {
      other.kill('SIGKILL');
      await exited;
    }
    await writeFile(file, [String(other.pid), ...lines.slice(1)].join('\n'));

    const server = await start(place);

    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  },
);

test('a half-made data directory is kept aside and made anew, and the draft of a dead process is removed', async () => {
  const place = await emptyPlace();
  await mkdir(path.join(place, 'base'), { recursive: true });
  await writeFile(path.join(place, 'PG_VERSION'), '18\n');
  const gone = spawn('true', { stdio: 'ignore' });
  await once(gone, 'exit');
  await mkdir(`${place}.draft-${gone.pid}-aaaa`);

  const server = await start(place);

  expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  const names = (await readdir(path.dirname(place))).map((name) => name.replace(/-.*/, ''));
  expect(names.toSorted()).toEqual(['data', 'data.log', 'data.unfinished']);
});

test('a checkout that no other user can enter works, and two such checkouts do not meet', async () => {
  const [one, other] = await Promise.all([privateCheckout(), privateCheckout()]);
  const owners = await Promise.all(
    [one, other].map((place) =>
      startOwner({ purpose: 'own-test', checkout: place, temporary: true, settings: fast }),
    ),
  );
  for (const started of owners) onTestFinished(() => started.kill());

  expect(new Set(owners.map(({ dataDirectory }) => dataDirectory)).size).toBe(2);
  for (const [index, started] of owners.entries()) {
    const home = path.dirname(started.dataDirectory);
    // Root keeps data where the server's user can reach it; everybody else inside the checkout.
    const inside = process.getuid?.() !== 0;
    if (!inside) onTestFinished(() => rm(home, { recursive: true, force: true }));
    expect(home.startsWith([one, other][index] ?? '')).toBe(inside);
    expect((await stat(home)).mode & 0o077).toBe(0);
    expect(await started.signalGroup('SIGTERM')).toEqual(['answered [{"one":1}]', 'stopped']);
  }
});

async function privateCheckout(): Promise<string> {
  const directory = await mkdtemp('/tmp/listgenius-checkout-');
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await mkdir(path.join(directory, 'src'));
  const files = ['embeddedPostgres.ts', 'embeddedPostgresFiles.ts', 'embeddedPostgresProcess.ts', 'log.ts'];
  for (const file of files)
    await copyFile(path.join(checkout, 'src', file), path.join(directory, 'src', file));
  await copyFile(path.join(checkout, 'package.json'), path.join(directory, 'package.json'));
  await symlink(path.join(checkout, 'node_modules'), path.join(directory, 'node_modules'));
  return directory;
}

test('a purpose that could leave the directory of its checkout is refused', async () => {
  await expect(startEmbeddedPostgres({ purpose: '../x', log: silentLog() })).rejects.toThrow('not a purpose');
});

test('a setting that PostgreSQL refuses is told in its own words', async () => {
  const place = await emptyPlace();

  await expect(start(place, { settings: { max_connections: 'many' } })).rejects.toThrow('max_connections');
});
