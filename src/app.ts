/** The only place that wires: from a configuration to a running product, and back down in an order that loses nothing. */
import { randomUUIDv7 } from 'node:crypto';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import { Redis } from 'ioredis';
import { type ApiKeys, openApiKeys } from './apiKeys.ts';
import type { Config, Role } from './config.ts';
import { createHttpClient } from './connectors/httpClient.ts';
import { connectorFactories } from './connectors/index.ts';
import { createMemoryRateBudget, createRedisRateBudget, type RateBudget } from './connectors/rateBudget.ts';
import { type Database, openDatabase } from './db.ts';
import { createPipeline, type Pipeline } from './graphql.ts';
import { createHttpServer, graphqlPath, type HttpServer } from './http.ts';
import type { Log } from './log.ts';
import { migrate } from './migrate.ts';
import { createSecretBox } from './secrets.ts';
import { openSharedClock, type SharedClock } from './sharedClock.ts';
import { type Bus, createLocalBus, createRedisBus } from './sync/bus.ts';
import { watchChannelClock } from './sync/channelClocks.ts';
import { type Connection, type Connections, createConnections, unsavedId } from './sync/connections.ts';
import { createSyncEngine, type SyncEngine } from './sync/engine.ts';
import { createWakeUps } from './sync/wakeUps.ts';
import { openJobQueue, startWorker } from './sync/worker.ts';
import { syncLimits } from './syncLimits.ts';
import { createWebhookHandler } from './webhooks.ts';
import { attachWebSocket } from './websocket.ts';

export type AppOptions = {
  readonly config: Config;
  readonly databaseUrl: string;
  /** 32 bytes that seal the marketplaces' credentials. */
  readonly secretsKey: Buffer;
  readonly log: Log;
  /** Default: the database's. */
  readonly clock?: SharedClock;
  /** Runs when everything but the background work is up. */
  readonly beforeWork?: (app: App) => Promise<void>;
  /** False opens everything but carries out no background work, whatever the role. Default true. */
  readonly background?: boolean;
};

export type App = {
  readonly role: Role;
  readonly database: Database;
  readonly connections: Connections;
  readonly engine: SyncEngine;
  /** Where HTTP is served; null in a worker. */
  readonly port: number | null;
  /** Ends everything within the configured deadline: intake first, the database last. */
  stop(): Promise<void>;
};

/** One step of the way down; run in reverse order of the way up. */
type Teardown = { readonly name: string; readonly run: () => Promise<unknown> };

export async function startApp(options: AppOptions): Promise<App> {
  const { config, log } = options;
  const down: Teardown[] = [];
  // Whatever the order of the way up: first nothing new comes in, then the work under way ends.
  const intake: Teardown[] = [];
  const stop = () => tearDown(intake, log).then(() => tearDown(down, log));
  try {
    await migrate(options.databaseUrl, { log });
    const core = await startCore(options, down);
    const port = config.role === 'worker' ? null : await startTransports(options, core, intake);
    const app = { ...core, role: config.role, port, stop };
    await options.beforeWork?.(app);
    if (config.role !== 'serve' && options.background !== false) await startWork(options, core, down);
    return app;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The first sale wakes the workers at once; in a rush a statement for each would be a good part of all the work. */
const wakeUpPauseMs = 25;

type Core = Pick<App, 'database' | 'connections' | 'engine'> & {
  readonly clock: SharedClock;
  /** Ends every call to a marketplace. */
  readonly calls: AbortController;
};

async function startCore(options: AppOptions, down: Teardown[]): Promise<Core> {
  const { config, log } = options;
  const onError = (what: string) => (error: unknown) => log.error({ error }, what);
  const database = openDatabase({
    url: options.databaseUrl,
    poolMax: config.databasePoolMax,
    connectionTimeoutMs: config.databaseConnectionTimeoutMs,
    statementTimeoutMs: config.statementTimeoutMs,
    applicationName: `listgenius-sync ${config.role}`,
    onError: onError('a database connection broke'),
  });
  down.push({ name: 'database', run: () => database.close() });
  const clock = options.clock ?? (await openSharedClock({ db: database.pool, log }));
  down.push({ name: 'clock', run: async () => clock.close() });
  const { redis, bus, budget } = openShared(config, log);
  down.push({ name: 'redis', run: async () => redis?.disconnect() });
  down.push({ name: 'bus', run: () => bus.close() });
  const calls = new AbortController();
  down.push({ name: 'channel calls', run: async () => calls.abort() });
  const queue = await openJobQueue(database.queue, log);
  const wakeUps = createWakeUps(queue, onError('a wake-up could not be queued'), () =>
    clock.sleep(wakeUpPauseMs),
  );
  down.push({ name: 'job queue', run: () => wakeUps.flush().then(() => queue.release()) });
  const connections = createConnections({
    db: database.pool,
    secretBox: createSecretBox(options.secretsKey),
    clock,
    factories: connectorFactories,
    httpClient: (connection) =>
      createHttpClient({
        budget: budgetOf(connection, budget),
        log: log.child({ connectionId: connection.id }),
        now: clock.now,
        ...(connection.id === unsavedId ? {} : { onAnswer: clockWatch(database, clock, connection, log) }),
        deadlineMs: config.channelDeadlineMs,
        attemptTimeoutMs: Math.min(config.channelDeadlineMs, 10_000),
        signal: calls.signal,
      }),
    refreshLeaseMs: config.channelDeadlineMs,
  });
  const engine = createSyncEngine({
    pool: database.pool,
    intake: database.intake,
    bus,
    wakeUps,
    connections,
    clock,
    newId: randomUUIDv7,
    log,
    limits: syncLimits(config),
  });
  await engine.tail.start();
  down.push({ name: 'event tail', run: () => engine.tail.stop() });
  return { clock, database, connections, engine, calls };
}

function clockWatch(database: Database, clock: SharedClock, connection: Connection, log: Log) {
  const { id: connectionId, platform } = connection;
  return watchChannelClock({
    db: database.pool,
    connectionId,
    checkOurs: clock.check,
    onApart: ({ least, most }) =>
      log.warn({ connectionId, platform, least, most }, 'the clock of a channel is far from ours (ms)'),
    onError: (error) => log.error({ error, connectionId }, 'a bound could not be widened'),
  });
}

function openShared(config: Config, log: Log): { redis: Redis | null; bus: Bus; budget: RateBudget } {
  const own = createMemoryRateBudget({ now: () => performance.now() });
  if (config.redisUrl === null) {
    if (config.role !== 'all')
      log.warn('without REDIS_URL other processes hear of events up to a second late');
    return { redis: null, bus: createLocalBus(), budget: own };
  }
  // Commands fail at once while Redis is away: nothing here may wait for it.
  const redis = new Redis(config.redisUrl, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  redis.on('error', (error: Error) => log.warn({ error: error.message }, 'Redis is not reachable'));
  const onError = (error: unknown) => log.debug({ error }, 'a wake-up did not reach Redis');
  return {
    redis,
    bus: createRedisBus(redis, onError),
    budget: createRedisRateBudget({ redis, fallback: own }),
  };
}

/** Rate limits hold per seller's account, so every connection has buckets of its own. */
function budgetOf(connection: Connection, budget: RateBudget): RateBudget {
  const own = (key: string) => `${connection.id}:${key}`;
  return {
    take: (limit) => budget.take({ ...limit, key: own(limit.key) }),
    penalise: (key, ms) => budget.penalise(own(key), ms),
  };
}

async function startTransports(options: AppOptions, core: Core, down: Teardown[]): Promise<number> {
  const { config, log } = options;
  const onError = ({ error, correlationId }: { error: unknown; correlationId: string }) =>
    log.error({ error, requestId: correlationId }, 'a request failed');
  const keys = openApiKeys({
    database: core.database.pool,
    cacheMs: 5_000,
    cacheMax: 10_000,
    recheckMs: 3_000,
    onError: (error) => log.error({ error }, 'the API keys of open streams could not be checked'),
    now: core.clock.now,
  });
  down.push({ name: 'API keys', run: async () => keys.close() });
  const pipeline = createPipeline({
    services: { prisma: core.database.prisma, database: core.database.pool, sync: core.engine.sync },
    limits: {
      depthMax: config.graphqlDepthMax,
      aliasesMax: config.graphqlAliasesMax,
      fieldsMax: config.graphqlFieldsMax,
      nodesMax: config.graphqlNodesMax,
      mutationsMax: config.graphqlMutationsMax,
      costMax: config.graphqlCostMax,
      tokensMax: config.graphqlTokensMax,
      operationTimeoutMs: config.operationTimeoutMs,
      subscriptionsPerAccountMax: config.subscriptionsPerAccountMax,
    },
    introspection: config.introspection,
    watch: keys.watch,
    onInternalError: onError,
  });
  const http = openHttp(options, core, pipeline, keys, onError);
  const sockets = attachWebSocket(http.server, {
    pipeline,
    verifyKey: keys.verify,
    watch: keys.watch,
    path: graphqlPath,
    corsOrigins: config.corsOrigins,
    payloadMaxBytes: config.wsPayloadMaxBytes,
    operationsPerSocketMax: config.wsOperationsPerSocketMax,
    socketsPerAccountMax: config.wsSocketsPerAccountMax,
    socketsMax: config.wsSocketsMax,
    anonymousSocketsMax: config.wsAnonymousSocketsMax,
    initWaitMs: config.wsInitWaitMs,
    pingIntervalMs: config.wsPingIntervalMs,
    bufferedMaxBytes: config.wsBufferedMaxBytes,
    onError,
  });
  const port = await http.listen(config.port, config.host);
  down.push({
    name: 'transports',
    run: async () => {
      http.drain();
      // Half of the time is theirs, the other half the work's.
      const deadlineMs = config.shutdownDeadlineMs / 2;
      await Promise.all([http.close(deadlineMs), sockets.close(deadlineMs)]);
    },
  });
  return port;
}

function openHttp(
  { config, log }: AppOptions,
  { connections, database, engine }: Core,
  pipeline: Pipeline,
  keys: ApiKeys,
  onError: (report: { error: unknown; correlationId: string }) => void,
): HttpServer {
  return createHttpServer({
    pipeline,
    verifyKey: keys.verify,
    bodyMaxBytes: config.httpBodyMaxBytes,
    corsOrigins: config.corsOrigins,
    graphiql: config.graphiql,
    renderGraphiql: renderGraphiQL,
    ssePingIntervalMs: config.wsPingIntervalMs,
    checks: {
      // Not Redis: it only speeds things up, and its absence takes no server out of service.
      database: async () => void (await database.pool.query('SELECT 1')),
    },
    checkTimeoutMs: config.databaseConnectionTimeoutMs,
    webhooks: createWebhookHandler({
      connections,
      receive: engine.receive,
      log,
      publicUrl: config.publicUrl,
      bodyMaxBytes: config.webhookBodyMaxBytes,
    }),
    headersTimeoutMs: config.httpHeadersTimeoutMs,
    requestTimeoutMs: config.httpRequestTimeoutMs,
    keepAliveTimeoutMs: config.httpKeepAliveTimeoutMs,
    onError,
  });
}

async function startWork(
  { config, log }: AppOptions,
  { calls, database, engine }: Core,
  down: Teardown[],
): Promise<void> {
  const { queue: pool } = database;
  const runner = await startWorker({ pool, tasks: engine.tasks, log, concurrency: config.workerConcurrency });
  engine.startWork();
  down.push({
    name: 'worker',
    run: async () => {
      // A marketplace that does not answer is not waited for: what it was asked stays open and is asked again by whoever works next.
      const impatient = setTimeout(() => calls.abort(), config.shutdownDeadlineMs / 4);
      await Promise.all([engine.stopWork(), runner.stop()]).finally(() => clearTimeout(impatient));
    },
  });
}

async function tearDown(down: Teardown[], log: Log): Promise<void> {
  for (const step of down.splice(0).toReversed()) {
    await step.run().catch((error: unknown) => log.error({ error, step: step.name }, 'stopping failed'));
  }
}
