/** Every connector says of every call how urgent it is and until when it may wait, so that the last tokens of a budget are there for a zero. */
import { describe, expect, test } from 'vitest';
import type { Connector, HttpRequest, Platform, Turn } from '../../src/connectors/connector.ts';
import { connectorFactories } from '../../src/connectors/index.ts';
import { createMemoryCredentials } from './localChannel.ts';

type Shop = { readonly settings: Readonly<Record<string, unknown>>; readonly unitId: string };

const shops: Readonly<Record<Platform, Shop>> = {
  etsy: { settings: { shopId: '41000001' }, unitId: '55000001' },
  amazon: {
    settings: { region: 'na', sellerId: 'A1SELLER', marketplaceId: 'ATVPDKIKX0DER' },
    unitId: 'SKU-1',
  },
  ebay: { settings: {}, unitId: 'SKU-1' },
  shopify: {
    settings: { shopDomain: 'demo-shop.myshopify.com', locationId: '65000001', authMode: 'static' },
    unitId: '1/65000001',
  },
};

const credentials = {
  accessToken: 'token',
  accessTokenExpiresAt: '2026-11-29T00:00:00Z',
  keystring: 'key',
  sharedSecret: 'secret',
  appId: 'app',
  certId: 'certificate',
};
const now = (): number => Date.parse('2026-11-22T08:00:00Z');

/** The turns that the calls of `work` take at a channel that knows nothing. */
async function turnsOf(platform: Platform, work: (connector: Connector) => unknown): Promise<Turn[]> {
  const turns: Turn[] = [];
  const send = async ({ turn, budget }: HttpRequest) => {
    if (budget !== undefined && turn !== undefined) turns.push(turn);
    return { status: 404, headers: new Headers(), text: '{}' };
  };
  const { settings } = shops[platform];
  const http = { send };
  const connector = connectorFactories[platform]({
    settings,
    credentials: createMemoryCredentials(credentials),
    http,
    now,
  });
  await Promise.resolve(work(connector)).catch(() => undefined);
  return turns;
}

async function firstPage(pages: AsyncIterable<unknown>): Promise<void> {
  await pages[Symbol.asyncIterator]().next();
}

describe.each(['etsy', 'amazon', 'ebay', 'shopify'] as const)('the calls of %s', (platform) => {
  const address = { unitId: shops[platform].unitId, variantId: '' };
  const key = '7b0c5a1e-0000-4000-8000-000000000001';

  test('for a write take the turn that the write was given', async () => {
    const turn = { urgency: 'lower', leaveBy: now() + 1_000 } as const;
    const turns = await turnsOf(platform, (connector) =>
      connector.setStock([{ address, quantity: 0, expected: null, key }], turn),
    );
    expect(turns.length).toBeGreaterThan(0);
    expect(new Set(turns)).toEqual(new Set([turn]));
  });

  test.each([
    ['orders', (connector: Connector) => firstPage(connector.ordersModifiedSince(new Date(now())))],
    ['orders', (connector: Connector) => connector.order('1000000001')],
    ['read', (connector: Connector) => connector.readStock([address])],
    ['import', (connector: Connector) => connector.readStock([address], { urgency: 'import' })],
    ['read', (connector: Connector) => connector.check()],
    ['import', (connector: Connector) => firstPage(connector.catalogue())],
  ] as const)('are as urgent as %s', async (urgency, work) => {
    const turns = await turnsOf(platform, work);
    expect(turns.length).toBeGreaterThan(0);
    expect(new Set(turns)).toEqual(new Set([{ urgency }]));
  });
});
