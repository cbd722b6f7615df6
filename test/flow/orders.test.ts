/** A sale anywhere is reserved once and lowers every other channel; edits, cancellations and shipments follow through the ledger. */
import { describe, expect, test } from 'vitest';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import type { Order } from '../../src/sandbox/goods.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { type Product, startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { orderStream, stockStream } from './operations.ts';

/** Whether an edited order is told by webhook, is only found by the next poll, or cannot be edited at all. */
const edits: Readonly<Record<Platform, 'told' | 'found' | 'none'>> = {
  etsy: 'found',
  amazon: 'told',
  ebay: 'none',
  shopify: 'told',
};

function firstLine(order: Order): string {
  return order.lines[0]?.id ?? '';
}

async function reaches(product: Product, quantity: number, reserved: number): Promise<void> {
  await waitFor(
    async () => {
      const stock = await product.stock('MUG');
      return stock.quantity === quantity && stock.reserved === reserved;
    },
    { timeoutMs: 8_000, what: `${quantity} on hand and ${reserved} reserved` },
  );
}

/** Writes that the channel has carried out; a compare that failed has changed nothing. */
async function writesTo(product: Product, platform: Platform): Promise<number> {
  const { rows } = await product.db.query<{ count: number }>(
    `SELECT count(*)::int FROM listing_writes WHERE connection_id = $1 AND state <> 'stale'`,
    [product.connections[platform]],
  );
  return rows[0]?.count ?? 0;
}

describe.each(platforms)('an order placed on %s', (platform) => {
  test('arrives by signed webhook, is reserved exactly once, and lowers all other channels', async () => {
    await using product = await startProduct();
    await using stock = await product.subscribe(stockStream);
    await using orders = await product.subscribe(orderStream);

    const order = product.buy(platform, 'MUG', 3);
    const event = await stock.find(({ sku }) => sku === 'MUG', 'the stock event');
    expect(event).toMatchObject({
      quantity: 10,
      reserved: 3,
      available: 7,
      onHandDelta: 0,
      reservedDelta: 3,
      kind: 'ORDER',
    });
    const arrived = await orders.find(
      ({ platformOrderId }) => platformOrderId === order.id,
      'the order event',
    );
    expect(arrived).toMatchObject({ platform: platform.toUpperCase(), revision: 1, created: true });
    expect(event.orderId).toBe(arrived.orderId);

    await product.inStep();
    for (const each of platforms) expect(product.sandbox.displayed(each)).toEqual({ MUG: 7 });
    expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 3, available: 7 });
    expect(stock.events()).toHaveLength(1);
    // The channel that sold shows the right number by itself.
    expect(await writesTo(product, platform)).toBe(0);
    expect(await ledgerBreaches(product.db)).toEqual([]);
    await waitFor(() =>
      product.sandbox.webhooks[platform].attempts.values().some(({ status }) => status === 204),
    );
  });

  test('holds less after an edit and leaves the shelf when it is sent', async () => {
    await using product = await startProduct();
    const { orders } = product.sandbox.shops[platform];
    const order = product.buy(platform, 'MUG', 3);
    await reaches(product, 10, 3);
    await product.inStep();

    if (edits[platform] !== 'none') {
      orders.edit(order.id, firstLine(order), 1);
      await waitFor(async () => {
        if (edits[platform] === 'found') await product.poll(platform);
        return (await product.stock('MUG')).reserved === 1;
      });
      await product.inStep();
    }

    orders.ship(order.id, { carrier: 'USPS', trackingNumber: '9400100000000000000001' });
    await reaches(product, edits[platform] === 'none' ? 7 : 9, 0);
    await product.inStep();
    const { rows } = await product.db.query('SELECT status FROM orders WHERE platform_order_id = $1', [
      order.id,
    ]);
    expect(rows).toEqual([{ status: 'shipped' }]);
    expect(await ledgerBreaches(product.db)).toEqual([]);
  });

  test('gives its units back when it is cancelled, whether or not the channel puts them on sale again itself', async () => {
    await using product = await startProduct();
    const { orders } = product.sandbox.shops[platform];
    const restocked = product.buy(platform, 'MUG', 2);
    await reaches(product, 10, 2);
    await product.inStep();
    const kept = product.buy(platform, 'MUG', 3);
    await reaches(product, 10, 5);
    await product.inStep();

    orders.cancel(restocked.id, { restock: true });
    await reaches(product, 10, 3);
    await product.inStep();
    expect(await writesTo(product, platform)).toBe(0);

    orders.cancel(kept.id, { restock: false });
    // Shopify says of units that are not put back that they were written off; elsewhere nobody has taken them from the shelf.
    const onHand = platform === 'shopify' ? 7 : 10;
    await reaches(product, onHand, 0);
    await product.inStep();
    for (const each of platforms) expect(product.sandbox.displayed(each)).toEqual({ MUG: onHand });
    expect(await ledgerBreaches(product.db)).toEqual([]);
  });
});
