/** Turns the environment into one frozen value, or reports every problem in it at once. */
import { randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { variables } from './configVariables.ts';
import type { LogLevel } from './log.ts';

export { configVariables } from './configVariables.ts';

export const roles = ['all', 'serve', 'worker'] as const;
/** What a process does: everything, only the transports, or only the background work. */
export type Role = (typeof roles)[number];

type Variables = typeof variables;
type ValueOf<Entry> = Entry extends {
  readonly schema: { readonly _zod: { readonly output: infer Value } };
  readonly fallback: infer Fallback;
}
  ? Fallback extends null
    ? Value | null
    : Value
  : never;
type Read = { readonly [Key in keyof Variables]: ValueOf<Variables[Key]> };

/** Units are the last word of each name; ranges and meanings are in `configVariables`. */
export type Config = Omit<
  Read,
  'publicUrl' | 'demo' | 'graphiql' | 'introspection' | 'corsOrigins' | 'logLevel'
> & {
  readonly role: Role;
  readonly production: boolean;
  readonly publicUrl: string;
  readonly demo: boolean;
  readonly graphiql: boolean;
  readonly introspection: boolean;
  readonly corsOrigins: readonly string[];
  readonly logLevel: LogLevel;
};

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG';
  /** One sentence per problem, each naming its variable and never its value: it may be a secret. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Reads the configuration. An empty variable counts as not set. `words` are the command line after the program's name: at most the role.
 * Throws `ConfigError` with all problems.
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  words: readonly string[] = [],
): Config {
  const problems: string[] = [];
  const values = Object.fromEntries(
    Object.entries(variables).map(([key, variable]) => {
      const value = environment[variable.name]?.trim();
      if (value === undefined || value === '') return [key, variable.fallback];
      const parsed = variable.schema.safeParse(value);
      if (!parsed.success) {
        problems.push(`${variable.name} ${parsed.error.issues[0]?.message ?? 'is not valid'}`);
        return [key, variable.fallback];
      }
      return [key, parsed.data];
    }),
  ) as Read;
  const role = readRole(words, problems);
  problems.push(...contradictions(values));
  if (problems.length > 0) throw new ConfigError(problems);

  const production = environment['NODE_ENV'] === 'production';
  return Object.freeze({
    ...values,
    role,
    production,
    publicUrl: (values.publicUrl ?? `http://localhost:${values.port}`).replace(/\/+$/, ''),
    demo: values.demo ?? (values.databaseUrl === null && !production),
    graphiql: values.graphiql ?? !production,
    introspection: values.introspection ?? !production,
    corsOrigins: Object.freeze(values.corsOrigins ?? []),
  });
}

function readRole(words: readonly string[], problems: string[]): Role {
  const [word = 'all', ...rest] = words;
  const role = roles.find((known) => known === word);
  if (!role) problems.push(`"${word}" is not a role: use ${roles.join(', ')} or nothing`);
  if (rest.length > 0) problems.push(`only one role can be named, not also "${rest.join(' ')}"`);
  return role ?? 'all';
}

function contradictions(values: Read): string[] {
  const problems: string[] = [];
  if (values.databaseUrl !== null && values.secretsKey === null) {
    problems.push('SECRETS_KEY is required with DATABASE_URL; make one with: openssl rand -base64 32');
  }
  // Each job may hold one connection while the API and the event log need theirs.
  if (values.databasePoolMax < values.workerConcurrency + 2) {
    problems.push(
      `DATABASE_POOL_MAX must be at least WORKER_CONCURRENCY + 2 (${values.workerConcurrency + 2})`,
    );
  }
  return problems;
}

/** The key of an embedded installation: made at the first start, the same 32 bytes ever after. `file` is readable by its owner only. */
export async function keptSecretsKey(file: string): Promise<Buffer> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, randomBytes(32).toString('base64'), { mode: 0o600 });
  // A link fails where the file exists, so that of two first starts at once both use the same, whole key.
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft);
  const key = Buffer.from(await readFile(file, 'utf8'), 'base64');
  if (key.length !== 32) throw new ConfigError([`the key kept in ${file} is not 32 bytes long`]);
  return key;
}
