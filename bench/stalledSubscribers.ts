/** Two servers on one event log, told the same: one of them also has subscribers that never read. Neither may grow, nobody else may wait. */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import { createApiKey } from '../src/apiKeys.ts';
import { scopes } from '../src/schema/scopes.ts';
import { adjust } from '../src/sync/ledger.ts';
import { systemActor } from '../src/sync/outcome.ts';
import { absolute, type Bench, median, type Result } from './harness.ts';
import { residentMegabytes, subscribe } from './observation.ts';
import { type Product, startProduct } from './processes.ts';
import { openStalledSocket } from './stalledSocket.ts';

const stalled = 20;
const healthy = 5;
const changesPerSecond = 100;
/** An item with a name so long that a stream of a few seconds fills every buffer between the server and a client that does not read. */
const longSku = `LONG-${'x'.repeat(1_900)}`;
const query = `subscription { stockEvents { ... on StockEvent { cursor seq ${Array.from({ length: 8 }, (_, index) => `sku${index}: sku`).join(' ')} } } }`;
const arrivalTimeoutMs = 20_000;

type Observed = {
  readonly product: Product;
  /** Changes that each of the healthy subscribers was told of. */
  readonly counts: number[];
  readonly samples: number[];
  /** Resolves when all its healthy subscriptions are open. */
  readonly ready: Promise<unknown>;
};

export async function stalledSubscribers(bench: Bench): Promise<readonly Result[]> {
  const databaseUrl = await bench.newDatabase('stalled');
  const pool = new Pool({ connectionString: databaseUrl, max: 2 });
  const products: Product[] = [];
  const closing: (() => unknown)[] = [];
  try {
    const { accountId, itemId, apiKey } = await longItem(pool, databaseUrl);
    const open = async (): Promise<Observed> => {
      const product = await startProduct({
        DATABASE_URL: databaseUrl,
        SECRETS_KEY: Buffer.alloc(32).toString('base64'),
      });
      products.push(product);
      const counts = Array.from({ length: healthy }, () => 0);
      const ready: Promise<unknown>[] = [];
      for (const index of counts.keys()) {
        const client = subscribe(product, apiKey, query, (data) => {
          const { seq } = (data as { stockEvents: { seq?: number } }).stockEvents;
          if (seq !== undefined) counts[index] = (counts[index] ?? 0) + 1;
        });
        ready.push(client.iterate({ query: '{ __typename }' }).next());
        closing.push(() => client.dispose());
      }
      return { product, counts, samples: [], ready: Promise.all(ready) };
    };
    const [control, tried] = [await open(), await open()];
    const url = new URL('/graphql', tried.product.url);
    const sockets = await Promise.all(
      Array.from({ length: stalled }, () => openStalledSocket(url, apiKey, query)),
    );
    closing.push(() => sockets.forEach((socket) => socket.close()));
    await Promise.all([control, tried].map(({ ready }) => ready));
    const made = await changeStock(pool, { accountId, itemId }, bench.quick ? 20 : 60, [control, tried]);
    await arrived([control, tried], made);
    const stillOpen = sockets.filter((socket) => socket.isOpen()).length;
    return results(control, tried, made, stillOpen);
  } finally {
    await Promise.all(closing.map((close) => close()));
    await Promise.all(products.map((product) => product.stop()));
    await pool.end();
  }
}

async function longItem(pool: Pool, databaseUrl: string) {
  const account = await pool.query<{ id: string }>(`INSERT INTO accounts (name) VALUES ($1) RETURNING id`, [
    `Bench ${new URL(databaseUrl).pathname}`,
  ]);
  const accountId = account.rows[0]?.id ?? '';
  const item = await pool.query<{ id: string }>(
    `INSERT INTO inventory_items (account_id, sku, title) VALUES ($1, $2, 'Long') RETURNING id`,
    [accountId, longSku],
  );
  const key = `bench-${randomBytes(12).toString('hex')}`;
  const { key: apiKey } = await createApiKey(pool, {
    accountId,
    name: 'Bench',
    scopes,
    expiresAt: null,
    key,
  });
  return { accountId, itemId: item.rows[0]?.id ?? '', apiKey };
}

/** One change after the other at a steady rate, with a look at both servers' memory every second. Answers how many were made. */
async function changeStock(
  pool: Pool,
  { accountId, itemId }: { readonly accountId: string; readonly itemId: string },
  seconds: number,
  observed: readonly Observed[],
): Promise<number> {
  const startedAt = performance.now();
  const count = seconds * changesPerSecond;
  for (let made = 0; made < count; made++) {
    await delay(Math.max(0, startedAt + (made * 1_000) / changesPerSecond - performance.now()));
    await adjust(pool, {
      accountId,
      itemId,
      onHandDelta: 1,
      idempotencyKey: randomUUID(),
      kind: 'adjustment',
      reason: 'received',
      reference: null,
      actor: systemActor,
    });
    if (made % changesPerSecond === 0) {
      for (const { product, samples } of observed) samples.push(await residentMegabytes(product.pid));
    }
  }
  return count;
}

async function arrived(observed: readonly Observed[], made: number): Promise<void> {
  const missing = () => observed.flatMap(({ counts }) => counts).filter((count) => count < made);
  for (const deadline = Date.now() + arrivalTimeoutMs; missing().length > 0 && Date.now() < deadline; )
    await delay(50);
  if (missing().length > 0)
    throw new Error(`subscribers that read got ${missing().join(', ')} of ${made} changes`);
}

function results(control: Observed, tried: Observed, made: number, stillOpen: number): readonly Result[] {
  const lastThird = ({ samples }: Observed) => samples.slice(-Math.ceil(samples.length / 3));
  const pairs = lastThird(tried).map((value, index) => value / (lastThird(control)[index] ?? Number.NaN));
  const [value, floor] = [median(lastThird(tried)), median(lastThird(control))];
  const ratio = value / floor;
  const notes = [
    `${stalled} subscribers that never read and ${healthy} that do, beside ${healthy} alone; ${made} changes of 16 KB each`,
    `all ${2 * healthy} that read got all ${made}; ${stillOpen} of the others were still connected at the end`,
  ];
  const limit = { name: 'memory.stalled', unit: 'MB', limit: 1.15, bound: 'atMost', notes } as const;
  return [{ ...absolute(limit, ratio, pairs), value, floor, ratio }];
}
