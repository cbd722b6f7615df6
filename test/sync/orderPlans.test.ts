/** Proves that an order is found by its own key from the first one on: a connection keeps the plan that it made while the tables were empty. */
import { expect, test } from 'vitest';
import { inKeyedTransaction } from '../../src/db.ts';
import { orderStatement } from '../../src/sync/orders.ts';
import * as fixtures from '../support/fixtures.ts';

test('a plan made while there was no order finds each by its key, and does not read all of its connection', async () => {
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
  const reads = rows.map((row) => row['QUERY PLAN']).filter((line) => /Scan .*\bon orders\b/.test(line));
  expect(reads.length).toBeGreaterThan(0);
  for (const line of reads) expect(line).toContain('orders_connection_id_platform_order_id_key');
});
