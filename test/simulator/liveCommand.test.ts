/** One live run that goes wrong costs the others nothing, no database is left behind, and nothing is told that was not measured. */
import { execFile } from 'node:child_process';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/log.ts';
import { reportOf, runSeeds } from '../../src/simulator/liveCommand.ts';
import { readLiveCommand } from '../../src/simulator/liveCommandLine.ts';
import { openDatabases } from '../../src/simulator/liveDatabases.ts';
import type { LiveResult } from '../../src/simulator/liveRun.ts';
import { createDatabase } from '../support/database.ts';

const held = (seed: number): LiveResult => ({
  seed,
  totals: { buyers: 30, sold: 18, oversold: 0, turnedAway: 2 },
  writes: 40,
  breaches: [],
  errors: [],
  timeline: [],
  facts: null,
});

test('a run that throws, or has no database, is a failed run among the others, and every database is dropped', async () => {
  const command = readLiveCommand(['--live', '--runs', '4', '--workers', '2']);
  const [dropped, told]: [string[], string[]] = [[], []];
  let made = 0;
  const databases = {
    async make() {
      made += 1;
      if (made === 3) throw new Error('the disk is full');
      return `database ${made}`;
    },
    async drop(databaseUrl: string) {
      dropped.push(databaseUrl);
      if (databaseUrl === 'database 1') throw new Error('somebody uses it');
    },
  };
  const results = await runSeeds(
    command,
    databases,
    (text) => void told.push(text),
    async ({ seed }) => {
      if (seed === 2) throw new Error('out of memory');
      return held(seed);
    },
  );
  expect(results.map(({ seed }) => seed)).toEqual([1, 2, 3, 4]);
  expect(results.map(({ breaches }) => breaches)).toEqual([
    [],
    ['it could not be run: Error: out of memory'],
    ['it could not be run: Error: the disk is full'],
    [],
  ]);
  expect(dropped.toSorted()).toEqual(['database 1', 'database 2', 'database 4']);
  expect(told.join('')).toContain('seed 1: its database was left behind: Error: somebody uses it');
  expect(told.join('')).toContain('seed 4: 30 buyers, 18 sold');
});

test('a template that cannot be migrated is not left behind', async () => {
  await using server = await createDatabase({ empty: true });
  let template = '';
  const opening = openDatabases({ DATABASE_URL: server.url }, silentLog(), (databaseUrl) => {
    template = new URL(databaseUrl).pathname.slice(1);
    throw new Error('a migration failed');
  });
  await expect(opening).rejects.toThrow('a migration failed');
  expect(template).toMatch(/^simulate_/);
  const client = new Client({ connectionString: server.url });
  await client.connect();
  try {
    const { rows } = await client.query('SELECT FROM pg_database WHERE datname = $1', [template]);
    expect(rows).toEqual([]);
  } finally {
    await client.end();
  }
});

test('the report sets the checked model beside the runs, and says nothing of what only one of them measures', () => {
  const command = readLiveCommand(['--live']);
  const broken = { ...held(2), breaches: ['S5: etsy shows 1'] };
  const { live, pure } = reportOf(command, [held(1), broken]);
  expect(Object.keys(live)).toEqual(Object.keys(pure));
  expect(Object.keys(live)).not.toContain('reads');
  expect(live).toMatchObject({
    runs: 2,
    failed: 1,
    writes: 80,
    failures: [{ seed: 2, message: 'S5: etsy shows 1' }],
  });
  expect(pure).toMatchObject({ runs: 2, failed: 0, failures: [] });
});

test('more than Etsy shows is refused, and a wrong word after --live is answered with the words of that mode', async () => {
  expect(() => readLiveCommand(['--live', '--stock', '1000'])).toThrow('from 1 to 999');
  expect(() => readLiveCommand(['--live', '--stock', '999', '--restock', '1'])).toThrow(
    '--stock and --restock are at most 999 together: Etsy shows no more',
  );
  expect(readLiveCommand(['--live', '--stock', '999', '--restock', '0']).world.stock).toBe(999);
  const words = ['src/simulator/main.ts', '--live', '--policy', 'shadow'];
  const { code, said } = await new Promise<{ code: unknown; said: string }>((resolve) => {
    execFile(process.execPath, words, (error, _, stderr) => resolve({ code: error?.code, said: stderr }));
  });
  expect(code).toBe(2);
  expect(said).toContain('--protection NAME');
  expect(said).not.toContain('--violation NAME');
});
