/** A whole installation stops gracefully under load, and starts again after that and after being killed, with nothing lost. */
import { cp, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { print } from 'graphql';
import { expect, onTestFinished, test } from 'vitest';
import type * as Files from '../../src/embeddedPostgresFiles.ts';
import { freePort } from '../support/network.ts';
import { postGraphql, startProduct, testLog } from '../support/product.ts';
import { subscribe } from '../support/subscriber.ts';
import { waitFor } from '../support/waiting.ts';
import { orderCount, orderStream, stockStream } from './operations.ts';
import { checkoutDirectory, type ProductProcess, startProcess } from './processes.ts';

const key = 'demo-key-of-the-stopping-test';

type Installation = {
  /** Below it is the installation's own database. */
  readonly home: string;
  start(): Promise<ProductProcess>;
};

/** A copy of the checkout, so that its embedded database is nobody else's. */
async function install(): Promise<Installation> {
  const checkout = await mkdtemp('/tmp/listgenius-stopping-');
  onTestFinished(() => rm(checkout, { recursive: true, force: true }));
  for (const name of ['src', 'prisma', '.generated', 'package.json', 'schema.graphql'])
    await cp(path.join(checkoutDirectory, name), path.join(checkout, name), { recursive: true });
  await symlink(path.join(checkoutDirectory, 'node_modules'), path.join(checkout, 'node_modules'));
  const files = (await import(path.join(checkout, 'src', 'embeddedPostgresFiles.ts'))) as typeof Files;
  const home = await files.serverHome(files.serverUser(testLog()));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const environment = {
    PORT: String(await freePort()),
    DEMO_API_KEY: key,
    BUYERS_PER_MINUTE: '600',
    LOG_LEVEL: 'info',
  };
  return {
    home,
    async start() {
      const started = await startProcess({ role: 'all', environment, checkout });
      onTestFinished(async () => {
        if (started.running) await started.end('SIGKILL');
      });
      return started;
    },
  };
}

/** The command lines that name the installation's home: its database server and whatever that started. Linux only. */
async function processesOf(home: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return commands.filter((command) => command.includes(home));
}

async function countOrders(url: string): Promise<number> {
  return (await postGraphql(url, key, orderCount, {})).orders.totalCount ?? 0;
}

function orderIdOf(event: object): string {
  return String((event as { platformOrderId?: string }).platformOrderId);
}

/** A stream of server-sent events; resolves when it is over, with the number of events it got. */
async function readEventStream(
  url: string,
): Promise<{ readonly first: Promise<unknown>; readonly over: Promise<number> }> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: `Bearer ${key}`,
    },
    body: JSON.stringify({ query: print(stockStream) }),
  });
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const first = Promise.withResolvers<unknown>();
  const read = async (): Promise<number> => {
    let text = '';
    try {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        if (text.includes('event: next')) first.resolve(null);
      }
    } catch {
      // Cut, as it should be: a stream that was completed would not be resumed by its client.
    }
    expect(text).not.toContain('event: complete');
    return text.split('event: next').length - 1;
  };
  return { first: first.promise, over: read() };
}

test('SIGTERM under load ends within 10 s, closes sockets with 1001 and leaves no process; the next start goes on, also after kill -9', async () => {
  const installation = await install();
  const one = await installation.start();
  const control = one.lines.map((line) => /control API +(\S+)/.exec(line)?.[1]).find(Boolean);
  expect((await fetch(control ?? '')).status).toBe(200);
  await using orders = await subscribe({ url: one.url, key, document: orderStream });
  await using stock = await subscribe({ url: one.url, key, document: stockStream });
  const sse = await readEventStream(one.url);
  await sse.first;
  await waitFor(() => orders.events().length > 40, { timeoutMs: 20_000, what: 'load' });

  const { code, tookMs } = await one.end('SIGTERM');
  expect(one.lines.filter((line) => /"level":"(?:error|fatal)"/.test(line))).toEqual([]);
  expect(code).toBe(0);
  expect(tookMs).toBeLessThan(10_000);
  for (const subscriber of [orders, stock]) {
    await waitFor(() => subscriber.closes.length > 0);
    expect(subscriber.closes).toMatchObject([{ code: 1001 }]);
    expect(subscriber.completed).toBe(false);
  }
  expect(await sse.over).toBeGreaterThan(0);
  await waitFor(async () => (await processesOf(installation.home)).length === 0, {
    what: 'the database to be gone',
  });
  const seen = orders.events().length;

  const two = await installation.start();
  expect(await countOrders(two.url)).toBeGreaterThanOrEqual(new Set(orders.events().map(orderIdOf)).size);
  await orders.resume();
  await waitFor(() => orders.events().length > seen + 20, { timeoutMs: 20_000, what: 'the load to go on' });
  expect(orders.envelopes.filter(({ __typename }) => __typename === 'Gap')).toEqual([]);
  const cursors = orders.events().map((event) => (event as { cursor?: string }).cursor);
  expect(new Set(cursors).size).toBe(cursors.length);

  const before = await countOrders(two.url);
  expect((await two.end('SIGKILL')).code).toBeNull();
  const three = await installation.start();
  expect(await countOrders(three.url)).toBeGreaterThanOrEqual(before);
  const resumed = orders.events().length;
  await orders.resume();
  await waitFor(() => orders.events().length > resumed + 20, {
    timeoutMs: 20_000,
    what: 'the load to go on after the kill',
  });
  expect((await three.end('SIGTERM')).code).toBe(0);
  await waitFor(async () => (await processesOf(installation.home)).length === 0, {
    what: 'the database to be gone',
  });
}, 120_000);

test('a marketplace that does not answer cannot keep the product from stopping in time', async () => {
  await using product = await startProduct({ environment: { CHANNEL_DEADLINE_MS: '60000' } });
  const silence = { min: 60_000, max: 60_000 };
  product.sandbox.faults.add({
    platform: 'amazon',
    kind: 'latency',
    operation: 'getOrder',
    delayMs: silence,
  });
  product.sandbox.faults.add({
    platform: 'ebay',
    kind: 'latency',
    operation: 'bulkUpdatePriceQuantity',
    delayMs: silence,
  });
  product.buy('amazon', 'MUG');
  product.buy('etsy', 'MUG');
  await waitFor(async () => {
    const { rows } = await product.db.query(
      "SELECT 1 FROM listing_writes WHERE state = 'sent' AND connection_id = $1",
      [product.connections.ebay],
    );
    return rows.length === 1;
  });
  await waitFor(
    async () =>
      (await product.db.query("SELECT 1 FROM webhook_deliveries WHERE topic = 'ORDER_CHANGE'")).rows
        .length === 1,
  );
  const from = performance.now();
  await product.app.stop();
  expect(performance.now() - from).toBeLessThan(10_000);
});
