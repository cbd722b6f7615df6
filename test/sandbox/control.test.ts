/** The control API, and the sandbox as a whole: started, steered, reset and stopped. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { platforms } from '../../src/sandbox/goods.ts';
import { answerOf } from './channelBench.ts';
import { at, etsyClient, openSandbox, type SandboxBench } from './sandboxBench.ts';
import { openWebhookReceiver } from './webhookReceiver.ts';

async function control(bench: SandboxBench, method: string, path: string, body?: unknown) {
  const response = await fetch(`${bench.sandbox.controlUrl}/_sandbox/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return answerOf(response);
}

test('The state shows every marketplace with what it displays, its counts and its faults', async () => {
  await using bench = await openSandbox();
  bench.sandbox.faults.add({ platform: 'ebay', kind: 'serverError' });
  const { status, body } = await control(bench, 'GET', 'state');
  expect(status).toBe(200);
  for (const platform of platforms) {
    expect(at(body, `platforms.${platform}`)).toMatchObject({
      displayed: { A: 5, B: 3 },
      orders: 0,
      url: bench.sandbox.url(platform),
    });
  }
  expect(at(body, 'faults.0.fault.kind')).toBe('serverError');
});

test('An order is bought, moved through its life, and refused when too few are shown', async () => {
  await using bench = await openSandbox();
  const order = { platform: 'shopify', lines: [{ sku: 'A', quantity: 2 }], paid: false };
  const bought = await control(bench, 'POST', 'orders', order);
  expect([bought.status, at(bought.body, 'order.state')]).toEqual([201, 'pending']);
  const path = `orders/shopify/${String(at(bought.body, 'order.id'))}`;
  const lineId = at(bought.body, 'order.lines.0.id');
  const states: unknown[] = [];
  for (const action of [
    { action: 'pay' },
    { action: 'edit', lineId, quantity: 1 },
    { action: 'ship', carrier: 'USPS' },
    { action: 'deliver' },
    { action: 'refund', lineId, quantity: 1, restock: true },
  ]) {
    states.push(at((await control(bench, 'POST', path, action)).body, 'order.state'));
  }
  expect(states).toEqual(['paid', 'paid', 'shipped', 'delivered', 'delivered']);
  expect(bench.sandbox.displayed('shopify')['A']).toBe(5);
  const tooLate = await control(bench, 'POST', path, { action: 'cancel' });
  expect([tooLate.status, at(tooLate.body, 'error.code')]).toEqual([409, 'conflict']);
  const refused = await control(bench, 'POST', 'orders', {
    platform: 'shopify',
    lines: [{ sku: 'A', quantity: 9 }],
  });
  expect([refused.status, refused.body]).toMatchObject([
    409,
    { error: { code: 'refused', asked: 9, displayed: 5 } },
  ]);
  expect(at((await control(bench, 'GET', 'orders/shopify')).body, 'orders.length')).toBe(1);
});

test('A cancellation restocks only when told to', async () => {
  await using bench = await openSandbox();
  for (const restock of [true, false]) {
    const bought = await control(bench, 'POST', 'orders', {
      platform: 'etsy',
      lines: [{ sku: 'A', quantity: 1 }],
    });
    await control(bench, 'POST', `orders/etsy/${String(at(bought.body, 'order.id'))}`, {
      action: 'cancel',
      restock,
    });
  }
  expect(bench.sandbox.displayed('etsy')['A']).toBe(4);
});

test('An outside edit changes the number at once and is journalled as one', async () => {
  await using bench = await openSandbox();
  expect((await control(bench, 'POST', 'edits', { platform: 'amazon', sku: 'A', quantity: 12 })).status).toBe(
    204,
  );
  expect(bench.sandbox.displayed('amazon')['A']).toBe(12);
  const journal = await control(bench, 'GET', 'journal/amazon');
  expect((at(journal.body, 'changes') as unknown[]).at(-1)).toMatchObject({
    cause: 'outsideEdit',
    from: 5,
    to: 12,
  });
});

test('Faults are added, listed and removed, one by one, by marketplace or all', async () => {
  await using bench = await openSandbox();
  const fault = { platform: 'etsy', kind: 'serverError', operation: 'getMe' };
  const added = await control(bench, 'POST', 'faults', fault);
  expect(added.status).toBe(201);
  expect((await etsyClient(bench.sandbox)('GET', '/v3/application/users/me')).status).toBe(503);
  expect(at((await control(bench, 'GET', 'faults')).body, 'faults.0.hits')).toBe(1);
  const path = `faults/${String(at(added.body, 'id'))}`;
  expect([
    (await control(bench, 'DELETE', path)).status,
    (await control(bench, 'DELETE', path)).status,
  ]).toEqual([204, 404]);
  for (const platform of ['etsy', 'ebay', 'ebay'])
    await control(bench, 'POST', 'faults', { ...fault, platform });
  await control(bench, 'DELETE', 'faults?platform=ebay');
  expect(bench.sandbox.faults.list().map((each) => each.fault.platform)).toEqual(['etsy']);
  await control(bench, 'DELETE', 'faults');
  expect(bench.sandbox.faults.list()).toEqual([]);
});

test('Settings, buyers and webhook targets are changed while running', async () => {
  await using bench = await openSandbox();
  await using receiver = await openWebhookReceiver();
  await control(bench, 'POST', 'settings', { platform: 'amazon', writeEffectMs: { min: 5, max: 5 } });
  expect(bench.sandbox.shops.amazon.settings).toMatchObject({
    writeEffectMs: { min: 5, max: 5 },
    historyMs: 600_000,
  });
  await control(bench, 'POST', 'buyers', { running: true, perMinute: 30 });
  expect([bench.sandbox.buyers.running, bench.sandbox.buyers.options.perMinute]).toEqual([true, 30]);
  await control(bench, 'POST', 'buyers', { running: false });
  expect(bench.sandbox.buyers.running).toBe(false);
  await control(bench, 'POST', 'webhooks', { platform: 'etsy', url: receiver.url });
  await control(bench, 'POST', 'orders', { platform: 'etsy', lines: [{ sku: 'A', quantity: 1 }] });
  expect((await receiver.waitFor(1)).length).toBe(1);
});

test('A reset restores listings under the same ids, and forgets orders, faults and keys', async () => {
  await using bench = await openSandbox();
  const before = bench.sandbox.shops.etsy.listings().map(({ id }) => id);
  await control(bench, 'POST', 'orders', { platform: 'etsy', lines: [{ sku: 'A', quantity: 5 }] });
  bench.sandbox.faults.add({ platform: 'etsy', kind: 'lostAnswer' });
  expect((await control(bench, 'POST', 'reset')).status).toBe(204);
  expect(bench.sandbox.shops.etsy.listings().map(({ id }) => id)).toEqual(before);
  expect(bench.sandbox.displayed('etsy')).toEqual({ A: 5, B: 3 });
  expect([bench.sandbox.shops.etsy.orders.all(), bench.sandbox.faults.list()]).toEqual([[], []]);
});

type WrongCall = {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly expected: readonly [number, string];
};

const line = { sku: 'A', quantity: 1 };

const wrongCalls: readonly WrongCall[] = [
  { name: 'a body that is not JSON', method: 'POST', path: 'orders', expected: [400, 'invalid_json'] },
  {
    name: 'an unknown marketplace',
    method: 'POST',
    path: 'orders',
    body: { platform: 'walmart', lines: [line] },
    expected: [422, 'invalid_input'],
  },
  {
    name: 'a fraction of a unit',
    method: 'POST',
    path: 'orders',
    body: { platform: 'etsy', lines: [{ sku: 'A', quantity: 0.5 }] },
    expected: [422, 'invalid_input'],
  },
  {
    name: 'an unknown SKU',
    method: 'POST',
    path: 'orders',
    body: { platform: 'etsy', lines: [{ sku: 'Z', quantity: 1 }] },
    expected: [404, 'not_found'],
  },
  {
    name: 'a misspelt field',
    method: 'POST',
    path: 'edits',
    body: { platform: 'etsy', sku: 'A', quantity: 1, why: '' },
    expected: [422, 'invalid_input'],
  },
  {
    name: 'an unknown fault',
    method: 'POST',
    path: 'faults',
    body: { platform: 'etsy', kind: 'gremlins' },
    expected: [422, 'invalid_input'],
  },
  {
    name: 'an unknown order',
    method: 'POST',
    path: 'orders/etsy/1',
    body: { action: 'pay' },
    expected: [404, 'not_found'],
  },
  { name: 'an unknown place', method: 'GET', path: 'nowhere', expected: [404, 'not_found'] },
  {
    name: 'the journal of an unknown marketplace',
    method: 'GET',
    path: 'journal/walmart',
    expected: [404, 'not_found'],
  },
];

test.each(wrongCalls)(
  'The control API says clearly what is wrong with $name',
  async ({ method, path, body, expected }) => {
    await using bench = await openSandbox();
    const answer = await control(bench, method, path, body);
    expect([answer.status, at(answer.body, 'error.code')]).toEqual(expected);
    expect(String(at(answer.body, 'error.message')).length).toBeGreaterThan(10);
  },
);

test('Web pages and other host names get no answer from the control API', async () => {
  await using bench = await openSandbox();
  const url = new URL(`${bench.sandbox.controlUrl}/_sandbox/reset`);
  for (const headers of [{ host: 'rebound.example.com' }, { origin: 'https://example.com' }]) {
    const call = request(url, { method: 'POST', headers });
    call.end();
    const [response] = (await once(call, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(403);
  }
});

test('Connections carry what the connectors need, with times in ISO 8601 and strings as credentials', async () => {
  await using bench = await openSandbox();
  for (const platform of platforms) {
    const connection = bench.sandbox.connection(platform);
    expect(connection).toMatchObject({
      platform,
      settings: { apiBaseUrl: bench.sandbox.url(platform), rateScale: 1000 },
    });
    expect(
      Object.values(connection.credentials).every((value) => typeof value === 'string' && value !== ''),
    ).toBe(true);
    expect(connection.credentials['accessTokenExpiresAt']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(JSON.parse(JSON.stringify(connection))).toEqual(connection);
  }
});

test('After a stop nothing listens any more', async () => {
  await using bench = await openSandbox();
  const urls = [
    ...platforms.map((platform) => bench.sandbox.url(platform)),
    String(bench.sandbox.controlUrl),
  ];
  await bench.sandbox.stop();
  for (const url of urls) await expect(fetch(url)).rejects.toThrow('fetch failed');
  expect(bench.sandbox.controlUrl).toBeNull();
});

test('The sandbox runs as a process of its own, prints its connections and ends on SIGTERM', async () => {
  const main = resolve(import.meta.dirname, '../../src/sandbox/main.ts');
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, BUYERS_PER_MINUTE: '600' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8');
  for await (const chunk of child.stdout as AsyncIterable<string>) {
    text += chunk;
    if (text.endsWith('}\n')) break;
  }
  const printed: unknown = JSON.parse(text);
  expect((at(printed, 'connections') as unknown[]).map((connection) => at(connection, 'platform'))).toEqual([
    ...platforms,
  ]);
  expect((await fetch(String(at(printed, 'control')))).status).toBe(200);
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
});

test('A wrong environment variable is named before anything starts', async () => {
  const main = resolve(import.meta.dirname, '../../src/sandbox/main.ts');
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, SANDBOX_ETSY_PORT: 'many' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exit = once(child, 'exit');
  let text = '';
  for await (const chunk of child.stderr) text += String(chunk);
  expect([await exit, text.includes('SANDBOX_ETSY_PORT')]).toEqual([[1, null], true]);
});
