/** Brings a database to the migrations of this code, exactly once each and all or nothing, recorded as `prisma migrate deploy` does. */
import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Client, type ClientBase } from 'pg';
import type { Log } from './log.ts';

export type Migration = {
  /** The directory's name: `<timestamp>_<name>`; its order is the order of application. */
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, in hex. */
  readonly checksum: string;
};

export type MigrateOptions = {
  /** Default: `prisma/migrations` of this checkout. */
  readonly directory?: string;
  readonly log?: Log;
  /** How long to wait for another process that migrates, or for a lock inside a migration. Default: 5 min. */
  readonly lockTimeoutMs?: number;
};

export const migrationErrorCodes = [
  'MIGRATION_CHANGED',
  'MIGRATION_FAILED_BEFORE',
  'MIGRATION_FAILED',
  'DATABASE_IS_NEWER',
  'MIGRATION_UNREADABLE',
] as const;

/** Nothing was changed by the migration that it names. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
  readonly code: (typeof migrationErrorCodes)[number];
  readonly migration: string;

  constructor(
    code: (typeof migrationErrorCodes)[number],
    migration: string,
    explanation: string,
    cause?: unknown,
  ) {
    super(`migration "${migration}" ${explanation}`, { cause });
    this.code = code;
    this.migration = migration;
  }
}

type Recorded = {
  readonly migration_name: string;
  readonly checksum: string;
  readonly finished_at: Date | null;
  readonly rolled_back_at: Date | null;
};

const defaultDirectory = path.join(import.meta.dirname, '..', 'prisma', 'migrations');
// The lock that Prisma's own engine takes, so that `prisma migrate deploy` and this never run at once.
const prismaLock = 72_707_369;
// Prisma's own definition of its table.
const createTable = `
  create table if not exists _prisma_migrations (
    id varchar(36) primary key not null,
    checksum varchar(64) not null,
    finished_at timestamptz,
    migration_name varchar(255) not null,
    logs text,
    rolled_back_at timestamptz,
    started_at timestamptz not null default now(),
    applied_steps_count integer not null default 0
  )`;

/**
 * Applies what is missing and returns the names of the migrations applied, oldest first. Any number of processes may call it at once.
 * Throws `MigrationError` on a migration that fails, failed before, was changed after it was applied, or is unknown to this code.
 */
export async function migrate(
  database: string | ClientBase,
  options: MigrateOptions = {},
): Promise<string[]> {
  const migrations = await readMigrations(options.directory ?? defaultDirectory);
  return withClient(database, async (client) => {
    const lockTimeoutMs = Math.floor(options.lockTimeoutMs ?? 300_000);
    await client.query(`set lock_timeout = ${lockTimeoutMs}; set statement_timeout = 0`);
    await client.query('select pg_advisory_lock($1)', [prismaLock]);
    try {
      await client.query(createTable);
      const pending = comparePending(migrations, await readRecorded(client));
      for (const migration of pending) {
        await apply(client, migration);
        options.log?.info({ migration: migration.name }, 'applied a migration');
      }
      return pending.map(({ name }) => name);
    } finally {
      await client.query('select pg_advisory_unlock($1)', [prismaLock]);
      await client.query('reset lock_timeout; reset statement_timeout');
    }
  });
}

/** The names of the migrations that `migrate` would apply, oldest first. Changes nothing; throws as `migrate` does. */
export async function pendingMigrations(
  database: string | ClientBase,
  options: MigrateOptions = {},
): Promise<string[]> {
  const migrations = await readMigrations(options.directory ?? defaultDirectory);
  return withClient(database, async (client) => {
    const { rows } = await client.query<{ present: boolean }>(
      `select to_regclass('_prisma_migrations') is not null as present`,
    );
    const recorded = rows[0]?.present === true ? await readRecorded(client) : [];
    return comparePending(migrations, recorded).map(({ name }) => name);
  });
}

/** The migrations of a directory in Prisma's layout, oldest first. */
export async function readMigrations(directory: string = defaultDirectory): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.toSorted().map(async (name) => {
      const file = await readFile(path.join(directory, name, 'migration.sql')).catch((error: unknown) => {
        throw new MigrationError('MIGRATION_UNREADABLE', name, 'has no readable migration.sql', error);
      });
      return { name, sql: file.toString('utf8'), checksum: createHash('sha256').update(file).digest('hex') };
    }),
  );
}

async function readRecorded(client: ClientBase): Promise<Recorded[]> {
  const { rows } = await client.query<Recorded>(
    'select migration_name, checksum, finished_at, rolled_back_at from _prisma_migrations order by started_at, migration_name',
  );
  return rows;
}

function comparePending(migrations: readonly Migration[], recorded: readonly Recorded[]): Migration[] {
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  const applied = new Set<string>();
  // A migration that an operator marked as rolled back counts as never applied, as in Prisma.
  for (const row of recorded.filter(({ rolled_back_at }) => rolled_back_at === null)) {
    const name = row.migration_name;
    if (row.finished_at === null) {
      throw new MigrationError(
        'MIGRATION_FAILED_BEFORE',
        name,
        'was started and did not finish: repair the database, then mark it with "prisma migrate resolve"',
      );
    }
    const migration = known.get(name);
    if (!migration) {
      throw new MigrationError(
        'DATABASE_IS_NEWER',
        name,
        'is applied but unknown to this version: the database is newer than the code',
      );
    }
    if (migration.checksum !== row.checksum) {
      throw new MigrationError(
        'MIGRATION_CHANGED',
        name,
        'was changed after it was applied: restore the file and add a new migration',
      );
    }
    applied.add(name);
  }
  return migrations.filter(({ name }) => !applied.has(name));
}

async function apply(client: ClientBase, migration: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query(migration.sql);
    await client.query(
      `insert into _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       values ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), migration.checksum, migration.name],
    );
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    const reason = error instanceof Error ? error.message : String(error);
    throw new MigrationError(
      'MIGRATION_FAILED',
      migration.name,
      `failed and was rolled back: ${reason}`,
      error,
    );
  }
}

async function withClient<Result>(
  database: string | ClientBase,
  use: (client: ClientBase) => Promise<Result>,
): Promise<Result> {
  if (typeof database !== 'string') return use(database);
  const client = new Client({ connectionString: database, application_name: 'listgenius migrate' });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
