/** The memory of the server's process: after minutes of the demo, and with subscribers that have stopped reading. */
import { randomBytes } from 'node:crypto';
import {
  absolute,
  type Bench,
  type Benchmark,
  type Limit,
  median,
  quantile,
  type Result,
} from './harness.ts';
import { sampleMemory, subscribe } from './observation.ts';
import { startProduct } from './processes.ts';
import { stalledSubscribers } from './stalledSubscribers.ts';

export const memory: Benchmark = {
  letter: 'e',
  title: 'memory of the server',
  run: async (bench) => [await demo(bench), ...(await stalledSubscribers(bench))],
};

async function demo(bench: Bench): Promise<Result> {
  const apiKey = `bench-${randomBytes(12).toString('hex')}`;
  const product = await startProduct({
    DATABASE_URL: await bench.newDatabase('demo'),
    SECRETS_KEY: randomBytes(32).toString('base64'),
    DEMO: 'on',
    DEMO_API_KEY: apiKey,
  });
  let events = 0;
  const queries = [
    'subscription { orderEvents { ... on OrderEvent { cursor platformOrderId order { customerName } } } }',
    'subscription { stockEvents { ... on StockEvent { cursor sku available } } }',
  ];
  const watching = queries.map((query) =>
    subscribe(product, apiKey, query, () => {
      events++;
    }),
  );
  try {
    const samples = await sampleMemory(product.pid, bench.minutes * 60);
    if (events === 0) throw new Error('the demo sold nothing: this measured nothing');
    const last = samples.slice(-60);
    const limit: Limit = {
      name: 'memory.demo',
      unit: 'MB',
      limit: 350,
      bound: 'atMost',
      notes: [
        `highest of the last minute after ${bench.minutes} minutes; ${events} events told to two subscribers`,
        `median of the first minute ${Math.round(median(samples.slice(0, 60)))} MB, highest of all ${Math.round(quantile(samples, 1))} MB`,
      ],
    };
    return absolute(limit, Math.max(...last), last);
  } finally {
    for (const client of watching) await client.dispose();
    await product.stop();
  }
}
