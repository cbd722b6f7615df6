/**
 * Time from a signed webhook to the subscriber's message at a steady rate of sales, beside the least that could do it, and beside the least that could do
 * it with the order's own statement.
 * Five processes share the processors: PostgreSQL, the product, the floor, the sender with the subscriber, and the marketplaces.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import { webhookPath } from '../src/webhooks.ts';
import { connectShop } from './connectedShop.ts';
import { type Bench, type Benchmark, compareAt, inTurns, quantile, type Result, rounded } from './harness.ts';
import type { MarketplaceConnection } from './marketplaces.ts';
import { type Child, type Product, startChild, startProduct } from './processes.ts';
import type { Side, WebhookRoundAnswer, WebhookTargets } from './webhookLoad.ts';

const items = 1_000;
const onHand = 900;
const perSecond = 100;
/** Longer than a call to a channel takes. */
const pauseMs = 500;
/** What was held up while the other side was measured is worked off by then. */
const runInSeconds = 2;

export const webhookLatency: Benchmark = {
  letter: 'b',
  title: 'webhook to subscriber',
  async run(bench) {
    const databaseUrl = await bench.newDatabase('webhooks');
    const marketplaces = startChild('marketplaces.ts');
    const floor = startChild('webhookFloor.ts');
    const load = startChild('webhookLoad.ts');
    const pool = new Pool({ connectionString: databaseUrl, max: 1 });
    let product: Product | undefined;
    try {
      const connections = await marketplaces.call<readonly MarketplaceConnection[]>('start', {
        items,
        onHand,
      });
      const secretsKey = randomBytes(32);
      const shop = await connectShop({ databaseUrl, secretsKey, marketplaces: connections, items, onHand });
      product = await startProduct({
        DATABASE_URL: databaseUrl,
        SECRETS_KEY: secretsKey.toString('base64'),
      });
      const shopify = connections.find(({ platform }) => platform === 'shopify');
      const { accountId } = shop;
      const connectionId = shop.connectionIds.shopify ?? '';
      const targets: WebhookTargets = {
        product: {
          url: product.url,
          webhookPath: webhookPath('shopify', connectionId),
          apiKey: shop.apiKey,
        },
        floor: {
          url: await floor.call<string>('start', {
            databaseUrl,
            poolMax: 10,
            shop: { accountId, connectionId },
          }),
        },
        shopDomain: String(shopify?.settings['shopDomain']),
        clientSecret: String(shopify?.credentials['clientSecret']),
        items,
      };
      await load.call('subscribe', targets);
      return await measure(bench, pool, load);
    } finally {
      await pool.end();
      await Promise.all([load.stop(), product?.stop()]);
      await Promise.all([floor.stop(), marketplaces.stop()]);
    }
  },
};

async function measure(bench: Bench, pool: Pool, load: Child): Promise<readonly Result[]> {
  const seconds = bench.quick ? 3 : 5;
  const problems: string[] = [];
  let latestMs = 0;
  const round = (side: Side) => async (): Promise<readonly number[]> => {
    await setConnections(pool, side === 'product' ? 'active' : 'paused');
    const answer = await load.call<WebhookRoundAnswer>('round', { side, perSecond, runInSeconds, seconds });
    if (answer.lost > 0 || answer.refused > 0)
      problems.push(`${side}: ${answer.lost} without a message, ${answer.refused} refused`);
    latestMs = Math.max(latestMs, answer.latestMs);
    bench.say(`${side}: ${answer.latencies.length} orders`);
    return answer.latencies;
  };
  const rounds = bench.quick ? 2 : 5;
  const turns = await inTurns(rounds, { product: round('product'), floor: round('floor') });
  const least = await inTurns(rounds, { product: round('statement'), floor: round('floor') });
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const notes = [
    `${perSecond} sales per second, ${turns.product.flat().length} in ${turns.product.length} rounds; pushes to four channels go on; the first ${runInSeconds} s of each round do not count`,
    `the sender was at most ${Math.round(latestMs)} ms late; all processes share this machine's processors`,
  ];
  const compared = (name: string, share: number): Result => {
    const [whole, floor] = [quantile(least.product.flat(), share), quantile(least.floor.flat(), share)];
    const bare = `the floor's server with the order's own statement, no pushes beside it: ${rounded(whole)} ms, ${rounded(whole / floor)} times the floor`;
    return compareAt(share, { name, unit: 'ms', limit: 3, bound: 'atMost', notes: [...notes, bare] }, turns);
  };
  return [compared('webhook.p50', 0.5), compared('webhook.p99', 0.99)];
}

/** While the floor is measured the product must not write to channels; what its last sales changed would go on for minutes. */
async function setConnections(pool: Pool, status: 'active' | 'paused'): Promise<void> {
  await pool.query('UPDATE connections SET status = $1::connection_status', [status]);
  await delay(pauseMs);
}
