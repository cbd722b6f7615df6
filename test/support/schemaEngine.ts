/** Drives Prisma's own schema engine (its WebAssembly build, no download) against a database. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import type { DiagnoseMigrationHistoryOutput, MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import type { Pool, QueryResult } from 'pg';
import type { Migration } from '../../src/migrate.ts';
import { openPool } from './fixtures.ts';

export type MigrationFiles = { readonly directory: string; readonly migrations: readonly Migration[] };

const schemaFile = path.join(import.meta.dirname, '..', '..', 'prisma', 'schema.prisma');
const filters = { externalTables: [], externalEnums: [] };
const internalCharType = 18;
const textType = 25;
let loaded = false;

/** The engine's own view of which migrations a database has. */
export async function diagnoseMigrations(
  url: string,
  files: MigrationFiles,
): Promise<DiagnoseMigrationHistoryOutput> {
  return withEngine(url, (engine) =>
    engine.diagnoseMigrationHistory({
      migrationsList: migrationList(files),
      optInToShadowDatabase: false,
      filters,
    }),
  );
}

/** Migrates with the engine instead of with `src/migrate.ts`; returns the names of the migrations it applied. */
export async function applyMigrations(url: string, files: MigrationFiles): Promise<string[]> {
  const { appliedMigrationNames } = await withEngine(url, (engine) =>
    engine.applyMigrations({ migrationsList: migrationList(files), filters }),
  );
  return appliedMigrationNames;
}

/** The SQL that would bring the database to `schema.prisma`; empty when they agree. */
export async function diffToSchema(url: string): Promise<string> {
  const files = [{ path: schemaFile, content: await readFile(schemaFile, 'utf8') }];
  const { exitCode, stdout } = await withEngine(url, (engine) =>
    engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: path.dirname(schemaFile) },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: true,
      filters,
    }),
  );
  return exitCode === 0 ? '' : (stdout ?? `exit code ${exitCode}`);
}

async function withEngine<Result>(
  url: string,
  use: (engine: SchemaEngine) => Promise<Result>,
): Promise<Result> {
  await loadWasm();
  // The engine keeps its connection, and with it the migration lock, until the pool itself ends.
  const pool = openPool(url, 2);
  const datamodel = await readFile(schemaFile, 'utf8');
  const adapter = bindMigrationAwareSqlAdapterFactory(catalogAdapter(pool));
  const panicked = panic();
  const engine = await bindings.SchemaEngine.new(
    { datamodels: [[schemaFile, datamodel]] },
    () => undefined,
    adapter,
  );
  try {
    return await Promise.race([use(engine), panicked]);
  } finally {
    await pool.end();
  }
}

/** A panic inside the engine never settles its promise: it is only told to this registry. */
function panic(): Promise<never> {
  return new Promise((_resolve, reject) => {
    const registry = {
      set_message: (message: string) => reject(new Error(`the schema engine panicked: ${message}`)),
    };
    Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: registry });
  });
}

/**
 * `@prisma/adapter-pg` 7.10 refuses the catalog's one-byte type `"char"`, which describing a database needs: it is passed through
 * as text under a marked name, and told to the engine as what it is. It also cuts scripts at every semicolon, within functions and comments too;
 * the engine of `prisma migrate deploy` sends a migration whole, and so does this.
 */
function catalogAdapter(pool: Pool): PrismaPg {
  const mark = '"char" ';
  const query = pool.query.bind(pool) as (...parameters: unknown[]) => Promise<QueryResult>;
  const marking = async (...parameters: unknown[]): Promise<QueryResult> => {
    const result = await query(...parameters);
    for (const field of result.fields ?? []) {
      if (field.dataTypeID === internalCharType)
        Object.assign(field, { dataTypeID: textType, name: mark + field.name });
    }
    return result;
  };
  Object.assign(pool, { query: marking });

  const factory = new PrismaPg(pool);
  const connect = factory.connect.bind(factory);
  factory.connect = async () => {
    const adapter = await connect();
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (statement) => {
      const result = await queryRaw(statement);
      return {
        ...result,
        columnNames: result.columnNames.map((name) => name.replace(mark, '')),
        columnTypes: result.columnTypes.map((type, index) =>
          result.columnNames[index]?.startsWith(mark) ? ColumnTypeEnum.Character : type,
        ),
      };
    };
    adapter.executeScript = async (script) => void (await query(script));
    return adapter;
  };
  return factory;
}

type Exported = { __wbindgen_start: () => void };
type WebAssemblyModule = {
  instantiate(file: Uint8Array, imports: object): Promise<{ instance: { exports: Exported } }>;
};

/** What a bundler would do with the package's `.wasm` import. */
async function loadWasm(): Promise<void> {
  if (loaded) return;
  const file = fileURLToPath(import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg')).replace(
    /\.js$/,
    '.wasm',
  );
  // The types of Node leave WebAssembly to the browser's library.
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyModule };
  const { instance } = await WebAssembly.instantiate(await readFile(file), {
    './schema_engine_bg.js': bindings,
  });
  const { __wbg_set_wasm: use } = bindings as unknown as { __wbg_set_wasm: (exported: Exported) => void };
  const { __wbindgen_start: start } = instance.exports;
  use(instance.exports);
  start();
  loaded = true;
}

function migrationList({ directory, migrations }: MigrationFiles): MigrationList {
  return {
    baseDir: directory,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: migrations.map(({ name, sql }) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } },
    })),
  };
}
