/** A real PostgreSQL server that just works on an empty machine and leaves nothing running when its last owner stops it. */
import { mkdir, realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import {
  EmbeddedPostgresError,
  ensureCluster,
  isAlive,
  serverHome,
  serverUser,
  usableBinaries,
  vacate,
} from './embeddedPostgresFiles.ts';
import {
  awaitRunning,
  endProcess,
  type Postmaster,
  serverLogFile,
  startServer,
} from './embeddedPostgresProcess.ts';
import type { Log } from './log.ts';

export { EmbeddedPostgresError } from './embeddedPostgresFiles.ts';

export type EmbeddedPostgresOptions = {
  /** What the server is for; names its data directory and its connections. Letters, digits and hyphens. */
  readonly purpose: string;
  readonly log: Log;
  /** Default: one directory per checkout and purpose. */
  readonly dataDirectory?: string;
  /** Removes the data when the last owner stops, and starts empty after an owner that was killed. Default: false. */
  readonly temporary?: boolean;
  /** PostgreSQL settings over the durable defaults, such as `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How long to wait for the server to accept connections, recovery after a crash included. Default: 60 s. */
  readonly startTimeoutMs?: number;
  /** How long a fast shutdown may take before an immediate one. Default: 10 s. */
  readonly stopTimeoutMs?: number;
};

export type EmbeddedPostgres = {
  /** A superuser's connection string for the database `postgres`, on 127.0.0.1 with a random password. */
  readonly url: string;
  readonly dataDirectory: string;
  /** Gives up ownership; the last owner's stop ends the server. Safe to call twice. */
  stop(): Promise<void>;
};

/** An owner is a session that holds this lock shared: the kernel ends it with its process, so no owner outlives itself. */
const ownerLock = 7_246_180_519;
const starterSetting = 'listgenius.starter';
const pollIntervalMs = 10;
const connectTimeoutMs = 5_000;
const defaults: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  timezone: 'UTC',
  log_timezone: 'UTC',
  max_connections: '200',
  shared_buffers: '128MB',
  log_min_messages: 'warning',
  // A new shop's tables fill within seconds, and until they are analysed the planner believes them empty.
  autovacuum_naptime: '5s',
};

/**
 * Starts the server, or joins the one that another live process of this checkout runs on the same data directory. A server whose
 * owners were all killed is stopped and started again. Throws `EmbeddedPostgresError` when this machine cannot run one.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { log } = options;
  if (!/^[a-zA-Z0-9-]+$/.test(options.purpose))
    throw new EmbeddedPostgresError(`not a purpose: "${options.purpose}"`);
  const user = serverUser(log);
  const home = await serverHome(user);
  const binaries = await usableBinaries(user, home, log);
  const directory = options.dataDirectory ?? path.join(home, `postgres-${options.purpose}`);
  const place = { dataDirectory: await canonical(directory), binaries, user };
  const settings: Readonly<Record<string, string>> = {
    ...defaults,
    ...options.settings,
    [starterSetting]: String(process.pid),
  };
  const deadline = Date.now() + (options.startTimeoutMs ?? 60_000);

  // Every turn either gets an owner's session or learns that another process changed the world meanwhile: then look again.
  for (; Date.now() < deadline; await delay(pollIntervalMs)) {
    const cluster = await ensureCluster(place, settings['fsync'] !== 'off');
    const running = await awaitRunning(place.dataDirectory, deadline);
    if (!running && options.temporary && !isAlive(cluster.makerPid)) {
      await removeData(place.dataDirectory, () => Promise.resolve());
      continue;
    }
    const server = running ?? (await startServer(place, settings, deadline, log));
    const session = server && (await connect(server.port, cluster.password, options.purpose));
    if (!server || !session) continue;
    if (await isOrphan(session)) {
      log.warn({ serverPid: server.pid }, 'stopping a PostgreSQL server whose owners were killed');
      await endServer(session, server, place.dataDirectory, options);
    } else if (await lockShared(session)) {
      return owned(session, server, cluster.password, place.dataDirectory, options);
    }
  }
  throw new EmbeddedPostgresError(
    `PostgreSQL did not start in time: see ${serverLogFile(place.dataDirectory)}`,
  );
}

/** One spelling per directory, because a running server is recognised by the one on its command line. */
async function canonical(directory: string): Promise<string> {
  const parent = path.dirname(path.resolve(directory));
  await mkdir(parent, { recursive: true });
  return path.join(await realpath(parent), path.basename(directory));
}

function owned(
  session: Client,
  server: Postmaster,
  password: string,
  dataDirectory: string,
  options: EmbeddedPostgresOptions,
): EmbeddedPostgres {
  let stopping: Promise<void> | null = null;
  session.on('error', (error) => {
    if (!stopping) options.log.error({ err: error }, 'lost the session that owns the embedded PostgreSQL');
  });
  // A process that forgets to stop must still be able to end.
  const socket = session as Client & { ref(): void; unref(): void };
  socket.unref();
  const stop = async (): Promise<void> => {
    socket.ref();
    const current = (await answers(session))
      ? session
      : await connect(server.port, password, options.purpose);
    if (!current) {
      options.log.warn('the embedded PostgreSQL had already stopped');
    } else if (await lockAlone(current)) {
      await endServer(current, server, dataDirectory, options);
    } else {
      options.log.info('leaving the embedded PostgreSQL to its other owners');
      await current.end().catch(() => undefined);
    }
  };
  return {
    url: `postgresql://postgres:${password}@127.0.0.1:${server.port}/postgres`,
    dataDirectory,
    stop: () => (stopping ??= stop()),
  };
}

/** Ends the server and, where it is temporary, its data. The session holds the owner lock alone. */
async function endServer(
  session: Client,
  server: Postmaster,
  dataDirectory: string,
  options: EmbeddedPostgresOptions,
): Promise<void> {
  const end = () => endProcess(server.pid, dataDirectory, options.stopTimeoutMs ?? 10_000, options.log);
  session.removeAllListeners('error').on('error', () => undefined);
  await (options.temporary ? removeData(dataDirectory, end) : end());
  await session.end().catch(() => undefined);
}

/** Gives up the place before the server ends, so that whoever starts next finds no directory and makes its own. */
async function removeData(dataDirectory: string, end: () => Promise<void>): Promise<void> {
  const removeContent = await vacate(dataDirectory);
  await end();
  await removeContent();
  await rm(serverLogFile(dataDirectory), { force: true });
}

/** Null when the server went away meanwhile: its last owner was just stopping it. */
async function connect(port: number, password: string, purpose: string): Promise<Client | null> {
  const session = new Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password,
    database: 'postgres',
    application_name: `listgenius owner (${purpose})`,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  });
  session.on('error', () => undefined);
  try {
    await session.connect();
    return session;
  } catch {
    await session.end().catch(() => undefined);
    return null;
  }
}

async function answers(session: Client): Promise<boolean> {
  return session.query('select 1').then(
    () => true,
    () => false,
  );
}

/** Waits while the last owner is stopping the server, and is then false. */
async function lockShared(session: Client): Promise<boolean> {
  return session.query('select pg_advisory_lock_shared($1)', [ownerLock]).then(
    () => true,
    () => false,
  );
}

/** Gives up the session's own share. True when nobody else owns the server; then nobody can join it before the session ends. */
async function lockAlone(session: Client): Promise<boolean> {
  try {
    await session.query('select pg_advisory_unlock_shared($1)', [ownerLock]);
    return await tryLockAlone(session);
  } catch {
    // Another owner that stopped at the same moment is ending the server, and this session with it.
    return false;
  }
}

async function tryLockAlone(session: Client): Promise<boolean> {
  const { rows } = await session.query<{ alone: boolean }>('select pg_try_advisory_lock($1) as alone', [
    ownerLock,
  ]);
  return rows[0]?.alone === true;
}

/** Whether no owner is left. On true the session holds the lock alone. */
async function isOrphan(session: Client): Promise<boolean> {
  try {
    const { rows } = await session.query<{ starter: string }>(
      `select current_setting('${starterSetting}') as starter`,
    );
    // A server that its starter has not locked yet is not an orphan.
    return !isAlive(Number(rows[0]?.starter)) && (await tryLockAlone(session));
  } catch {
    return false;
  }
}
