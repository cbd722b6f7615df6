/** Generates the Prisma client and the Pothos types into `.generated`, without a network. Runs after every install. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const schema = path.join(root, 'prisma', 'schema.prisma');

// `prisma generate` insists on a native schema engine that it does not use; naming any existing file stops the download.
const environment = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: schema, PRISMA_HIDE_UPDATE_MESSAGE: '1' };
const prisma = path.join(root, 'node_modules', 'prisma', 'build', 'index.js');

if (!existsSync(prisma)) throw new Error('prisma is not installed: run npm ci');
const result = spawnSync(process.execPath, [prisma, 'generate', '--no-hints'], {
  cwd: root,
  env: environment,
  encoding: 'utf8',
});
if (result.status !== 0) {
  process.stderr.write(`${result.stdout}\n${result.stderr}\n`);
  process.exit(result.status ?? 1);
}
