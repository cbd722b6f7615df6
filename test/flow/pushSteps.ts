/** Makes many listings out of step at once, and tells what the marketplaces of the sandbox were sent because of it. */
import { expect } from 'vitest';
import type { Platform } from '../../src/connectors/connector.ts';
import { openPool } from '../support/fixtures.ts';
import type { Product } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { adjustStock, itemBySku } from './operations.ts';

export async function adjust(product: Product, sku: string, delta: number): Promise<void> {
  const { inventoryItemBySku: item } = await product.graphql(itemBySku, { sku });
  const { stockAdjust } = await product.graphql(adjustStock, {
    input: {
      itemId: item?.id ?? '',
      delta,
      reason: 'CORRECTION',
      idempotencyKey: `${sku} ${delta} ${Math.random()}`,
    },
  });
  expect(stockAdjust.userErrors).toEqual([]);
}

/** What the seller's API calls made a marketplace show, in the order they took effect. */
export function effects(
  product: Product,
  platform: Platform,
): readonly { readonly sku: string; readonly to: number }[] {
  return product.sandbox.shops[platform].journal
    .values()
    .filter(({ cause }) => cause === 'write')
    .map(({ sku, to }) => ({ sku, to }));
}

/** How often an operation of a marketplace was called. */
export function calls(product: Product, platform: Platform, operation: string): number {
  return product.sandbox.requests(platform).filter((request) => request.operation === operation).length;
}

/** So many listings of a channel are out of step before the first of them is written. */
export async function allAtOnce(
  product: Product,
  listings: number,
  change: () => Promise<void>,
  platform: Platform = 'shopify',
): Promise<void> {
  const { db } = product;
  const connectionId = product.connections[platform];
  const holder = openPool(product.databaseUrl, 1);
  const client = await holder.connect();
  // While this lock is held no worker can claim listings of the connection.
  await client.query(`SELECT pg_advisory_lock(hashtextextended('push ' || $1, 0))`, [connectionId]);
  await change();
  await waitFor(
    async () =>
      (await db.query('SELECT 1 FROM dirty_listings WHERE connection_id = $1', [connectionId])).rowCount ===
      listings,
  );
  client.release(true);
  await holder.end();
}
