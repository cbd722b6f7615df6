/** Proves that bringing a catalogue in invents no stock, keeps what people mapped and tells numbers from their absence. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CatalogueEntry } from '../../src/connectors/connector.ts';
import { type CatalogueImport, importCatalogue, openItems } from '../../src/sync/catalogue.ts';
import { systemActor } from '../../src/sync/outcome.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;
let connection: fixtures.TestConnection;
let channel: support.ScriptedChannel;

beforeAll(async () => {
  open = await fixtures.openTestPool(4);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  connection = await fixtures.insertConnection(open.pool, await fixtures.insertAccount(open.pool));
  channel = support.createChannel();
});

const entry = (fields: Partial<CatalogueEntry> = {}): CatalogueEntry => ({
  address: { unitId: fixtures.unique('unit'), variantId: '' },
  sku: null,
  title: 'A thing',
  url: 'https://shop.example/thing',
  price: fixtures.euros(1_999),
  stock: { kind: 'quantity', quantity: 4 },
  writable: true,
  sellsBeyond: false,
  ...fields,
});

async function bringIn(...pages: readonly (readonly CatalogueEntry[])[]): Promise<CatalogueImport> {
  channel.cataloguePages = () => support.pages(...pages);
  const connected = await support.connectTo(open.pool, { shopify: channel }).open(connection.id);
  if (connected === null) throw new Error('the connection is not open');
  return importCatalogue(open.pool, connected);
}

async function listings(): Promise<Record<string, unknown>[]> {
  const { rows } = await open.pool.query(
    'SELECT id, item_id, sku, title, quantity, price_minor::int AS price, writable, sells_beyond, sync_enabled FROM listings WHERE connection_id = $1 ORDER BY unit_id, variant_id',
    [connection.id],
  );
  return rows;
}

const newItem = (sku: string): Promise<fixtures.TestItem> =>
  fixtures.insertItem(open.pool, connection.accountId, { sku, onHand: 7 });

const variant = (variantId: string) => entry({ address: { unitId: 'u', variantId } });

const openAll = (): Promise<number> => openItems(open.pool, connection.accountId, connection.id, systemActor);

async function items(): Promise<Record<string, unknown>[]> {
  const { rows } = await open.pool.query(
    'SELECT sku, quantity FROM inventory_items WHERE account_id = $1 ORDER BY sku',
    [connection.accountId],
  );
  return rows;
}

describe('importing', () => {
  test('matches by SKU and by alias over all pages, and counts what is left', async () => {
    const mug = await newItem('MUG');
    await fixtures.insertAlias(open.pool, mug, 'mug-old');
    const foreign = await fixtures.insertItem(open.pool, await fixtures.insertAccount(open.pool), {
      sku: 'FOREIGN',
    });
    const result = await bringIn(
      [entry({ sku: 'MUG' }), entry({ sku: 'mug-old' })],
      [entry({ sku: foreign.sku }), entry({ sku: null })],
    );
    expect(result).toEqual({ listings: 4, unmatched: 2 });
    expect((await listings()).filter((row) => row['item_id'] === mug.id)).toHaveLength(2);
  });

  test('moves no stock and writes to no channel', async () => {
    const mug = await newItem('MUG');
    await bringIn([entry({ sku: 'MUG' })]);
    expect(await readStock(open.pool, mug.id)).toMatchObject({ quantity: 7, seq: 1 });
    const { rows } = await open.pool.query('SELECT 1 FROM dirty_listings WHERE connection_id = $1', [
      connection.id,
    ]);
    expect(rows).toEqual([]);
  });

  test('again updates what the channel says, and keeps what people mapped and switched off', async () => {
    const [mug, plate] = [await newItem('MUG'), await newItem('PLATE')];
    const address = { unitId: 'u', variantId: '' };
    await bringIn([entry({ address, sku: 'MUG' })]);
    await open.pool.query('UPDATE listings SET item_id = $2, sync_enabled = false WHERE connection_id = $1', [
      connection.id,
      plate.id,
    ]);
    await bringIn([
      entry({ address, sku: 'MUG', title: 'New', price: null, stock: { kind: 'quantity', quantity: 9 } }),
    ]);
    expect(await listings()).toMatchObject([
      { item_id: plate.id, title: 'New', quantity: 9, price: null, sync_enabled: false },
    ]);
    expect(mug.id).not.toBe(plate.id);
  });

  test('knows a number from its absence: not tracked is never written, unknown is no zero', async () => {
    await bringIn([
      entry({ address: { unitId: '1', variantId: '' }, stock: { kind: 'quantity', quantity: 0 } }),
      entry({ address: { unitId: '2', variantId: '' }, stock: { kind: 'notTracked' } }),
      entry({ address: { unitId: '3', variantId: '' }, stock: { kind: 'unknown', reason: 'no row' } }),
      entry({ address: { unitId: '4', variantId: '' }, writable: false }),
    ]);
    expect((await listings()).map(({ quantity, writable }) => [quantity, writable])).toEqual([
      [0, true],
      [null, false],
      [null, true],
      [4, false],
    ]);
  });

  test('keeps whether the channel sells a listing beyond its number, by the newest word', async () => {
    const address = { unitId: 'u', variantId: '' };
    const imported: unknown[] = [];
    for (const sellsBeyond of [false, true, false]) {
      await bringIn([entry({ address, sellsBeyond })]);
      imported.push((await listings())[0]?.['sells_beyond']);
    }
    expect(imported).toEqual([false, true, false]);
  });

  test('tells the variants of one unit apart', async () => {
    expect(await bringIn([variant('red'), variant('blue')])).toEqual({ listings: 2, unmatched: 2 });
  });

  test('survives a channel that names a listing twice on one page', async () => {
    const address = { unitId: 'u', variantId: '' };
    await bringIn([entry({ address, title: 'old' }), entry({ address, title: 'new' })]);
    expect(await listings()).toMatchObject([{ title: 'new' }]);
  });
});

describe('opening items', () => {
  test('makes one item per unknown SKU with an opening movement, and matches every listing that carries it', async () => {
    await newItem('KNOWN');
    await bringIn([
      entry({ sku: 'A' }),
      entry({ sku: 'A', stock: { kind: 'quantity', quantity: 2 } }),
      entry({ sku: 'B', stock: { kind: 'unknown', reason: '' } }),
      entry({ sku: 'KNOWN' }),
      entry(),
    ]);
    expect(await openAll()).toBe(2);
    // Of two listings that show different numbers the lower one is safe.
    expect(await items()).toEqual([
      { sku: 'A', quantity: 2 },
      { sku: 'B', quantity: 0 },
      { sku: 'KNOWN', quantity: 7 },
    ]);
    expect((await listings()).filter(({ item_id: itemId }) => itemId === null)).toHaveLength(1);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('twice, or by two at once, opens nothing twice', async () => {
    await bringIn([entry({ sku: 'A' }), entry({ sku: 'B' })]);
    await Promise.all([openAll(), openAll()]);
    expect(await openAll()).toBe(0);
    expect(await items()).toEqual([
      { sku: 'A', quantity: 4 },
      { sku: 'B', quantity: 4 },
    ]);
  });
});
