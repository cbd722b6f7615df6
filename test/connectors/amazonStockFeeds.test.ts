/** Amazon: raises that may wait for a queue leave as one feed, with the patches of single calls; where there certainly is no feed they leave one by one. */
import { describe, expect, test } from 'vitest';
import type { Connector, QueuedWrite, StockWrite, StockWriteResult } from '../../src/connectors/connector.ts';
import { feedCreated, feedEnded, reportOf, startFeedSeller } from './amazonFeedSeller.ts';
import type { Answer } from './localChannel.ts';
import { recording } from './recordings.ts';

const alone = (sku: string, quantity = 7): StockWrite => ({
  address: { unitId: sku, variantId: '' },
  quantity,
  expected: null,
  key: `key-${sku}`,
});
const write = (sku: string, quantity = 7): StockWrite => ({ ...alone(sku, quantity), mayQueue: true });
const writes = (count: number) =>
  Array.from({ length: count }, (_unused, index) => write(`S${index + 1}`, index));
const kinds = (results: readonly StockWriteResult[]) => [...new Set(results.map(({ kind }) => kind))];
const isQueued = (result: StockWriteResult) => result.kind === 'accepted' && result.queued === true;
const patch = (quantity: number) => ({
  op: 'merge',
  path: '/attributes/fulfillment_availability',
  value: [{ fulfillment_channel_code: 'DEFAULT', quantity }],
});
const queued = (messageId: number): QueuedWrite => ({
  address: { unitId: `S${messageId}`, variantId: '' },
  reference: `feed/77/${messageId}`,
  sentAt: new Date(feedCreated),
});
const outcomes = (connector: Connector, ...all: readonly QueuedWrite[]) => connector.submitted?.(all);

describe('raises that may wait for a queue', () => {
  test('are one call each up to fifty, and one feed beyond', async () => {
    await using few = await startFeedSeller();
    const single = await few.connector.setStock(writes(50));
    expect(kinds(single)).toEqual(['accepted']);
    expect(single.some(isQueued)).toBe(false);
    expect(few.asked('patch')).toHaveLength(50);
    expect(few.asked('createFeed')).toEqual([]);
    await using many = await startFeedSeller();
    expect(await many.connector.setStock(writes(51))).toEqual(
      writes(51).map((_one, index) => ({
        kind: 'accepted',
        reference: `feed/77/${index + 1}`,
        queued: true,
      })),
    );
    expect(many.asked('patch')).toEqual([]);
    expect(many.asked('createFeed')).toHaveLength(1);
  });

  test('are one call each where a single one of them may not wait', async () => {
    await using seller = await startFeedSeller();
    const results = await seller.connector.setStock([...writes(60), alone('S61')]);
    expect(kinds(results)).toEqual(['accepted']);
    expect(results.some(isQueued)).toBe(false);
    expect(seller.asked('patch')).toHaveLength(61);
    expect(seller.asked('createFeedDocument')).toEqual([]);
  });

  test('are the very patches that single calls would send', async () => {
    await using seller = await startFeedSeller();
    await seller.connector.setStock(writes(51));
    expect(JSON.parse(seller.asked('upload')[0]?.body ?? '')).toEqual({
      header: { sellerId: 'A1SELLER', version: '2.0', issueLocale: 'en_US' },
      messages: writes(51).map(({ address, quantity }, index) => ({
        messageId: index + 1,
        sku: address.unitId,
        operationType: 'PATCH',
        productType: 'MUG',
        patches: [patch(quantity)],
      })),
    });
    await using single = await startFeedSeller();
    await single.connector.setStock([write('S1', 4)]);
    expect(JSON.parse(single.asked('patch')[0]?.body ?? '')).toEqual({
      productType: 'MUG',
      patches: [patch(4)],
    });
  });

  test('leave without those that Amazon does not know or stocks itself, and these count for nothing', async () => {
    await using seller = await startFeedSeller();
    const results = await seller.connector.setStock([write('GONE'), write('FBA'), ...writes(51)]);
    expect(results.slice(0, 3)).toMatchObject([
      { kind: 'rejected', code: 'not_found' },
      { kind: 'rejected', code: 'fulfilled_by_amazon' },
      { kind: 'accepted', reference: 'feed/77/1', queued: true },
    ]);
    expect(seller.asked('upload')[0]?.body).not.toContain('"FBA"');
    await using fewer = await startFeedSeller();
    const single = await fewer.connector.setStock([write('GONE'), write('FBA'), ...writes(50)]);
    expect(single.some(isQueued)).toBe(false);
    expect(fewer.asked('patch')).toHaveLength(50);
  });

  test.each<[string, 'createFeedDocument' | 'upload' | 'createFeed', Answer]>([
    ['no document is given', 'createFeedDocument', { status: 403, json: { errors: [] } }],
    ['the storage answers nothing', 'upload', 'lost'],
    ['too many feeds were created', 'createFeed', { status: 429, json: recording('amazon/quotaExceeded') }],
    ['the feed is refused', 'createFeed', { status: 400, json: { errors: [] } }],
  ])('leave one by one where %s, and for a while there is no queue', async (_name, call, answer) => {
    let at = Date.parse(feedCreated);
    await using seller = await startFeedSeller({ [call]: answer }, { now: () => at });
    expect(seller.connector.capabilities.stockQueue).not.toBeNull();
    const results = await seller.connector.setStock(writes(51));
    expect(kinds(results)).toEqual(['accepted']);
    expect(results.some(isQueued)).toBe(false);
    expect(seller.asked('patch')).toHaveLength(51);
    expect(seller.connector.capabilities.stockQueue).toBeNull();
    const tries = seller.asked(call).length;
    await seller.connector.setStock(writes(51));
    expect(seller.asked(call)).toHaveLength(tries);
    expect(seller.asked('patch')).toHaveLength(102);
    at += 300_000;
    expect(seller.connector.capabilities.stockQueue).not.toBeNull();
  });

  test('leave one by one once three feeds have left, those of prices counted', async () => {
    await using seller = await startFeedSeller();
    const price = { minor: 2_599, currency: 'USD' };
    const prices = writes(51).map(({ address }) => ({ address, price }));
    for (let feed = 1; feed <= 2; feed += 1) await seller.connector.setPrices(prices);
    await seller.connector.setStock(writes(51));
    expect(seller.asked('createFeed')).toHaveLength(3);
    await seller.connector.setStock(writes(51));
    expect(seller.asked('createFeed')).toHaveLength(3);
    expect(seller.asked('patch')).toHaveLength(51);
  });

  test('of four hundred SKUs are read and sent within the usual turn', async () => {
    await using seller = await startFeedSeller();
    const leaveBy = seller.context.now() + 5_000;
    const results = await seller.connector.setStock(writes(400), { urgency: 'raise', leaveBy });
    expect(results.every(isQueued)).toBe(true);
    expect(seller.asked('search')).toHaveLength(20);
    expect(seller.context.now()).toBeLessThan(leaveBy);
  });

  test('come again where their turn ends before they are read, and those that were read leave', async () => {
    await using seller = await startFeedSeller();
    const leaveBy = seller.context.now() + 1_000;
    const results = await seller.connector.setStock(writes(400), { urgency: 'raise', leaveBy });
    const again = results.filter(({ kind }) => kind === 'deferred');
    expect(again.length).toBeGreaterThan(0);
    expect(results.filter(isQueued)).toHaveLength(400 - again.length);
    expect(seller.asked('createFeed')).toHaveLength(1);
  });

  test('that are still there when their turn is over are sent in no way', async () => {
    await using seller = await startFeedSeller();
    const turn = { urgency: 'raise', leaveBy: seller.context.now() - 1 } as const;
    expect(kinds(await seller.connector.setStock(writes(51), turn))).toEqual(['deferred']);
    expect(seller.channel.requests).toEqual([]);
  });
});

test('what the report refuses of a quantity is told with Amazon’s code, and the others are read', async () => {
  const issue = {
    messageId: 2,
    severity: 'ERROR',
    code: '90000900',
    message: 'no such number',
    attributeName: 'fulfillment_availability',
  };
  await using seller = await startFeedSeller({ download: { json: reportOf([issue]) } });
  await seller.connector.setStock(writes(51));
  const ended = { kind: 'ended', at: new Date(feedEnded), refused: null };
  expect(await outcomes(seller.connector, queued(1), queued(2))).toEqual([
    ended,
    { ...ended, refused: { refusal: 'other', code: '90000900', message: 'no such number' } },
  ]);
});

test('a queue is offered from as many waiting listings as the connection says, for calls of 51 to 400', async () => {
  await using usual = await startFeedSeller();
  const sizes = { callMin: 51, callMax: 400, landingMs: 1_200_000 };
  expect(usual.connector.capabilities.stockQueue).toEqual({ waitingMin: 1_500, ...sizes });
  await using eager = await startFeedSeller({}, { stockFeedMin: 51 });
  expect(eager.connector.capabilities.stockQueue).toEqual({ waitingMin: 51, ...sizes });
});
