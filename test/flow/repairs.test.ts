/** Whatever happens to webhooks and polls on their way, every order is counted once and none is lost. */
import { expect, test, vi } from 'vitest';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import type { FaultInput } from '../../src/sandbox/faults.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { type Product, startProduct, tinyCatalogue } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';

/** The call that lists orders. */
const listOperations: Readonly<Record<Platform, string>> = {
  etsy: 'getShopReceipts',
  amazon: 'searchOrders',
  ebay: 'getOrders',
  shopify: 'orders',
};

const noLag = { orderIndexLagMs: { min: 0, max: 0 } };
const withoutLag = { etsy: noLag, amazon: noLag, ebay: noLag, shopify: noLag };

async function countOf(product: Product, table: 'orders' | 'webhook_deliveries'): Promise<number> {
  const { rows } = await product.db.query<{ count: number }>(`SELECT count(*)::int FROM ${table}`);
  return rows[0]?.count ?? 0;
}

async function connectionOf(
  product: Product,
  platform: Platform,
): Promise<{ watermark: Date | null; error: string | null }> {
  const { rows } = await product.db.query<{ watermark: Date | null; error: string | null }>(
    'SELECT orders_watermark AS watermark, last_error AS error FROM connections WHERE id = $1',
    [product.connections[platform]],
  );
  return rows[0] ?? { watermark: null, error: 'no connection' };
}

async function everythingDelivered(product: Product): Promise<void> {
  await Promise.all(platforms.map((platform) => product.sandbox.webhooks[platform].idle()));
  await waitFor(
    async () => {
      const { rows } = await product.db.query("SELECT 1 FROM webhook_deliveries WHERE status = 'pending'");
      return rows.length === 0;
    },
    { timeoutMs: 15_000, what: 'the inbox to be empty' },
  );
}

test('polls with a durable watermark repair every webhook that never came, on every marketplace', async () => {
  await using product = await startProduct();
  for (const platform of platforms) product.sandbox.faults.add({ platform, kind: 'webhookLost' });
  for (const platform of platforms) product.buy(platform, 'MUG');
  await everythingDelivered(product);
  expect(await countOf(product, 'webhook_deliveries')).toBe(0);
  expect(await countOf(product, 'orders')).toBe(0);

  for (const [index, platform] of platforms.entries()) await pollUntil(product, platform, index + 1);
  expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 4, available: 6 });
  await product.inStep();
  expect(await ledgerBreaches(product.db)).toEqual([]);
});

function misfortunes(platform: Platform): FaultInput[] {
  return [
    { platform, kind: 'webhookDoubled', probability: 0.6 },
    { platform, kind: 'webhookReordered', probability: 0.4, waitMs: 300 },
    { platform, kind: 'webhookLate', probability: 0.4, delayMs: { min: 20, max: 250 } },
  ];
}

test('webhooks that come twice, late and in the wrong order change nothing twice', async () => {
  await using product = await startProduct({ skus: { MUG: 40, BOWL: 40 } });
  const { faults, shops } = product.sandbox;
  for (const fault of platforms.flatMap(misfortunes)) faults.add(fault);

  for (const platform of platforms) {
    const { orders } = shops[platform];
    const shipped = product.buy(platform, 'MUG', 2);
    const cancelled = product.buy(platform, 'BOWL', 3);
    product.buy(platform, 'MUG', 1);
    orders.ship(shipped.id, { carrier: 'USPS', trackingNumber: '1' });
    orders.cancel(cancelled.id, { restock: true });
  }
  await everythingDelivered(product);
  await waitFor(async () => (await countOf(product, 'orders')) === 12);

  const shownTwice = platforms.flatMap((platform) => product.sandbox.webhooks[platform].attempts.values());
  expect(new Set(shownTwice.map(({ deliveryId }) => deliveryId)).size).toBeLessThan(shownTwice.length);
  expect(await product.stock('MUG')).toMatchObject({ quantity: 32, reserved: 4 });
  expect(await product.stock('BOWL')).toMatchObject({ quantity: 40, reserved: 0 });
  await product.inStep();
  // Polls after it all see the same orders once more.
  for (const platform of platforms) await product.poll(platform);
  expect(await product.stock('MUG')).toMatchObject({ quantity: 32, reserved: 4 });
  expect(await ledgerBreaches(product.db)).toEqual([]);
});

/** More orders than the largest page of each marketplace that the connector asks for. */
const moreThanAPage: Readonly<Record<Platform, number>> = { etsy: 110, amazon: 110, ebay: 210, shopify: 110 };

test.each(platforms)(
  'a poll of %s that breaks off leaves the watermark where it was, and the next one finds everything',
  async (platform) => {
    const total = moreThanAPage[platform];
    await using product = await startProduct({
      sandbox: { shops: withoutLag, catalogue: tinyCatalogue({ MUG: total }, [platform]) },
      environment: { POLL_OVERLAP_MS: '0', CHANNEL_DEADLINE_MS: '700' },
    });
    const { faults } = product.sandbox;
    faults.add({ platform, kind: 'webhookLost' });
    const before = await connectionOf(product, platform);
    for (let count = 0; count < total; count++) product.buy(platform, 'MUG');

    // The first page comes, no other does.
    const { forCall } = faults;
    let pages = 0;
    const broken = vi.spyOn(faults, 'forCall').mockImplementation((where, operation) => {
      const drawn = forCall(where, operation);
      return operation === listOperations[platform] && ++pages > 1
        ? { ...drawn, serverErrorStatus: 503 }
        : drawn;
    });
    const told = vi.spyOn(product.app.connections, 'report');
    await product.poll(platform);
    expect(pages).toBeGreaterThan(1);
    expect(await countOf(product, 'orders')).toBeLessThan(total);
    const after = await connectionOf(product, platform);
    expect(after.watermark).toEqual(before.watermark);
    // Which of the two ended it depends on how many attempts fit into the deadline. A push that the channel has answered since may have taken it back.
    const codes = told.mock.calls.flatMap(([, error]) => error?.code ?? []);
    expect(codes.filter((code) => code === 'unavailable' || code === 'timeout')).not.toEqual([]);

    told.mockRestore();
    broken.mockRestore();
    await product.poll(platform);
    expect(await countOf(product, 'orders')).toBe(total);
    expect((await connectionOf(product, platform)).error).toBeNull();
    expect(await product.stock('MUG')).toMatchObject({ quantity: total, reserved: total });
  },
);

test.each(platforms)(
  'orders that %s leaves out of a page are found by the overlap of the next poll',
  async (platform) => {
    await using product = await startProduct({ sandbox: { shops: withoutLag } });
    const { faults } = product.sandbox;
    faults.add({ platform, kind: 'webhookLost' });
    for (let count = 0; count < 3; count++) product.buy(platform, 'MUG');
    const cut = faults.add({ platform, kind: 'truncatedPage', operation: listOperations[platform], keep: 1 });
    await pollUntil(product, platform, 1);
    faults.remove(cut);
    await pollUntil(product, platform, 3);
    expect(await product.stock('MUG')).toMatchObject({ quantity: 10, reserved: 3 });
  },
);

/** Polls until so many orders are known. */
async function pollUntil(product: Product, platform: Platform, orders: number): Promise<void> {
  await waitFor(
    async () => {
      await product.poll(platform);
      return (await countOf(product, 'orders')) === orders;
    },
    { what: `polls of ${platform} to find ${orders} orders` },
  );
}
