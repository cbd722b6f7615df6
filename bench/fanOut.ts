/** Stock changes told to a thousand subscribers of one account, beside a bare broadcast of the same bytes. */
import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { createApiKey } from '../src/apiKeys.ts';
import { inTransaction } from '../src/db.ts';
import { scopes } from '../src/schema/scopes.ts';
import { adjust } from '../src/sync/ledger.ts';
import { systemActor } from '../src/sync/outcome.ts';
import type { FanOutAnswer, FanOutOpening } from './fanOutClients.ts';
import { type Bench, type Benchmark, compare, inTurns, type Result, rounded } from './harness.ts';
import { type Child, type Product, startChild, startProduct } from './processes.ts';
import { fillShop, itemId } from './shopData.ts';

const subscribers = 1_000;
/** No limit was given: a GraphQL result per message, made once and written out a thousand times, may cost three sends of finished bytes. */
const limit = 0.3;

export const fanOut: Benchmark = {
  letter: 'c',
  title: 'one stock change to 1,000 subscribers',
  async run(bench) {
    const databaseUrl = await bench.newDatabase('fan_out');
    const floor = startChild('fanOutFloor.ts');
    const clients = startChild('fanOutClients.ts');
    const pool = new Pool({ connectionString: databaseUrl, max: 2 });
    let product: Product | undefined;
    try {
      const client = await pool.connect();
      const size = { items: 1_000, listedEvery: 1, movementsPerItem: 1, ordersPerItem: 0 };
      const { accountId } = await fillShop(client, size);
      client.release();
      const { key: apiKey } = await createApiKey(pool, { accountId, name: 'Bench', scopes, expiresAt: null });
      product = await startProduct({
        DATABASE_URL: databaseUrl,
        SECRETS_KEY: Buffer.alloc(32).toString('base64'),
        // The channels of this shop lead nowhere: only the events count here.
        ...quietWork,
      });
      const url = `${product.url.replace('http', 'ws')}/graphql`;
      const openings: readonly FanOutOpening[] = [
        { url, apiKey, clients: subscribers },
        { url: await floor.call<string>('start'), apiKey: null, clients: subscribers },
      ];
      for (const opening of openings) await clients.call('open', opening);
      return [await measure(bench, pool, accountId, { floor, clients })];
    } finally {
      await pool.end();
      await Promise.all([floor.stop(), clients.stop(), product?.stop()]);
    }
  },
};

const quietWork = { POLL_INTERVAL_MS: '86400000' };

async function measure(
  bench: Bench,
  pool: Pool,
  accountId: string,
  { floor, clients }: { readonly floor: Child; readonly clients: Child },
): Promise<Result> {
  const changes = bench.quick ? 20 : 100;
  let frames: readonly string[] = [];
  const busiest = { product: 0, floor: 0 };
  const received = async (side: 'product' | 'floor'): Promise<number> => {
    const answer = await clients.call<FanOutAnswer>('received');
    if (answer.incomplete > 0)
      throw new Error(`${side}: ${answer.incomplete} of ${subscribers} subscribers missed something`);
    frames = answer.frames;
    busiest[side] = Math.max(busiest[side], answer.utilization);
    return answer.perSecond;
  };
  const turns = await inTurns(bench.quick ? 3 : 7, {
    async product() {
      await clients.call('expect', { side: 'product', messages: changes });
      await changeStock(pool, accountId, changes);
      return received('product');
    },
    async floor() {
      await clients.call('expect', { side: 'floor', messages: changes });
      const sent = floor.call('broadcast', frames);
      const rate = await received('floor');
      await sent;
      return rate;
    },
  });
  const notes = [
    `${changes} changes to ${subscribers} sockets per round, ${frames[0]?.length ?? 0} bytes each; every subscriber got every change in order`,
    `the clients' process was at most ${rounded(busiest.product * 100)} % busy with the product and ${rounded(busiest.floor * 100)} % with the floor: near 100 it holds that side back`,
  ];
  return compare({ name: 'fanOut.deliveries', unit: 'deliveries/s', limit, bound: 'atLeast', notes }, turns);
}

/** So many changes that become visible at once: from then on nothing but telling is left to do. */
async function changeStock(pool: Pool, accountId: string, count: number): Promise<void> {
  await inTransaction(pool, async (client) => {
    for (let item = 0; item < count; item++) {
      await adjust(client, {
        accountId,
        itemId: itemId(item),
        onHandDelta: 1,
        idempotencyKey: randomUUID(),
        kind: 'adjustment',
        reason: 'received',
        reference: null,
        actor: systemActor,
      });
    }
  });
}
