/** Runs the benchmarks on a PostgreSQL of their own, as durable as production, and fails when one misses its limit. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../src/embeddedPostgres.ts';
import { createLog } from '../src/log.ts';
import { migrate } from '../src/migrate.ts';
import { catalogueSize } from './catalogueSize.ts';
import { fanOut } from './fanOut.ts';
import { guardedOrders } from './guardedOrders.ts';
import type { Bench, Benchmark, Result } from './harness.ts';
import { memory } from './memory.ts';
import { orderThroughput } from './orderThroughput.ts';
import { table } from './table.ts';
import { webhookLatency } from './webhookLatency.ts';

const benchmarks: readonly Benchmark[] = [
  orderThroughput,
  webhookLatency,
  fanOut,
  catalogueSize,
  memory,
  guardedOrders,
];

const usage = `npm run bench -- [--json] [--only a,c] [--quick] [--minutes 10]
${benchmarks.map(({ letter, title }) => `  ${letter}  ${title}`).join('\n')}
`;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    minutes: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(usage);
} else {
  process.exitCode = await runAll(chosen(values.only));
}

function chosen(only: string | undefined): readonly Benchmark[] {
  if (only === undefined) return benchmarks;
  const letters = only.split(',').map((letter) => letter.trim());
  const known = benchmarks.filter(({ letter }) => letters.includes(letter));
  if (known.length !== letters.length) throw new Error(`--only takes letters of:\n${usage}`);
  return known;
}

/** Answers the process's exit code. */
async function runAll(wanted: readonly Benchmark[]): Promise<number> {
  const postgres = await startEmbeddedPostgres({
    purpose: 'bench',
    temporary: true,
    log: createLog({ level: 'warn', destination: process.stderr }),
  });
  const bench: Bench = {
    quick: values.quick,
    minutes: Number(values.minutes ?? (values.quick ? 0.5 : 10)),
    newDatabase: (name) => newDatabase(postgres.url, name),
    say: (text) => void process.stderr.write(`  ${text}\n`),
  };
  const results: Result[] = [];
  try {
    for (const { letter, title, run } of wanted) {
      process.stderr.write(`${letter}  ${title}\n`);
      results.push(...(await run(bench)));
    }
  } finally {
    await postgres.stop();
  }
  const ok = results.every((result) => result.ok);
  const report = { ok, quick: values.quick, machine: machine(), results };
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : table(results));
  return ok ? 0 : 1;
}

async function newDatabase(server: string, name: string): Promise<string> {
  const client = new Client({ connectionString: server });
  await client.connect();
  // Connections of an earlier benchmark have ended; a run that was killed leaves its database to the next, which starts empty.
  await client.query(`DROP DATABASE IF EXISTS bench_${name} WITH (FORCE)`);
  await client.query(`CREATE DATABASE bench_${name}`);
  await client.end();
  const url = new URL(server);
  url.pathname = `bench_${name}`;
  await migrate(url.href);
  return url.href;
}

function machine() {
  return {
    processors: availableParallelism(),
    model: cpus()[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    node: process.version,
    // Whatever else ran meanwhile shows here.
    load: loadavg(),
  };
}
