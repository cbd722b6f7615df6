/** What an order costs on items with shadows and under escrow, beside the same statement that tells no shadow of the sale. */
import { Client, Pool } from 'pg';
import { newDemand } from '../src/sync/core/demand.ts';
import { newEscrow } from '../src/sync/core/escrow.ts';
import { newShadow } from '../src/sync/core/shadow.ts';
import { type OrderSource, orderStatement } from '../src/sync/orders.ts';
import type { StoredState } from '../src/sync/shadowSql.ts';
import { type Benchmark, compare, inTurns, median } from './harness.ts';
import { fillShop, type ShopConnection, sku } from './shopData.ts';
import { newOrder } from './shopifyOrders.ts';

const items = 1_000;
/** On hand of every item that `fillShop` makes. */
const onHand = 900;

export const guardedOrders: Benchmark = {
  letter: 'f',
  title: 'cost of an order with shadow and escrow on',
  async run(bench) {
    const url = await bench.newDatabase('guarded');
    const setUp = new Client({ connectionString: url });
    await setUp.connect();
    const shop = await fillShop(setUp, { items, listedEvery: 1, movementsPerItem: 3, ordersPerItem: 0.5 });
    await guardHalf(setUp);
    await setUp.end();
    const connection = shop.connections.find(({ platform }) => platform === 'shopify');
    if (connection === undefined) throw new Error('the shop has no Shopify');
    const pool = new Pool({ connectionString: url, max: 8 });
    const perClient = bench.quick ? 100 : 400;
    const results = [];
    try {
      for (const clients of [1, 8]) {
        const round = (guarded: boolean) => async () => {
          const taken = await applyOrders(pool, connection, { guarded, clients, perClient });
          await takeIn(pool, guarded ? clients * perClient : 0);
          return median(taken);
        };
        const turns = await inTurns(bench.quick ? 3 : 9, { product: round(true), floor: round(false) });
        const notes = [
          `median per order of an item listed four times, with shadows and under escrow, against one without; ${clients} at once`,
          'the shadow takes the sale in later, with the next decision about its listing',
        ];
        results.push(
          compare(
            { name: `guarded.order.${clients}`, unit: 'ms', limit: 1.5, bound: 'atMost', notes },
            turns,
          ),
        );
      }
      return results;
    } finally {
      await pool.end();
    }
  },
};

/** Every second item gets what the engine stores for it: a shadow per listing, and an escrow. */
async function guardHalf(client: Client): Promise<void> {
  const at = Date.now() - 60_000;
  const bounds = {
    staleMax: 0,
    settleMax: 30_000,
    clockSkewMax: 1_000,
    readMax: 30_000,
    restocksOnCancel: false,
  };
  const state: StoredState = {
    shadow: newShadow('unit', bounds, { value: 225, at, targetSeq: 3, mode: 'escrow' }),
    demand: newDemand(at),
    traits: { compareAndSet: true, quantityMax: onHand, indexLagMs: 1_000, landingMs: 500 },
  };
  const guarded = `SELECT id FROM inventory_items WHERE right(sku, 1) IN ('0', '2', '4', '6', '8')`;
  await client.query(`UPDATE inventory_items SET protection = 'escrow' WHERE id IN (${guarded})`);
  await client.query(
    `INSERT INTO shadows (listing_id, account_id, connection_id, item_id, state, shown_min, shown_max)
     SELECT id, account_id, connection_id, item_id, jsonb_set($1, '{shadow,unit}', to_jsonb(id)), 225, 225 FROM listings WHERE item_id IN (${guarded})`,
    [JSON.stringify(state)],
  );
  await client.query(
    `INSERT INTO escrows (item_id, account_id, state, seq)
     SELECT item_id, account_id, jsonb_set($1, '{units}', jsonb_object_agg(id, $1::jsonb->'units'->'unit')), 3 FROM listings WHERE item_id IN (${guarded})
      GROUP BY item_id, account_id`,
    [JSON.stringify(newEscrow(onHand, { unit: 225 }, at))],
  );
  await client.query('VACUUM ANALYZE');
}

type Round = { readonly guarded: boolean; readonly clients: number; readonly perClient: number };

/** Milliseconds of each order. */
async function applyOrders(
  pool: Pool,
  connection: ShopConnection,
  { guarded, clients, perClient }: Round,
): Promise<readonly number[]> {
  const { id: connectionId, accountId, platform } = connection;
  const taken: number[] = [];
  const client = async (): Promise<void> => {
    for (let count = 0; count < perClient; count++) {
      const order = newOrder(sku(Math.floor(Math.random() * (items / 2)) * 2 + (guarded ? 0 : 1)));
      const observedAt = order.updatedAt;
      const source: OrderSource = { accountId, connectionId, platform, observedAt, deliveryId: null };
      const statement = orderStatement(source, order);
      const startedAt = performance.now();
      await pool.query(guarded ? statement : withoutSale(statement));
      taken.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return taken;
}

const saleSql = /\bsale AS \([\s\S]*?\n\),\n(?=order_event AS)/;
const plain = new Map<string, string>();

/** The order as it is applied where no shadow wants to know of it. */
function withoutSale<Statement extends { readonly name: string; readonly text: string }>(
  statement: Statement,
): Statement {
  const text = plain.get(statement.text) ?? statement.text.replace(saleSql, '');
  if (text === statement.text)
    throw new Error('the statement tells no shadow of the sale: nothing to compare');
  plain.set(statement.text, text);
  return { ...statement, name: 'order-plain', text };
}

/** As the engine does after each decision; throws when the orders did not tell the shadows of every sale. */
async function takeIn(pool: Pool, sales: number): Promise<void> {
  const { rowCount } = await pool.query('DELETE FROM channel_sales');
  if (rowCount !== sales) throw new Error(`${rowCount} sales were told, not ${sales}: this measured nothing`);
  await pool.query('VACUUM channel_sales');
}
