/** Channels end at the newest number, the dangerous ones first, whatever happens to a write on its way. */
import { expect, test } from 'vitest';
import { graphql } from '../../.generated/gql/gql.ts';
import { type Platform, platforms } from '../../src/connectors/connector.ts';
import { ledgerBreaches } from '../support/ledgerState.ts';
import { type Product, startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';
import { connectionStates, itemBySku } from './operations.ts';
import { adjust, allAtOnce, calls, effects } from './pushSteps.ts';

type Write = {
  readonly id: string;
  readonly quantity: number;
  readonly expected: number | null;
  readonly state: string;
};

async function writesTo(product: Product, platform: Platform, sku = 'MUG'): Promise<readonly Write[]> {
  const { rows } = await product.db.query<Write>(
    `SELECT write.id, write.quantity, write.expected, write.state::text FROM listing_writes write
       JOIN listings listing ON listing.id = write.listing_id
      WHERE write.connection_id = $1 AND listing.sku = $2 ORDER BY write.sent_at, write.id`,
    [product.connections[platform], sku],
  );
  return rows;
}

/** It has met the one fault there is: recorded but not yet sent, it could still be overtaken, and the fault would meet the newer number. */
async function received(product: Product, what: string): Promise<void> {
  await waitFor(() => product.sandbox.faults.list().length === 0, { what: `${what} to arrive` });
}

test('lowering writes go out before raising ones, and to zero before all', async () => {
  await using product = await startProduct({ skus: { RAISED: 5, LOWERED: 5, EMPTIED: 5 } });
  await allAtOnce(product, 3, async () => {
    await adjust(product, 'RAISED', 4);
    await adjust(product, 'LOWERED', -2);
    await adjust(product, 'EMPTIED', -5);
  });
  await product.inStep();
  const written = effects(product, 'shopify');
  expect(written.at(-1)).toEqual({ sku: 'RAISED', to: 9 });
  expect(written).toContainEqual({ sku: 'LOWERED', to: 3 });
  expect(written).toContainEqual({ sku: 'EMPTIED', to: 0 });
});

test.each(['ebay', 'shopify'] as const)(
  'a slow older number never stays on %s over a newer one',
  async (platform) => {
    await using product = await startProduct({ environment: { CHANNEL_DEADLINE_MS: '11000' } });
    const operation = platform === 'ebay' ? 'bulkUpdatePriceQuantity' : 'inventorySetQuantities';
    product.sandbox.faults.add({
      platform,
      kind: 'latency',
      operation,
      count: 1,
      delayMs: { min: 9_000, max: 9_000 },
    });
    product.buy('etsy', 'MUG', 2);
    await received(product, 'the older number');
    product.buy('etsy', 'MUG', 3);
    // The lowering write does not queue behind the slow one.
    await waitFor(() => effects(product, platform).some(({ to }) => to === 5), {
      timeoutMs: 8_500,
      what: 'the newer number',
    });
    expect(calls(product, platform, operation)).toBeLessThan(2);
    // And it is still so when the slow one has arrived.
    await waitFor(() => calls(product, platform, operation) >= 2, {
      timeoutMs: 15_000,
      what: 'the slow one to arrive',
    });
    // Amazon's second write waits for the first, and nothing but time proves either.
    await product.inStep({ timeoutMs: 30_000 });
    expect(product.sandbox.displayed(platform)).toEqual({ MUG: 5 });
  },
  60_000,
);

test('an older Amazon write that takes effect last is noticed by reading and put right', async () => {
  await using product = await startProduct();
  product.sandbox.faults.add({
    platform: 'amazon',
    kind: 'lateEffect',
    operation: 'patchListingsItem',
    count: 1,
    delayMs: { min: 2_500, max: 2_500 },
  });
  product.buy('etsy', 'MUG', 2);
  await received(product, 'the older number');
  product.buy('shopify', 'MUG', 8);
  const landed = () => effects(product, 'amazon').map(({ to }) => to);
  await waitFor(() => landed().includes(8), { what: 'the older number to land' });
  // A zero waits for nothing; the older number lands after it, and buyers would find eight units that are not there.
  expect(landed().slice(0, 2)).toEqual([0, 8]);
  await product.inStep();
  expect(product.sandbox.displayed('amazon')).toEqual({ MUG: 0 });
});

test('a Shopify write whose answer was lost is repeated with its own key and takes effect once', async () => {
  await using product = await startProduct();
  product.sandbox.faults.add({
    platform: 'shopify',
    kind: 'lostAnswer',
    operation: 'inventorySetQuantities',
    count: 1,
  });
  product.buy('etsy', 'MUG', 1);
  await product.inStep();
  expect(await writesTo(product, 'shopify')).toMatchObject([
    { quantity: 9, expected: 10, state: 'effective' },
  ]);
  expect(calls(product, 'shopify', 'inventorySetQuantities')).toBe(2);
  expect(effects(product, 'shopify')).toEqual([{ sku: 'MUG', to: 9 }]);
});

test.each(['etsy', 'ebay', 'amazon'] as const)(
  'a write to %s whose answer was lost is proved by reading',
  async (platform) => {
    await using product = await startProduct();
    const operations = {
      etsy: 'updateListingInventory',
      ebay: 'bulkUpdatePriceQuantity',
      amazon: 'patchListingsItem',
    };
    product.sandbox.faults.add({ platform, kind: 'lostAnswer', operation: operations[platform], count: 1 });
    product.buy('shopify', 'MUG', 1);
    await product.inStep();
    const { inventoryItemBySku: item } = await product.graphql(itemBySku, { sku: 'MUG' });
    const listing = item?.listings.nodes.find((node) => node.platform === platform.toUpperCase());
    expect(listing).toMatchObject({ target: 9, pending: false, lastError: null });
  },
);

test('a number that Amazon has accepted counts as shown only when a reading proves it', async () => {
  await using product = await startProduct({
    sandbox: { shops: { amazon: { writeEffectMs: { min: 800, max: 800 } } } },
  });
  product.buy('etsy', 'MUG', 4);
  await waitFor(async () => (await writesTo(product, 'amazon'))[0]?.state === 'accepted');
  expect(product.sandbox.displayed('amazon')).toEqual({ MUG: 10 });
  const accepted = await product.graphql(itemBySku, { sku: 'MUG' });
  const before = accepted.inventoryItemBySku?.listings.nodes.find(({ platform }) => platform === 'AMAZON');
  expect(before?.quantity).not.toBe(6);

  await waitFor(async () => (await writesTo(product, 'amazon'))[0]?.state === 'effective', {
    what: 'the write to be proved',
  });
  expect(product.sandbox.displayed('amazon')).toEqual({ MUG: 6 });
  const proved = await product.graphql(itemBySku, { sku: 'MUG' });
  expect(
    proved.inventoryItemBySku?.listings.nodes.find(({ platform }) => platform === 'AMAZON')?.quantity,
  ).toBe(6);
});

test('storms of refusals and server errors on every marketplace end with all channels in step', async () => {
  await using product = await startProduct({ skus: { MUG: 60, BOWL: 60 } });
  const { faults } = product.sandbox;
  for (const platform of platforms) {
    faults.add({ platform, kind: 'rateLimit', probability: 0.4, retryAfterSeconds: 0.2 });
    faults.add({ platform, kind: 'serverError', probability: 0.2 });
    faults.add({ platform, kind: 'refusedConnection', probability: 0.1 });
    faults.add({ platform, kind: 'lostAnswer', probability: 0.1 });
  }
  const reserved = { MUG: 0, BOWL: 0 };
  const buyEverywhere = (sku: 'MUG' | 'BOWL') => {
    for (const platform of platforms) product.buy(platform, sku, 2);
    reserved[sku] += 2 * platforms.length;
  };
  for (const sku of ['MUG', 'BOWL', 'MUG', 'BOWL'] as const) buyEverywhere(sku);
  await waitFor(
    () => {
      const refused = platforms.map(
        (platform) =>
          product.sandbox.requests(platform).filter(({ status }) => (status ?? 500) >= 429).length,
      );
      if (refused.every((count) => count > 3)) return true;
      // One that was lucky is in step already, and is not called again before something is sold.
      if (reserved.BOWL < 48) buyEverywhere('BOWL');
      return false;
    },
    { timeoutMs: 20_000, intervalMs: 1_000, what: 'every marketplace to have refused some calls' },
  );
  faults.clear();
  await waitFor(
    async () =>
      (await product.stock('MUG')).reserved === reserved.MUG &&
      (await product.stock('BOWL')).reserved === reserved.BOWL,
    { timeoutMs: 15_000, what: 'every order to be counted' },
  );
  await product.inStep({ timeoutMs: 15_000 });
  expect(await ledgerBreaches(product.db)).toEqual([]);
}, 90_000);

test('access tokens that expire in the middle are renewed without anybody noticing', async () => {
  await using product = await startProduct({ skus: { MUG: 30, BOWL: 30 } });
  for (let round = 0; round < 3; round++) {
    for (const platform of platforms) {
      product.sandbox.expireTokens(platform);
      product.buy(platform, round % 2 === 0 ? 'MUG' : 'BOWL');
      product.sandbox.faults.add({ platform, kind: 'expiredToken', count: 1 });
    }
  }
  await waitFor(
    async () => (await product.stock('MUG')).reserved === 8 && (await product.stock('BOWL')).reserved === 4,
  );
  await product.inStep();
  const { connections } = await product.graphql(connectionStates, {});
  expect(connections.nodes.map(({ status }) => status)).toEqual(['ACTIVE', 'ACTIVE', 'ACTIVE', 'ACTIVE']);
});

test.each(platforms)(
  'a connection to %s that must be authorised again says so, and catches up afterwards',
  async (platform) => {
    await using product = await startProduct();
    const { accountId, sandbox, app } = product;
    const good = sandbox.connection(platform);
    const { accessToken = '', refreshToken = '' } = good.credentials;
    const spoiled = { ...good.credentials, accessToken: `${accessToken}x`, refreshToken: `${refreshToken}x` };
    await app.connections.connect({ accountId, ...good, credentials: spoiled });

    const other = platform === 'etsy' ? 'ebay' : 'etsy';
    product.buy(other, 'MUG', 4);
    const state = async () => {
      const { connections } = await product.graphql(connectionStates, {});
      return connections.nodes.find((node) => node.platform === platform.toUpperCase());
    };
    await product.poll(platform);
    await waitFor(async () => (await state())?.status === 'NEEDS_AUTHORIZATION', {
      what: 'the connection to ask for the seller',
    });
    expect((await state())?.lastError).toMatch(/^unauthorized: /);
    // Meanwhile more is sold, here and elsewhere.
    product.buy(other, 'MUG', 1);
    await waitFor(async () => (await product.stock('MUG')).reserved === 5);
    expect(sandbox.displayed(platform)).toEqual({ MUG: 10 });

    await app.connections.connect({ accountId, ...sandbox.connection(platform) });
    await product.inStep();
    expect(sandbox.displayed(platform)).toEqual({ MUG: 5 });
    expect(await state()).toMatchObject({ status: 'ACTIVE', lastError: null });
  },
);

test('a number the channel refuses is told on the listing and on the operation, and does not hold up the others', async () => {
  await using product = await startProduct();
  const { ebay } = product.sandbox.shops;
  for (const { id } of ebay.listings()) ebay.removeListing(id);
  product.buy('etsy', 'MUG', 1);
  const listings = async () =>
    (await product.graphql(itemBySku, { sku: 'MUG' })).inventoryItemBySku?.listings.nodes ?? [];
  await waitFor(async () =>
    (await listings()).some(({ platform, lastError }) => platform === 'EBAY' && lastError !== null),
  );
  for (const platform of ['amazon', 'shopify'] as const) {
    await waitFor(() => product.sandbox.displayed(platform)['MUG'] === 9, { what: `${platform} to follow` });
  }
  expect((await listings()).filter(({ lastError }) => lastError !== null)).toHaveLength(1);
});

test('a marketplace that does not answer holds up no other one', async () => {
  const names = Array.from({ length: 14 }, (_, index) => `ITEM-${index}`);
  await using product = await startProduct({
    skus: Object.fromEntries(names.map((name) => [name, 5])),
    environment: { CHANNEL_DEADLINE_MS: '15000', WORKER_CONCURRENCY: '8' },
  });
  const silence = { min: 60_000, max: 60_000 };
  product.sandbox.faults.add({
    platform: 'amazon',
    kind: 'latency',
    operation: 'patchListingsItem',
    delayMs: silence,
  });
  for (const name of names) {
    product.buy('etsy', name);
    await waitFor(
      () =>
        (['ebay', 'shopify'] as const).every((platform) => product.sandbox.displayed(platform)[name] === 4),
      {
        timeoutMs: 4_000,
        what: `eBay and Shopify to follow the sale of ${name}`,
      },
    );
  }
  expect(names.map((name) => product.sandbox.displayed('amazon')[name])).toEqual(names.map(() => 5));
}, 60_000);

const explainedPushes = graphql(`
  query ExplainedPushes($sku: String!) {
    inventoryItemBySku(sku: $sku) {
      listings(first: 10) { nodes { target explanation { push { quantity } } } }
    }
  }
`);

test('what explains a listing names the newest of its writes', async () => {
  await using product = await startProduct();
  for (let step = 0; step < 4; step += 1) {
    await adjust(product, 'MUG', -1);
    await product.inStep();
  }
  const { inventoryItemBySku: item } = await product.graphql(explainedPushes, { sku: 'MUG' });
  const nodes = item?.listings.nodes ?? [];
  expect(nodes.map(({ target }) => target)).toEqual([6, 6, 6, 6]);
  expect(nodes.map(({ explanation }) => explanation?.push?.quantity)).toEqual([6, 6, 6, 6]);
});
