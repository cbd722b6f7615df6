/** What one order and one page of a list cost in a small and in a very large shop: every lookup is by index, so it must be nearly the same. */
import { Client, Pool } from 'pg';
import { applyOrder, type OrderSource } from '../src/sync/orders.ts';
import { type Bench, type Benchmark, compare, inTurns, median, type Result } from './harness.ts';
import { measureLists } from './listPlans.ts';
import { fillShop, type ShopData, type ShopSize, sku } from './shopData.ts';
import { newOrder } from './shopifyOrders.ts';

const smallItems = 1_000;
const largeItems = 1_000_000;
const quickItems = 100_000;
/** Every fifth item has four listings, and orders are for those: the same work at every size. */
const listedEvery = 5;

export const catalogueSize: Benchmark = {
  letter: 'd',
  title: 'cost of orders and lists by size of the shop',
  async run(bench) {
    const large = bench.quick ? quickItems : largeItems;
    const shops = [await openShop(bench, large), await openShop(bench, smallItems)] as const;
    try {
      const results: Result[] = [];
      for (const clients of [1, 8]) results.push(await measure(bench, shops, clients));
      results.push(...(await measureLists(bench, ...shops)));
      return results;
    } finally {
      await Promise.all(shops.map(({ pool }) => pool.end()));
    }
  },
};

type OpenShop = {
  readonly url: string;
  readonly accountId: string;
  readonly items: number;
  readonly pool: Pool;
  readonly shop: ShopData;
};

async function openShop(bench: Bench, items: number): Promise<OpenShop> {
  const size: ShopSize = { items, listedEvery, movementsPerItem: 10, ordersPerItem: 0.5 };
  const url = await bench.newDatabase(`catalogue_${items}`);
  const client = new Client({ connectionString: url });
  await client.connect();
  const startedAt = performance.now();
  const shop = await fillShop(client, size);
  await client.end();
  bench.say(`loaded ${items} items in ${Math.round((performance.now() - startedAt) / 1_000)} s`);
  return { url, accountId: shop.accountId, items, shop, pool: new Pool({ connectionString: url, max: 8 }) };
}

async function measure(
  bench: Bench,
  [large, small]: readonly [OpenShop, OpenShop],
  clients: number,
): Promise<Result> {
  const perClient = bench.quick ? 100 : 400;
  const round = (shop: OpenShop) => async () => median(await applyOrders(shop, clients, perClient));
  const turns = await inTurns(bench.quick ? 3 : 9, { product: round(large), floor: round(small) });
  const label = `${large.items.toLocaleString('en')} items`;
  const notes = [
    `median per order with ${label} against ${smallItems.toLocaleString('en')}; ${clients} at once`,
  ];
  return compare(
    { name: `catalogue.order.${clients}`, unit: 'ms', limit: 1.3, bound: 'atMost', notes },
    turns,
  );
}

/** Milliseconds of each order. */
async function applyOrders(
  { items, pool, shop }: OpenShop,
  clients: number,
  perClient: number,
): Promise<number[]> {
  const connection = shop.connections.find(({ platform }) => platform === 'shopify');
  if (connection === undefined) throw new Error('the shop has no Shopify');
  const { id: connectionId, accountId, platform } = connection;
  const listed = Math.floor(items / listedEvery);
  const taken: number[] = [];
  const client = async (): Promise<void> => {
    for (let count = 0; count < perClient; count++) {
      const order = newOrder(sku(Math.floor(Math.random() * listed) * listedEvery));
      const source: OrderSource = {
        accountId,
        connectionId,
        platform,
        observedAt: order.updatedAt,
        deliveryId: null,
      };
      const startedAt = performance.now();
      const effect = await applyOrder(pool, source, order);
      taken.push(performance.now() - startedAt);
      if (effect.connectionIds.length !== 4 || effect.unmatchedLines > 0)
        throw new Error('an order did not move its four listings: this measured nothing');
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return taken;
}
