/** Proves that an order and the listings it names are found by their own keys from the first one on: a connection keeps the plan that it made while the tables were empty. */
import { expect, test } from 'vitest';
import { inKeyedTransaction } from '../../src/db.ts';
import { orderStatement } from '../../src/sync/orders.ts';
import * as fixtures from '../support/fixtures.ts';

test('a plan made while there was nothing finds each order and listing by its key, and does not read all of its connection', async () => {
  await using open = await fixtures.openTestPool(1);
  const connection = await fixtures.insertConnection(
    open.pool,
    await fixtures.insertAccount(open.pool),
    'etsy',
  );
  const { text } = orderStatement(fixtures.source(connection), fixtures.order());
  const { rows } = await inKeyedTransaction(open.pool, (client) =>
    client.query<{ 'QUERY PLAN': string }>(`EXPLAIN (GENERIC_PLAN) ${text}`),
  );
  const used = (table: string): string[] => {
    const scan = new RegExp(`Scan (?:using |on )(\\w+).*\\bon ${table}\\b`);
    return rows.flatMap((row) => scan.exec(row['QUERY PLAN'])?.[1] ?? []);
  };
  expect(new Set(used('orders'))).toEqual(new Set(['orders_platform_order_id_connection_id_key']));
  expect(new Set(used('listings'))).toEqual(
    new Set([
      'listings_id_account_id_key',
      'listings_item_id_idx',
      'listings_sku_connection_id_idx',
      'listings_unit_id_variant_id_connection_id_key',
    ]),
  );
});
