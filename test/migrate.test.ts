/** Proves that migrations apply once, agree with schema.prisma, and are recorded as Prisma's own engine records them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { afterEach, expect, test } from 'vitest';
import { type MigrationError, migrate, pendingMigrations, readMigrations } from '../src/migrate.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import {
  applyMigrations,
  diagnoseMigrations,
  diffToSchema,
  type MigrationFiles,
} from './support/schemaEngine.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function emptyDatabase(): Promise<TestDatabase> {
  const database = await createDatabase({ empty: true });
  cleanups.push(() => database.drop());
  return database;
}

async function connected(database: TestDatabase): Promise<Client> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  cleanups.push(() => client.end());
  return client;
}

async function migrationDirectory(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'listgenius-migrations-'));
  cleanups.push(() => rm(directory, { recursive: true }));
  for (const [name, sql] of Object.entries(files)) {
    await mkdir(path.join(directory, name));
    await writeFile(path.join(directory, name, 'migration.sql'), sql);
  }
  await writeFile(path.join(directory, 'migration_lock.toml'), 'provider = "postgresql"\n');
  return directory;
}

const two = {
  '20260101000000_first': 'create table first (id integer primary key);',
  '20260102000000_second': 'create table second (id integer primary key); insert into first values (1);',
};

async function failure(promise: Promise<unknown>): Promise<MigrationError> {
  return promise.then(
    () => expect.fail('it was accepted'),
    (error: unknown) => error as MigrationError,
  );
}

test('the migrations of this code build exactly the database that schema.prisma describes', async () => {
  const database = await emptyDatabase();
  await migrate(database.url);

  expect(await diffToSchema(database.url)).toBe('');
});

test('a database that lacks a column of schema.prisma is told apart from one that agrees', async () => {
  const database = await emptyDatabase();
  await migrate(database.url);
  const client = await connected(database);
  await client.query('create table nobody_declared_this (id integer primary key)');

  expect(await diffToSchema(database.url)).toContain('nobody_declared_this');
});

test("Prisma's own engine regards the migrations that we applied as applied and unchanged", async () => {
  const database = await emptyDatabase();
  const directory = await migrationDirectory(two);
  await migrate(database.url, { directory });

  expect(await diagnoseMigrations(database.url, await filesOf(directory))).toMatchObject({
    hasMigrationsTable: true,
    history: null,
    editedMigrationNames: [],
    failedMigrationNames: [],
  });
  expect(await applyMigrations(database.url, await filesOf(directory))).toEqual([]);
});

test("migrations that Prisma's own engine applied are not applied again by ours", async () => {
  const database = await emptyDatabase();
  const directory = await migrationDirectory(two);

  expect(await applyMigrations(database.url, await filesOf(directory))).toEqual(Object.keys(two));
  expect(await migrate(database.url, { directory })).toEqual([]);
});

test('our records have the same columns and values as those of Prisma', async () => {
  const [ours, theirs] = [await emptyDatabase(), await emptyDatabase()];
  const directory = await migrationDirectory(two);
  await migrate(ours.url, { directory });
  await applyMigrations(theirs.url, await filesOf(directory));

  expect(await recordsOf(ours)).toEqual(await recordsOf(theirs));
});

test("Prisma's own engine builds the very database that ours builds from the migrations of this code", async () => {
  const [ours, theirs] = [await emptyDatabase(), await emptyDatabase()];
  const directory = path.join(import.meta.dirname, '..', 'prisma', 'migrations');
  const files = await filesOf(directory);
  const names = files.migrations.map(({ name }) => name);

  expect(await migrate(ours.url)).toEqual(names);
  expect(await applyMigrations(theirs.url, files)).toEqual(names);

  const catalogue = await catalogueOf(ours);
  expect(await catalogueOf(theirs)).toEqual(catalogue);
  for (const [kind, objects] of Object.entries(catalogue)) expect([kind, objects]).not.toEqual([kind, []]);
  expect(await diagnoseMigrations(ours.url, files)).toMatchObject({
    history: null,
    editedMigrationNames: [],
    failedMigrationNames: [],
  });
  expect(await migrate(theirs.url)).toEqual([]);
});

test('a second run applies nothing', async () => {
  const database = await emptyDatabase();
  const directory = await migrationDirectory(two);

  expect(await pendingMigrations(database.url, { directory })).toEqual(Object.keys(two));
  expect(await migrate(database.url, { directory })).toEqual(Object.keys(two));
  expect(await pendingMigrations(database.url, { directory })).toEqual([]);
  expect(await migrate(database.url, { directory })).toEqual([]);
});

test('of eight processes that migrate at once one applies each migration', async () => {
  const database = await emptyDatabase();
  const directory = await migrationDirectory(two);

  const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(database.url, { directory })));

  expect(applied.flat().toSorted()).toEqual(Object.keys(two));
  const { rows } = await (await connected(database)).query('select count(*)::integer as rows from first');
  expect(rows).toEqual([{ rows: 1 }]);
});

test('a client of the caller is used as it is and left connected, with its own limits', async () => {
  const database = await emptyDatabase();
  const client = await connected(database);
  const directory = await migrationDirectory(two);

  await migrate(client, { directory });

  const { rows } = await client.query(`select current_setting('lock_timeout') as lock_timeout`);
  expect(rows).toEqual([{ lock_timeout: '0' }]);
});

test('a failing migration leaves nothing behind and names itself, and those before it stay', async () => {
  const database = await emptyDatabase();
  const directory = await migrationDirectory({
    ...two,
    '20260103000000_broken': 'create table third (id integer primary key); select 1 / 0;',
  });

  const error = await failure(migrate(database.url, { directory }));

  expect(error).toMatchObject({ code: 'MIGRATION_FAILED', migration: '20260103000000_broken' });
  expect(error.message).toContain('division by zero');
  expect(await pendingMigrations(database.url, { directory })).toEqual(['20260103000000_broken']);
  const { rows } = await (await connected(database)).query(`select to_regclass('third') as third`);
  expect(rows).toEqual([{ third: null }]);
});

test('a migration that was changed after it was applied is refused by name', async () => {
  const database = await emptyDatabase();
  await migrate(database.url, { directory: await migrationDirectory(two) });
  const directory = await migrationDirectory({
    ...two,
    '20260101000000_first': 'create table other (id integer);',
  });

  expect(await failure(migrate(database.url, { directory }))).toMatchObject({
    code: 'MIGRATION_CHANGED',
    migration: '20260101000000_first',
  });
});

test('a database that is newer than the code is refused by the name of the unknown migration', async () => {
  const database = await emptyDatabase();
  await migrate(database.url, { directory: await migrationDirectory(two) });
  const directory = await migrationDirectory({ '20260101000000_first': two['20260101000000_first'] });

  expect(await failure(migrate(database.url, { directory }))).toMatchObject({
    code: 'DATABASE_IS_NEWER',
    migration: '20260102000000_second',
  });
});

test('a migration that another tool left unfinished is refused, and accepted once marked as rolled back', async () => {
  const database = await emptyDatabase();
  const directory = await migrationDirectory(two);
  await migrate(database.url, { directory: await migrationDirectory({}) });
  const client = await connected(database);
  await client.query(
    `insert into _prisma_migrations (id, checksum, migration_name) values ('1', 'x', '20260101000000_first')`,
  );

  expect(await failure(migrate(database.url, { directory }))).toMatchObject({
    code: 'MIGRATION_FAILED_BEFORE',
    migration: '20260101000000_first',
  });
  await client.query('update _prisma_migrations set rolled_back_at = now()');
  expect(await migrate(database.url, { directory })).toEqual(Object.keys(two));
});

test('a migration directory without its file is refused by name', async () => {
  const database = await emptyDatabase();
  const directory = await migrationDirectory({});
  await mkdir(path.join(directory, '20260101000000_empty'));

  expect(await failure(migrate(database.url, { directory }))).toMatchObject({ code: 'MIGRATION_UNREADABLE' });
});

async function filesOf(directory: string): Promise<MigrationFiles> {
  return { directory, migrations: await readMigrations(directory) };
}

async function recordsOf(database: TestDatabase): Promise<unknown> {
  const client = await connected(database);
  const records = await client.query(
    `select migration_name, checksum, applied_steps_count, coalesce(logs, '') as logs, rolled_back_at,
            finished_at >= started_at as finished, length(id) as id_length
     from _prisma_migrations order by migration_name`,
  );
  const columns = await client.query(
    `select column_name, data_type, is_nullable, column_default, character_maximum_length
     from information_schema.columns where table_name = '_prisma_migrations' order by ordinal_position`,
  );
  return { records: records.rows, columns: columns.rows };
}

/** What PostgreSQL itself knows of a database's own objects, by kind and in their full definition. */
const catalogueQueries = {
  columns: `select attrelid::regclass::text as table, attname, attnum, format_type(atttypid, atttypmod) as type, attnotnull, attgenerated,
                   pg_get_expr(adbin, adrelid) as default
              from pg_attribute join pg_class on pg_class.oid = attrelid left join pg_attrdef on adrelid = attrelid and adnum = attnum
             where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') and attnum > 0 and not attisdropped order by 1, 3`,
  tables: `select relname, relkind, relpersistence, reloptions from pg_class
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'S') order by 1`,
  constraints: `select conrelid::regclass::text as table, conname, pg_get_constraintdef(oid) as definition, convalidated from pg_constraint
                 where connamespace = 'public'::regnamespace order by 1, 2`,
  indexes: `select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1`,
  functions: `select oid::regprocedure::text as name, pg_get_functiondef(oid) as definition from pg_proc
               where pronamespace = 'public'::regnamespace order by 1`,
  triggers: `select tgname, pg_get_triggerdef(oid) as definition from pg_trigger where not tgisinternal order by 2`,
  enums: `select typname, array_agg(enumlabel::text order by enumsortorder) as labels
            from pg_enum join pg_type on pg_type.oid = enumtypid group by 1 order by 1`,
} as const;

async function catalogueOf(database: TestDatabase): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const client = await connected(database);
  const kinds: Record<string, readonly unknown[]> = {};
  for (const [kind, query] of Object.entries(catalogueQueries))
    kinds[kind] = (await client.query(query)).rows;
  return kinds;
}
