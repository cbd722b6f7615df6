/** The one table of every environment variable that the product reads: unit, range, default and meaning. */
import { z } from 'zod';
import {
  base64Key,
  httpUrl,
  integer,
  line,
  onOff,
  optional,
  origins,
  text,
  url,
  type Variable,
  word,
} from './configKinds.ts';
import { limits } from './configLimits.ts';
import { workLimits } from './configWork.ts';
import { logLevels } from './log.ts';

export const variables = {
  // Where
  port: integer(
    'PORT',
    'TCP port',
    4_000,
    [0, 65_535],
    'Where HTTP, WebSocket and SSE are served; 0 takes a free port.',
  ),
  host: text(
    'HOST',
    'address',
    '127.0.0.1',
    line,
    'The address listened on. This machine only by default, because the demo is; the container image sets 0.0.0.0.',
  ),
  publicUrl: optional('PUBLIC_URL', 'URL', httpUrl, {
    description: 'The address that marketplaces and browsers reach this server at.',
    inWords: 'http://localhost:PORT',
  }),
  databaseUrl: optional('DATABASE_URL', 'postgresql:// URL', url(['postgresql', 'postgres']), {
    description: 'PostgreSQL 15 or newer, tried with 15 to 18.',
    secret: true,
    inWords: 'an embedded PostgreSQL 18',
  }),
  redisUrl: optional('REDIS_URL', 'redis:// URL', url(['redis', 'rediss']), {
    description: 'Fan-out and shared rate buckets of several processes.',
    secret: true,
    inWords: 'in-process',
  }),

  // Who
  secretsKey: optional('SECRETS_KEY', '32 bytes in base64', base64Key, {
    description: 'Encrypts marketplace credentials at rest. Required with DATABASE_URL.',
    secret: true,
    inWords: 'made once and kept beside the embedded data',
  }),

  // Demo
  demo: optional('DEMO', 'on or off', onOff, {
    description: 'The sandbox marketplaces, a demo shop and simulated buyers.',
    inWords: 'on without DATABASE_URL, unless NODE_ENV=production',
  }),
  demoApiKey: optional(
    'DEMO_API_KEY',
    'text, 16 to 200 characters',
    word.min(16, 'must have at least 16 characters'),
    {
      description: "The demo account's API key.",
      secret: true,
      inWords: 'made and printed once',
    },
  ),
  buyersPerMinute: integer(
    'BUYERS_PER_MINUTE',
    'buyers per minute',
    12,
    [0, 6_000],
    'Simulated buyers over all sandbox marketplaces; 0 for none.',
  ),

  // Browsers
  corsOrigins: optional('CORS_ORIGINS', 'origins, comma-separated', origins, {
    description: 'Web pages of other origins that may call the API.',
  }),
  graphiql: optional('GRAPHIQL', 'on or off', onOff, {
    description: 'The GraphiQL page at /graphql.',
    inWords: 'on, unless NODE_ENV=production',
  }),
  introspection: optional('INTROSPECTION', 'on or off', onOff, {
    description: 'Introspection, with and without a key.',
    inWords: 'on, unless NODE_ENV=production',
  }),

  // Operation
  logLevel: {
    ...text('LOG_LEVEL', logLevels.join(', '), 'info', line, 'The least severe line that is logged.'),
    schema: z.enum(logLevels, { error: `must be one of ${logLevels.join(', ')}` }),
    fallback: 'info',
  },

  ...limits,
  ...workLimits,
} as const satisfies Record<string, Variable<unknown>>;

/** The same table for people and for checks, in the order of the documentation. */
export const configVariables: readonly Omit<Variable<unknown>, 'schema' | 'fallback'>[] =
  Object.values(variables);
