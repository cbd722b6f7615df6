/** The first sync of a shop through the real connectors: connect, plan, look, choose, apply, and take it back, on each marketplace. */
import { expect, test } from 'vitest';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import { encodeId } from '../../src/schema/globalId.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { type Product, startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { applyPlan, createPlan, planState, planStream, setEntries, undoPlan } from './planOperations.ts';

/** As if the seller had just connected this marketplace, where other numbers are shown than the ledger has. */
async function newConnection(
  product: Product,
  platform: Platform,
  shown: Readonly<Record<string, number>>,
): Promise<void> {
  const { db, connections, sandbox } = product;
  await db.query('UPDATE listings SET sync_enabled = false WHERE connection_id = $1', [
    connections[platform],
  ]);
  await db.query('UPDATE connections SET awaiting_plan = true WHERE id = $1', [connections[platform]]);
  const shop = sandbox.shops[platform];
  for (const [sku, quantity] of Object.entries(shown)) {
    const variant = shop.variantBySku(sku);
    if (variant === undefined) throw new Error(`${platform} does not sell ${sku}`);
    shop.editOutside(variant.id, quantity);
  }
}

async function plan(product: Product, platform: Platform): Promise<string> {
  const connectionId = encodeId('PlatformConnection', product.connections[platform]);
  const { syncPlanCreate } = await product.graphql(createPlan, { input: { connectionId } });
  expect(syncPlanCreate.userErrors).toEqual([]);
  return syncPlanCreate.plan?.id ?? '';
}

type Plan = NonNullable<Awaited<ReturnType<typeof stateOf>>>;

async function stateOf(product: Product, id: string) {
  const { syncPlan } = await product.graphql(planState, { id });
  return syncPlan;
}

async function until(product: Product, id: string, status: Plan['status']): Promise<Plan> {
  return waitFor(
    async () => {
      const found = await stateOf(product, id);
      if (found?.status !== status) throw new Error(JSON.stringify(found));
      return found;
    },
    { timeoutMs: 40_000, what: `the plan to be ${status}` },
  );
}

async function apply(product: Product, planId: string): Promise<void> {
  const { syncPlanApply } = await product.graphql(applyPlan, {
    input: { planId, acknowledgeLarge: true, idempotencyKey: `apply ${planId}` },
  });
  expect(syncPlanApply.userErrors).toEqual([]);
  await until(product, planId, 'APPLIED');
}

async function undo(product: Product, planId: string): Promise<void> {
  const { syncPlanUndo } = await product.graphql(undoPlan, { input: { planId } });
  expect(syncPlanUndo.userErrors).toEqual([]);
  await until(product, planId, 'UNDONE');
}

const shows = (product: Product, platform: Platform, numbers: Readonly<Record<string, number>>) =>
  waitFor(
    () => {
      expect(product.sandbox.displayed(platform)).toEqual(numbers);
      return true;
    },
    { timeoutMs: 10_000, what: `${platform} to show ${JSON.stringify(numbers)}` },
  );

const skus = { RAISED: 9, LOWERED: 4, EMPTIED: 0, RIGHT: 5, KEPT: 6, SKIPPED: 7 };
const before = { RAISED: 3, LOWERED: 8, EMPTIED: 2, RIGHT: 5, KEPT: 2, SKIPPED: 1 };
const actions = {
  RAISED: 'RAISE',
  LOWERED: 'LOWER',
  EMPTIED: 'ZERO',
  RIGHT: 'UNCHANGED',
  KEPT: 'RAISE',
  SKIPPED: 'RAISE',
};

test.each(platforms)(
  'connect %s, look at the plan, choose who wins, apply it, and take it back',
  async (platform) => {
    await using product = await startProduct({ skus });
    await newConnection(product, platform, before);
    const other = platform === 'shopify' ? 'ebay' : 'shopify';
    const planId = await plan(product, platform);
    const ready = await until(product, planId, 'READY');
    expect(Object.fromEntries(ready.entries.nodes.map((each) => [each.listing.sku, each.action]))).toEqual(
      actions,
    );
    expect(ready).toMatchObject({
      listings: 6,
      raising: 3,
      lowering: 1,
      zeroing: 1,
      unchanged: 1,
      leftOut: 0,
    });
    // Looking has changed nothing, and nor does a sale elsewhere.
    product.buy(other, 'RAISED');
    await waitFor(async () => (await product.stock('RAISED')).reserved === 1);
    expect(product.sandbox.displayed(platform)).toEqual(before);

    const listingOf = (sku: string) =>
      ready.entries.nodes.find((each) => each.listing.sku === sku)?.listing.id;
    for (const [sku, winner] of [
      ['KEPT', 'CHANNEL'],
      ['SKIPPED', 'SKIP'],
    ] as const) {
      const input = { planId, listingIds: [listingOf(sku) ?? ''], winner };
      const { syncPlanEntrySet } = await product.graphql(setEntries, { input });
      expect(syncPlanEntrySet).toEqual({ entries: 1, userErrors: [] });
    }
    await apply(product, planId);
    await shows(product, platform, { RAISED: 8, LOWERED: 4, EMPTIED: 0, RIGHT: 5, KEPT: 2, SKIPPED: 1 });
    expect(await product.stock('KEPT')).toMatchObject({ quantity: 2 });
    await shows(product, other, { RAISED: 8, LOWERED: 4, EMPTIED: 0, RIGHT: 5, KEPT: 2, SKIPPED: 7 });
    expect(await stateOf(product, planId)).toMatchObject({
      applied: 6,
      changed: 0,
      connection: { awaitingPlan: false },
    });

    product.buy(platform, 'LOWERED', 3);
    await waitFor(async () => (await product.stock('LOWERED')).reserved === 3);
    await undo(product, planId);
    // What it showed before, less what was sold there since.
    await shows(product, platform, { ...before, LOWERED: 5 });
    expect(await product.stock('KEPT')).toMatchObject({ quantity: 6 });
    await shows(product, other, { RAISED: 8, LOWERED: 1, EMPTIED: 0, RIGHT: 5, KEPT: 6, SKIPPED: 7 });
    const undone = await stateOf(product, planId);
    expect(undone).toMatchObject({ undone: 6, connection: { awaitingPlan: true } });
    expect(undone?.entries.nodes.filter(({ listing }) => listing.syncEnabled)).toEqual([]);
    expect(await ledgerBreaches(product.db)).toEqual([]);
  },
  90_000,
);

test('a plan tells its progress live, from the first reading to the last number taken back', async () => {
  await using product = await startProduct({ skus: { MUG: 9 } });
  await newConnection(product, 'shopify', { MUG: 3 });
  const planId = await plan(product, 'shopify');
  await using progress = await product.subscribe(planStream, { id: planId });
  await progress.find(({ status, listings }) => status === 'READY' && listings === 1, 'the plan to be ready');
  await apply(product, planId);
  await progress.find(
    ({ status, applied }) => status === 'APPLIED' && applied === 1,
    'the plan to be applied',
  );
  await undo(product, planId);
  const last = await progress.find(({ status }) => status === 'UNDONE', 'the plan to be undone');
  expect(last).toMatchObject({ listings: 1, applied: 1, undone: 1 });
});
