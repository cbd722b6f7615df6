/** Every limit and timeout of requests, streams and storage, with its unit, range, default and meaning. */
import { integer } from './configKinds.ts';

const minute = 60_000;
const mebibyte = 1_048_576;

export const limits = {
  // Database
  databasePoolMax: integer(
    'DATABASE_POOL_MAX',
    'connections',
    20,
    [4, 500],
    'Connections of one process to PostgreSQL, beside up to ten for the job queue and four for webhooks.',
  ),
  databaseConnectionTimeoutMs: integer(
    'DATABASE_CONNECTION_TIMEOUT_MS',
    'ms',
    5_000,
    [100, minute],
    'Longest wait for a free or new connection.',
  ),
  statementTimeoutMs: integer(
    'STATEMENT_TIMEOUT_MS',
    'ms',
    15_000,
    [100, 10 * minute],
    'Longest run of one SQL statement.',
  ),

  // HTTP
  httpBodyMaxBytes: integer(
    'HTTP_BODY_MAX_BYTES',
    'bytes',
    262_144,
    [1_024, 64 * mebibyte],
    'Largest GraphQL request.',
  ),
  webhookBodyMaxBytes: integer(
    'WEBHOOK_BODY_MAX_BYTES',
    'bytes',
    2 * mebibyte,
    [1_024, 64 * mebibyte],
    'Largest webhook of a marketplace; a Shopify order with many lines passes 1 MiB.',
  ),
  httpHeadersTimeoutMs: integer(
    'HTTP_HEADERS_TIMEOUT_MS',
    'ms',
    10_000,
    [1_000, 2 * minute],
    'Longest wait for all headers of a request.',
  ),
  httpRequestTimeoutMs: integer(
    'HTTP_REQUEST_TIMEOUT_MS',
    'ms',
    30_000,
    [1_000, 10 * minute],
    'Longest wait for a whole request to arrive.',
  ),

  httpKeepAliveTimeoutMs: integer(
    'HTTP_KEEP_ALIVE_TIMEOUT_MS',
    'ms',
    15_000,
    [0, 10 * minute],
    'How long an idle HTTP connection stays open.',
  ),

  // GraphQL
  graphqlTokensMax: integer(
    'GRAPHQL_TOKENS_MAX',
    'tokens',
    2_000,
    [100, 100_000],
    'Largest document, before it is parsed.',
  ),
  graphqlDepthMax: integer(
    'GRAPHQL_DEPTH_MAX',
    'levels',
    14,
    [3, 100],
    'Deepest nesting of selections; the introspection query of tools needs 13.',
  ),
  graphqlAliasesMax: integer('GRAPHQL_ALIASES_MAX', 'aliases', 30, [0, 1_000], 'Aliases in one document.'),
  graphqlFieldsMax: integer(
    'GRAPHQL_FIELDS_MAX',
    'fields',
    1_000,
    [10, 100_000],
    'Fields selected by one operation, fragments counted wherever they are spread.',
  ),
  graphqlMutationsMax: integer(
    'GRAPHQL_MUTATIONS_MAX',
    'mutations',
    10,
    [1, 100],
    'Mutation fields in one request.',
  ),
  graphqlNodesMax: integer(
    'GRAPHQL_NODES_MAX',
    'nodes',
    20_000,
    [100, 1_000_000],
    'Objects that a query could return by its first and last arguments.',
  ),
  graphqlCostMax: integer(
    'GRAPHQL_COST_MAX',
    'points',
    2_000,
    [10, 1_000_000],
    'Static cost of one operation.',
  ),
  operationTimeoutMs: integer(
    'OPERATION_TIMEOUT_MS',
    'ms',
    20_000,
    [100, 10 * minute],
    'Longest run of a query or mutation.',
  ),

  // WebSocket and subscriptions
  wsPayloadMaxBytes: integer(
    'WS_PAYLOAD_MAX_BYTES',
    'bytes',
    65_536,
    [1_024, 16 * mebibyte],
    'Largest WebSocket message from a client.',
  ),
  wsOperationsPerSocketMax: integer(
    'WS_OPERATIONS_PER_SOCKET_MAX',
    'operations',
    50,
    [1, 1_000],
    'Operations running on one socket.',
  ),
  wsSocketsPerAccountMax: integer(
    'WS_SOCKETS_PER_ACCOUNT_MAX',
    'sockets',
    2_000,
    [1, 100_000],
    'Sockets of one account on one process.',
  ),
  wsAnonymousSocketsMax: integer(
    'WS_ANONYMOUS_SOCKETS_MAX',
    'sockets',
    100,
    [0, 100_000],
    'Sockets of one process that have given no key.',
  ),
  subscriptionsPerAccountMax: integer(
    'SUBSCRIPTIONS_PER_ACCOUNT_MAX',
    'subscriptions',
    5_000,
    [1, 1_000_000],
    'Open subscriptions of one account on one process, over WebSocket and SSE together.',
  ),
  wsSocketsMax: integer('WS_SOCKETS_MAX', 'sockets', 10_000, [1, 1_000_000], 'Sockets of one process.'),
  wsInitWaitMs: integer(
    'WS_INIT_WAIT_MS',
    'ms',
    5_000,
    [100, minute],
    'Longest wait for connection_init, as in the graphql-transport-ws protocol (close code 4408).',
  ),
  wsPingIntervalMs: integer(
    'WS_PING_INTERVAL_MS',
    'ms',
    12_000,
    [1_000, 10 * minute],
    'Pause between pings; a socket that misses one is closed.',
  ),
  wsBufferedMaxBytes: integer(
    'WS_BUFFERED_MAX_BYTES',
    'bytes',
    mebibyte,
    [16_384, 64 * mebibyte],
    'Bytes that may wait for a slow client before its socket is closed.',
  ),
  subscriptionMailboxMax: integer(
    'SUBSCRIPTION_MAILBOX_MAX',
    'events',
    1_000,
    [10, 100_000],
    'Events that may wait for one subscription; a slower one is served from the event log instead.',
  ),
  heartbeatIntervalMs: integer(
    'HEARTBEAT_INTERVAL_MS',
    'ms',
    15_000,
    [100, 10 * minute],
    'Pause between heartbeats of a quiet subscription.',
  ),
  eventRetentionHours: integer(
    'EVENT_RETENTION_HOURS',
    'hours',
    168,
    [1, 8_760],
    'How long events can be replayed.',
  ),
  recordRetentionHours: integer(
    'RECORD_RETENTION_HOURS',
    'hours',
    168,
    [24, 8_760],
    'How long results of idempotency keys, processed webhooks and settled channel writes are kept.',
  ),

  shutdownDeadlineMs: integer(
    'SHUTDOWN_DEADLINE_MS',
    'ms',
    10_000,
    [0, 10 * minute],
    'How long requests and jobs in flight may take after SIGTERM.',
  ),
} as const;
