/** Proves that the environment becomes one frozen value, and that every problem in it is told at once. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigError, configVariables, keptSecretsKey, readConfig } from '../src/config.ts';
import { variables } from '../src/configVariables.ts';

const key = Buffer.alloc(32, 7).toString('base64');
const installed = { DATABASE_URL: 'postgresql://user:pass@db.example/stock', SECRETS_KEY: key };

function problemsOf(environment: Record<string, string>, words: readonly string[] = []): readonly string[] {
  try {
    readConfig(environment, words);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('an empty environment gives the demo on port 4000 of this machine only', () => {
  expect(readConfig({})).toMatchObject({
    role: 'all',
    port: 4000,
    host: '127.0.0.1',
    publicUrl: 'http://localhost:4000',
    databaseUrl: null,
    redisUrl: null,
    demo: true,
    graphiql: true,
    introspection: true,
    corsOrigins: [],
    httpBodyMaxBytes: 262_144,
    shutdownDeadlineMs: 10_000,
  });
});

test('the configuration cannot be changed after it was read', () => {
  const config = readConfig({ CORS_ORIGINS: 'https://shop.example' });

  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.corsOrigins)).toBe(true);
});

test('every problem is reported at once, by the name of its variable', () => {
  const problems = problemsOf(
    {
      PORT: 'web',
      DATABASE_URL: 'mysql://db',
      DEMO: 'maybe',
      LOG_LEVEL: 'loud',
      CORS_ORIGINS: '*',
      WORKER_CONCURRENCY: '0',
    },
    ['everything'],
  );

  for (const name of [
    'PORT',
    'DATABASE_URL',
    'DEMO',
    'LOG_LEVEL',
    'CORS_ORIGINS',
    'WORKER_CONCURRENCY',
    '"everything"',
  ]) {
    expect(problems.filter((problem) => problem.startsWith(name))).toHaveLength(1);
  }
  expect(problems).toHaveLength(7);
});

test('no problem repeats the value, because it may be a secret', () => {
  const secret = 'hunter2hunter2';
  const environment = Object.fromEntries(
    configVariables.map(({ name }) => [name, `${secret} ${'x'.repeat(400)}`]),
  );
  const problems = problemsOf(environment);

  expect(problems.length).toBeGreaterThan(configVariables.length / 2);
  expect(problems.join('\n')).not.toContain(secret);
});

test.each(configVariables.map(({ name }) => name))('%s set to nothing counts as not set', (name) => {
  expect(readConfig({ [name]: ' ' })).toEqual(readConfig({}));
});

test('each limit accepts both ends of its range and refuses what lies beyond', () => {
  const limits = configVariables.flatMap(({ name, unit }) => {
    const range = /(\d+) to (\d+)$/.exec(unit);
    return range ? [{ name, min: Number(range[1]), max: Number(range[2]) }] : [];
  });
  expect(limits.length).toBeGreaterThan(25);
  const others = { DATABASE_POOL_MAX: '500' };
  for (const { name, min, max } of limits) {
    const pool = name === 'DATABASE_POOL_MAX' ? { WORKER_CONCURRENCY: '2' } : others;
    expect(problemsOf({ ...pool, [name]: String(min) })).toEqual([]);
    expect(problemsOf({ ...pool, [name]: String(max) })).toEqual([]);
    expect(problemsOf({ ...pool, [name]: String(max + 1) }).join()).toContain(
      `${name} must be at most ${max}`,
    );
    expect(problemsOf({ ...pool, [name]: '1.5' })).toEqual([`${name} must be a whole number`]);
    expect(problemsOf({ ...pool, [name]: String(min - 1) }).join()).toContain(
      `${name} must be at least ${min}`,
    );
  }
});

test('every default lies inside the range of its own variable', () => {
  const written = Object.values(variables).filter(({ fallback }) => fallback !== null);
  expect(written.length).toBeGreaterThan(25);
  for (const { name, schema, default: text, fallback } of written) {
    expect({ name, ...schema.safeParse(text) }).toMatchObject({ name, success: true, data: fallback });
  }
});

test('the table names every variable once, in upper case, with a unit and a sentence', () => {
  const names = configVariables.map(({ name }) => name);

  expect(new Set(names).size).toBe(names.length);
  for (const { name, unit, description, default: fallback } of configVariables) {
    expect(name).toMatch(/^[A-Z][A-Z0-9_]+$/);
    expect(unit).not.toBe('');
    expect(fallback).not.toBe('');
    expect(`${name}: ${description}`).toMatch(/\.$/);
  }
});

test('the variables of the interface exist', () => {
  const names = configVariables.map(({ name }) => name);

  expect(names).toEqual(
    expect.arrayContaining([
      'PORT',
      'HOST',
      'DATABASE_URL',
      'REDIS_URL',
      'DEMO_API_KEY',
      'DEMO',
      'BUYERS_PER_MINUTE',
      'SECRETS_KEY',
    ]),
  );
});

test('an installation with its own database must bring its key', () => {
  expect(problemsOf({ DATABASE_URL: installed.DATABASE_URL })).toEqual([
    expect.stringMatching(/^SECRETS_KEY is required/),
  ]);
  expect(readConfig(installed).secretsKey).toEqual(Buffer.alloc(32, 7));
});

test.each(['c2hvcnQ=', 'not base64!', 'A'.repeat(44)])(
  'a secrets key such as %s that is not 32 bytes is refused',
  (value) => {
    expect(problemsOf({ SECRETS_KEY: value })).toEqual([
      expect.stringMatching(/^SECRETS_KEY must be 32 bytes/),
    ]);
  },
);

test.each([
  { environment: {}, demo: true },
  { environment: { NODE_ENV: 'production' }, demo: false },
  { environment: installed, demo: false },
  { environment: { ...installed, DEMO: 'on' }, demo: true },
  { environment: { DEMO: '0' }, demo: false },
])(
  'the demo is on only without a database and outside production, or when asked for: $environment',
  ({ environment, demo }) => {
    expect(readConfig(environment).demo).toBe(demo);
  },
);

test('GraphiQL and introspection are off in production unless asked for', () => {
  expect(readConfig({ NODE_ENV: 'production' })).toMatchObject({
    graphiql: false,
    introspection: false,
    production: true,
  });
  expect(readConfig({ NODE_ENV: 'production', GRAPHIQL: 'yes', INTROSPECTION: 'true' })).toMatchObject({
    graphiql: true,
    introspection: true,
  });
});

test('the role is one word of the command line', () => {
  expect(readConfig({}, ['serve']).role).toBe('serve');
  expect(readConfig({}, ['worker']).role).toBe('worker');
  expect(problemsOf({}, ['serve', 'worker'])).toEqual([expect.stringContaining('only one role')]);
});

test('a pool too small for the jobs of its worker is refused, because they would wait for each other', () => {
  expect(problemsOf({ DATABASE_POOL_MAX: '9', WORKER_CONCURRENCY: '8' })).toEqual([
    'DATABASE_POOL_MAX must be at least WORKER_CONCURRENCY + 2 (10)',
  ]);
});

test('origins are given as browsers send them', () => {
  expect(readConfig({ CORS_ORIGINS: 'https://a.example, http://localhost:3000' }).corsOrigins).toEqual([
    'https://a.example',
    'http://localhost:3000',
  ]);
  expect(problemsOf({ CORS_ORIGINS: 'https://a.example/' })).toHaveLength(1);
});

test('the public address has no slash at its end and follows the port', () => {
  expect(readConfig({ PORT: '8080' }).publicUrl).toBe('http://localhost:8080');
  expect(readConfig({ PUBLIC_URL: 'https://sync.example/' }).publicUrl).toBe('https://sync.example');
});

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'listgenius-config-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

test('the kept key is made once, is the same for everyone who starts at once, and is private', async () => {
  const file = path.join(await temporaryDirectory(), 'secrets.key');

  const keys = await Promise.all(Array.from({ length: 5 }, () => keptSecretsKey(file)));

  expect(new Set(keys.map((bytes) => bytes.toString('hex'))).size).toBe(1);
  expect(await keptSecretsKey(file)).toEqual(keys[0]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(Buffer.from(await readFile(file, 'utf8'), 'base64')).toHaveLength(32);
});

test('a kept key that is not whole is refused instead of replaced, because it would make credentials unreadable', async () => {
  const file = path.join(await temporaryDirectory(), 'secrets.key');
  await writeFile(file, 'AAAA');

  await expect(keptSecretsKey(file)).rejects.toThrow('not 32 bytes');
  expect(await readFile(file, 'utf8')).toBe('AAAA');
});
