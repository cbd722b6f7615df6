/** Proves that what is not written to is read in turn and compared, beside whatever tool writes there, and that looking changes nothing else. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError } from '../../src/connectors/connector.ts';
import { importCatalogue } from '../../src/sync/catalogue.ts';
import { observationWords } from '../../src/sync/observations.ts';
import { readConnection } from '../../src/sync/reads.ts';
import { setRule, switchSync } from '../../src/sync/rules.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { intervalMs, type ObservedShop, openObservedShop, paceMs } from '../support/observedShop.ts';

let open: fixtures.TestPool;
let shop: ObservedShop;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openObservedShop(open.pool);
});

const set = (sql: string, id: string) => open.pool.query(`UPDATE ${sql} WHERE id = $1`, [id]);

describe('a listing that nothing is written to', () => {
  test('is read at once, again after the interval and no more often, in the last turn of the budget', async () => {
    const one = await shop.offered(5, 7);
    await shop.look();
    expect(await shop.listed(one)).toMatchObject({ quantity: 7, error: null });
    support.show(shop.channel, one, 6);
    await shop.pass(intervalMs - paceMs);
    await shop.look();
    expect(shop.asked()).toEqual([[one.unitId]]);
    await shop.pass(paceMs);
    await shop.look();
    expect(shop.asked()).toEqual([[one.unitId], [one.unitId]]);
    expect(shop.channel.readTurns).toEqual([{ urgency: 'import' }, { urgency: 'import' }]);
    expect(await shop.listed(one)).toMatchObject({ quantity: 6 });
  });

  test('has its turn after those not looked at for longer, a batch at a time, and at most one batch in a while, however many look', async () => {
    const listed = [];
    for (let made = 0; made < 5; made += 1) listed.push(await shop.offered(5, 5));
    for (const [index, { listingId }] of listed.entries())
      await set(
        `listings SET observed_at = now() - interval '1 h' - ${10 - index} * interval '1 s'`,
        listingId,
      );
    const units = listed.map(({ unitId }) => unitId);
    await Promise.all([shop.look({ batchMax: 2 }), shop.look({ batchMax: 2 }), shop.look({ batchMax: 2 })]);
    expect(shop.asked()).toEqual([units.slice(0, 2)]);
    for (let turn = 0; turn < 4; turn += 1) {
      await shop.pass(paceMs);
      await shop.look({ batchMax: 2 });
    }
    expect(shop.asked()).toEqual([units.slice(0, 2), units.slice(2, 4), units.slice(4)]);
  });

  test('is one that is switched off, whose connection is, or whose number the channel owns, but none without an item', async () => {
    const off = await shop.offered(5, 5);
    const owned = await shop.offered(5, 5, { writable: false });
    const written = await shop.offered(5, 5, {});
    await fixtures.insertListing(open.pool, shop.connection, { itemId: null, syncEnabled: false });
    await shop.look();
    expect(shop.asked().flat().toSorted()).toEqual([off.unitId, owned.unitId].toSorted());
    await set('connections SET sync_enabled = false', shop.connection.id);
    await shop.pass(paceMs);
    await shop.look();
    expect(shop.asked()[1]).toEqual([written.unitId]);
  });

  test.each(['paused', 'needs_authorization', 'disconnected'])(
    'is never read while its connection is %s',
    async (status) => {
      await shop.offered(5, 5);
      await set(`connections SET status = '${status}'`, shop.connection.id);
      await shop.look();
      expect(shop.asked()).toEqual([]);
      expect(await shop.report()).toMatchObject({ listings: 0 });
    },
  );

  test('of a protected item keeps to its shadow', async () => {
    const one = await shop.offered(5, 5);
    await set(`inventory_items SET protection = 'escrow'`, one.item.id);
    await shop.look();
    expect(shop.asked()).toEqual([]);
    expect(await shop.compared(one)).toBeNull();
    await support.insertShadow(open.pool, shop.channel, one.listingId, 5);
    await open.pool.query(`UPDATE shadows SET read_due_at = now() - interval '1 s' WHERE listing_id = $1`, [
      one.listingId,
    ]);
    const connections = support.connectTo(open.pool, { shopify: shop.channel });
    await readConnection(support.readOptions(open.pool, connections), shop.connection.id);
    expect(shop.asked()).toEqual([[one.unitId]]);
  });
});

describe('a look', () => {
  test('at a number that another tool lowered with a sale of ours leaves ledger, shadows, conflicts, alerts and writes as they were', async () => {
    const one = await shop.offered(5, 5);
    const here = { connection: shop.other.connection, channel: shop.other.channel };
    await fixtures.insertListing(open.pool, here.connection, { itemId: one.item.id });
    // From before it was switched off.
    await support.insertShadow(open.pool, shop.channel, one.listingId, 5);
    await shop.look();
    // A sale elsewhere, which the other tool copies, and then it shows none at all, and then far too many.
    await support.moveStock(open.pool, one.item, -1);
    const before = await shop.untouched();
    for (const shows of [4, 0, 400]) {
      support.show(shop.channel, one, shows);
      await shop.pass(intervalMs);
      await shop.look();
      expect(await shop.listed(one)).toMatchObject({ quantity: shows });
    }
    expect(await shop.untouched()).toEqual(before);
    expect(shop.channel.writes).toEqual([]);
  });

  test('that finds nothing counted, or nothing at all, changes nothing but what went wrong, until a number is read again', async () => {
    const [untracked, gone] = [await shop.offered(5, 5), await shop.offered(5, 7)];
    await shop.look();
    const before = [await shop.listed(untracked), await shop.listed(gone)];
    shop.channel.onRead = ({ unitId }) =>
      unitId === gone.unitId ? { kind: 'unknown', reason: 'no such listing' } : { kind: 'notTracked' };
    await shop.pass(intervalMs);
    await shop.look();
    const after = [await shop.listed(untracked), await shop.listed(gone)];
    expect(after.map(({ error }) => error)).toEqual([
      'the channel does not track stock of this listing',
      'no such listing',
    ]);
    expect(after.map(({ quantity, at }) => [quantity, at])).toEqual(
      before.map(({ quantity, at }) => [quantity, at]),
    );
    expect(await shop.report()).toMatchObject({ listings: 2, unreadable: 2, differing: 1, oldestAt: null });
    shop.channel.onRead = () => ({ kind: 'quantity', quantity: 5 });
    await shop.pass(intervalMs);
    await shop.look();
    expect(await shop.listed(gone)).toMatchObject({ quantity: 5, error: null });
  });

  test('that fails changes nothing, is reported, and is repeated soon', async () => {
    const one = await shop.offered(5, 7);
    shop.channel.onRead = () => {
      throw new ChannelError('unavailable', 'down for maintenance');
    };
    await shop.look();
    expect(await shop.listed(one)).toMatchObject({ quantity: null, error: null });
    expect(await shop.error()).toContain('down for maintenance');
    shop.channel.onRead = () => ({ kind: 'quantity', quantity: 7 });
    await shop.pass(intervalMs / 12);
    await shop.look();
    expect(await shop.listed(one)).toMatchObject({ quantity: 7 });
    expect(await shop.error()).toBeNull();
  });

  test('that finds the budget spent by others is no fault of the channel', async () => {
    await shop.offered(5, 7);
    shop.channel.onRead = () => {
      throw new ChannelError('rate_limited', 'the rate budget is spent');
    };
    await shop.look();
    expect(shop.asked()).toHaveLength(1);
    expect(await shop.error()).toBeNull();
  });

  test('leaves what an import has learnt while the channel was asked', async () => {
    const one = await shop.offered(5, 7);
    shop.channel.onRead = async () => {
      const entry = {
        address: { unitId: one.unitId, variantId: '' },
        sku: null,
        title: 'Mug',
        url: null,
        price: null,
        stock: { kind: 'quantity', quantity: 3 },
        writable: true,
        sellsBeyond: false,
      } as const;
      shop.channel.cataloguePages = () => support.pages([entry]);
      const connections = support.connectTo(open.pool, { shopify: shop.channel });
      const channel = await connections.open(shop.connection.id);
      if (channel !== null) await importCatalogue(open.pool, channel);
      return { kind: 'quantity', quantity: 7 };
    };
    await shop.look();
    expect(await shop.listed(one)).toMatchObject({ quantity: 3 });
  });

  test('says nothing of a listing that was switched on while the channel was asked', async () => {
    const one = await shop.offered(5, 7);
    shop.channel.onRead = async () => {
      await set('listings SET sync_enabled = true', one.listingId);
      return { kind: 'quantity', quantity: 7 };
    };
    await shop.look();
    expect(await shop.listed(one)).toMatchObject({ quantity: null });
  });

  test('that finds what is known already is no change of the listing', async () => {
    const one = await shop.offered(5, 7);
    await shop.look();
    const { updated, at } = await shop.listed(one);
    await set(`listings SET quantity_at = quantity_at - interval '1 h'`, one.listingId);
    await shop.pass(intervalMs);
    await shop.look();
    const again = await shop.listed(one);
    expect(again.updated).toEqual(updated);
    expect(again.at?.getTime()).toBeGreaterThanOrEqual(at?.getTime() ?? Number.NaN);
  });
});

describe('a difference', () => {
  test('is told with what sync would show, and is gone once the numbers are the same', async () => {
    const one = await shop.offered(5, 7);
    await shop.look();
    expect(await shop.compared(one)).toEqual({ wouldShow: 5, differs: true });
    expect(await shop.report()).toMatchObject({
      listings: 1,
      differing: 1,
      unreadable: 0,
      differingIds: [one.listingId],
    });
    support.show(shop.channel, one, 5);
    await shop.pass(intervalMs);
    await shop.look();
    expect(await shop.compared(one)).toEqual({ wouldShow: 5, differs: false });
    expect(await shop.report()).toMatchObject({ differing: 0, differingIds: [] });
  });

  test('is by the rules of all levels and the most that the channel shows', async () => {
    const caller = {
      accountId: shop.accountId,
      actor: { kind: 'user', id: 'ada' },
      correlationId: 'test',
    } as const;
    const rules = { pool: open.pool, onDirty: () => undefined, onResumed: () => undefined };
    shop.channel.capabilities.quantityMax = 8;
    const [ruled, capped] = [await shop.offered(5, 3), await shop.offered(20, 8)];
    await setRule(rules, caller, { place: { level: 'listing', id: ruled.listingId }, rule: { buffer: 2 } });
    await shop.look();
    expect(await shop.compared(ruled)).toEqual({ wouldShow: 3, differs: false });
    expect(await shop.compared(capped)).toEqual({ wouldShow: 8, differs: false });
    await support.moveStock(open.pool, ruled.item, -1);
    // What sync would show is of now; whether it differed, of the newest look: the other tool may have copied the sale meanwhile.
    expect(await shop.compared(ruled)).toEqual({ wouldShow: 2, differs: false });
  });

  test('is none where the channel owns the number, and is forgotten where numbers are written', async () => {
    const owned = await shop.offered(5, 40, { writable: false });
    const one = await shop.offered(5, 7);
    await shop.look();
    expect(await shop.compared(owned)).toEqual({ wouldShow: null, differs: false });
    const caller = {
      accountId: shop.accountId,
      actor: { kind: 'user', id: 'ada' },
      correlationId: 'test',
    } as const;
    const rules = { pool: open.pool, onDirty: () => undefined, onResumed: () => undefined };
    await switchSync(rules, caller, { place: { level: 'listing', id: one.listingId }, enabled: true });
    expect(await shop.compared(one)).toBeNull();
    expect(await shop.report()).toMatchObject({ listings: 1, differing: 0, differingIds: [] });
  });

  test('is counted with the oldest number, and no account is told of those of another', async () => {
    const [old, fresh] = [await shop.offered(5, 5), await shop.offered(5, 6)];
    await shop.look();
    await set(`listings SET quantity_at = now() - interval '2 h'`, old.listingId);
    const report = await shop.report();
    expect(report).toMatchObject({ listings: 2, differing: 1, differingIds: [fresh.listingId] });
    expect(Date.now() - (report?.oldestAt?.getTime() ?? 0)).toBeGreaterThan(7_000_000);
    const stranger = await openObservedShop(open.pool);
    expect(await stranger.compared(old)).toBeNull();
  });

  test.each([
    [{ listings: 0, differing: 0, unreadable: 0 }, 'Nothing is observed.'],
    [
      { listings: 1, differing: 1, unreadable: 0 },
      'Of 1 observed listing 1 shows another number than sync would.',
    ],
    [
      { listings: 9, differing: 0, unreadable: 2 },
      'Of 9 observed listings none shows another number than sync would; 2 cannot be read.',
    ],
    [
      { listings: 9, differing: 0, unreadable: 2, unseen: 6 },
      'Of 9 observed listings none shows another number than sync would; 2 cannot be read; 6 were not looked at yet.',
    ],
  ])('is said in plain words: %j', (counts, words) => {
    const nothing = { connectionId: '', oldestAt: null, unseen: 0, differingIds: [] };
    expect(observationWords({ ...nothing, ...counts })).toBe(words);
  });
});
