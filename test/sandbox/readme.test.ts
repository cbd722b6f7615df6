/** Holds the sandbox's README to the sandbox: its tables name everything there is, and its recipes run as they stand. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { faultSchema } from '../../src/sandbox/faults.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import { openWebhookReceiver } from './webhookReceiver.ts';

const folder = path.join(import.meta.dirname, '../../src/sandbox');
const readme = await readFile(path.join(folder, 'README.md'), 'utf8');

/** What stands in code marks at the beginning of the rows of one section's table. */
function rowsOf(section: string): string[] {
  const [, text = ''] = readme.split(`\n## ${section}\n`);
  const [own = ''] = text.split('\n## ');
  return [...own.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name);
}

test('the README names every kind of fault with everything that it takes', () => {
  const kinds = faultSchema.options.map((option) => option.shape.kind.value);
  expect(rowsOf('Faults')).toEqual(kinds);
  const common = new Set(['platform', 'operation', 'probability', 'count', 'kind']);
  for (const option of faultSchema.options) {
    const row = readme.split('\n').find((line) => line.startsWith(`| \`${option.shape.kind.value}\` |`));
    for (const name of Object.keys(option.shape).filter((each) => !common.has(each)))
      expect(row).toContain(`\`${name}\``);
  }
});

test('the README names every call of the control API', async () => {
  const source = await readFile(path.join(folder, 'control.ts'), 'utf8');
  const routes = [...source.matchAll(/method: '(\w+)',\s+path: '([^']+)'/g)];
  expect(rowsOf('Control API')).toEqual(routes.map(([, method, route]) => `${method} ${route}`));
});

test('the README names every variable of the sandbox with its default', async () => {
  const source = await readFile(path.join(folder, 'main.ts'), 'utf8');
  const names = [...source.matchAll(/^ {2}([A-Z_]+): (.*),$/gm)];
  const rows = rowsOf('Variables of `npm run sandbox`');
  expect(rows.toSorted()).toEqual(names.map(([, name = '']) => name).toSorted());
  for (const [, name = '', definition = ''] of names) {
    const value = definition === 'port' ? '0' : (/default\((\d+)\)/.exec(definition)?.[1] ?? 'none');
    expect(readme).toContain(`| \`${name}\` | ${value} |`);
  }
});

test('the recipes run one after the other and do what they say', async () => {
  const sandbox = createSandbox();
  await sandbox.start();
  onTestFinished(() => sandbox.stop());
  await using receiver = await openWebhookReceiver();
  const directory = await mkdtemp(path.join(tmpdir(), 'listgenius-recipes-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const env = { ...process.env, CONTROL: `${sandbox.controlUrl}/_sandbox`, HOOK: receiver.url };
  const recipes = [...readme.matchAll(/```sh\n(.*?)```/gs)].map(([, script = '']) => script);
  expect(recipes).toHaveLength(7);
  const run = async (recipe: number): Promise<string> => {
    const script = recipes[recipe] ?? '';
    const { stdout } = await promisify(execFile)('sh', ['-euc', script], { cwd: directory, env });
    return stdout;
  };

  await run(0);
  const { settings, credentials } = JSON.parse(
    await readFile(path.join(directory, 'etsy.json'), 'utf8'),
  ) as ReturnType<typeof sandbox.connection>;
  expect(settings).toEqual(sandbox.connection('etsy').settings);
  const { keystring = '', sharedSecret = '', accessToken = '' } = credentials;
  const headers = { 'x-api-key': `${keystring}:${sharedSecret}`, authorization: `Bearer ${accessToken}` };
  expect((await fetch(`${sandbox.url('etsy')}/v3/application/users/me`, { headers })).status).toBe(200);

  await run(1);
  const [order, state] = (await run(2)).split(/(?<=\})(?=\{)/).map((text) => JSON.parse(text) as unknown);
  expect(order).toMatchObject({ order: { state: 'paid', lines: [{ sku: 'MUG-BLUE', ordered: 2 }] } });
  expect(state).toMatchObject({ platforms: { etsy: { displayed: { 'MUG-BLUE': 40 }, orders: 1 } } });
  const [delivery] = await receiver.waitFor(1);
  expect(delivery?.body).toMatchObject({ event_type: 'order.paid' });

  await run(3);
  expect(sandbox.displayed('shopify')['MUG-BLUE']).toBe(99);

  await run(4);
  expect(sandbox.faults.list().map(({ fault }) => fault)).toMatchObject([
    { platform: 'etsy', kind: 'webhookLost', probability: 0.5 },
    { platform: 'amazon', kind: 'lostAnswer', operation: 'patchListingsItem', count: 3 },
  ]);
  await run(5);
  expect(sandbox.faults.list()).toEqual([]);

  await run(6);
  expect(sandbox.displayed('shopify')['MUG-BLUE']).toBe(42);
  expect(sandbox.shops.etsy.orders.all()).toEqual([]);
});
