/** Amazon: a feed whose creation was answered with nothing is found again by the time at which it was sent, and nothing is concluded before it can only have ended. */
import { describe, expect, test } from 'vitest';
import type { QueuedWrite } from '../../src/connectors/connector.ts';
import { assertAmazonAnswer } from '../support/amazonSpecification.ts';
import { describeBySpecification } from '../support/specifications.ts';
import { amazonExamples } from './amazonExamples.ts';
import { feedCreated, feedEnded, startFeedSeller } from './amazonFeedSeller.ts';
import { marketplaceId } from './amazonSeller.ts';
import type { Answer, ReceivedRequest } from './localChannel.ts';

const sent = Date.parse(feedCreated);
const minute = 60_000;
/** A minute's writes, created within two minutes, by clocks that are two minutes apart. */
const over = sent + 5 * minute + 1;
const at = (time: number) => new Date(time);
const iso = (time: number) => at(time).toISOString();

const feed = (feedId: string, processingStatus: string, processingEndTime: string | null = null) => ({
  feedId,
  feedType: 'JSON_LISTINGS_FEED',
  marketplaceIds: [marketplaceId],
  createdTime: feedCreated,
  processingStatus,
  ...(processingEndTime === null ? {} : { processingEndTime }),
});
function listed(...feeds: readonly object[]): Answer {
  assertAmazonAnswer('GET', '/feeds/2021-06-30/feeds', 200, { feeds });
  return { json: { feeds } };
}
const lostWrite = (sku: string, more: Partial<QueuedWrite> = {}): QueuedWrite => ({
  address: { unitId: sku, variantId: '' },
  reference: `feeds/${iso(sent)}`,
  sentAt: at(sent),
  ...more,
});

/** A seller whose clock is set by hand. */
async function sellerAt(time: number, answers: Parameters<typeof startFeedSeller>[0] = {}) {
  const clock = { time };
  const seller = await startFeedSeller(answers, { now: () => clock.time });
  const ask = async (...queued: readonly QueuedWrite[]) => (await seller.connector.submitted?.(queued)) ?? [];
  return { ...seller, clock, ask };
}

describe('a feed whose creation was answered with nothing', () => {
  test('is asked for under a reference of its own: open while any feed of that time stands, then ended', async () => {
    let answer = listed(feed('1', 'DONE', feedEnded), feed('2', 'IN_QUEUE'));
    await using seller = await sellerAt(sent, { createFeed: 'lost', getFeeds: () => answer });
    const writes = Array.from({ length: 51 }, (_unused, index) => ({
      address: { unitId: `S${index}`, variantId: '' },
      quantity: 3,
      expected: null,
      key: `key-${index}`,
      mayQueue: true as const,
    }));
    const results = await seller.connector.setStock(writes);
    const reference = `feeds/${iso(sent)}`;
    expect(results).toMatchObject(writes.map(() => ({ kind: 'unknown', error: 'network', reference })));
    expect(seller.asked('createFeed')).toHaveLength(1);
    expect(seller.asked('patch')).toEqual([]);
    const queued = writes.map(({ address }) => ({ address, reference, sentAt: at(sent) }));
    const all = async () => [...new Set((await seller.ask(...queued)).map((said) => JSON.stringify(said)))];
    const open = [JSON.stringify({ kind: 'open' })];

    seller.clock.time = over;
    expect(await all()).toEqual(open);
    answer = listed(feed('1', 'DONE', feedEnded), feed('2', 'IN_PROGRESS'));
    expect(await all()).toEqual(open);
    const last = '2026-11-22T08:09:00.000Z';
    answer = listed(
      feed('1', 'DONE', feedEnded),
      feed('2', 'FATAL', last),
      feed('3', 'CANCELLED', feedEnded),
    );
    expect(await all()).toEqual([JSON.stringify({ kind: 'ended', at: last, refused: null })]);
    expect(seller.asked('getFeeds')).toHaveLength(3);
    expect(seller.asked('getFeed')).toEqual([]);
  });

  test('is open, unasked, for as long as it may still be created', async () => {
    await using seller = await sellerAt(over - 1);
    expect(await seller.ask(lostWrite('S1'))).toEqual([{ kind: 'open' }]);
    expect(seller.asked('getFeeds')).toEqual([]);
    seller.clock.time = over;
    expect(await seller.ask(lostWrite('S1'))).toMatchObject([{ kind: 'ended' }]);
  });

  test('is looked for among the feeds of its marketplace, from before it was sent until it can have been created', async () => {
    await using seller = await sellerAt(over);
    await seller.ask(lostWrite('S1'));
    const [request] = seller.asked('getFeeds');
    expect(Object.fromEntries(request?.query ?? [])).toEqual({
      feedTypes: 'JSON_LISTINGS_FEED',
      marketplaceIds: marketplaceId,
      createdSince: iso(sent - 2 * minute),
      createdUntil: iso(sent + 5 * minute),
      pageSize: '100',
    });
  });

  test('is found by when it was sent where even its reference was lost', async () => {
    await using seller = await sellerAt(over, { getFeeds: listed(feed('1', 'IN_QUEUE')) });
    const without = lostWrite('S1', { reference: null, sentAt: at(sent + 59_999) });
    expect(await seller.ask(without)).toEqual([{ kind: 'open' }]);
    expect(seller.asked('getFeeds')[0]?.query.get('createdSince')).toBe(iso(sent - 2 * minute));
  });

  test('is asked for once for all writes of its minute, and of its end no more', async () => {
    await using seller = await sellerAt(over + minute);
    const same = [lostWrite('S1'), lostWrite('S2', { reference: null, sentAt: at(sent + 10_000) })];
    const later = lostWrite('S3', { reference: `feeds/${iso(sent + minute)}` });
    const ended = { kind: 'ended', at: at(seller.clock.time), refused: null };
    expect(await seller.ask(...same, later)).toEqual([ended, ended, ended]);
    expect(seller.asked('getFeeds')).toHaveLength(2);
    seller.clock.time += minute;
    expect(await seller.ask(...same)).toEqual([ended, ended]);
    expect(seller.asked('getFeeds')).toHaveLength(2);
  });

  test('may be on any page, and a page is asked for by its token alone', async () => {
    let last = [feed('201', 'IN_PROGRESS')];
    const page = ({ query }: ReceivedRequest): Answer =>
      query.get('nextToken') === null
        ? { json: { feeds: [feed('1', 'DONE', feedEnded)], nextToken: 'second' } }
        : { json: { feeds: last } };
    await using seller = await sellerAt(over, { getFeeds: page });
    expect(await seller.ask(lostWrite('S1'))).toEqual([{ kind: 'open' }]);
    expect(Object.fromEntries(seller.asked('getFeeds')[1]?.query ?? [])).toEqual({ nextToken: 'second' });
    last = [feed('201', 'DONE', '2026-11-22T08:03:00Z')];
    expect(await seller.ask(lostWrite('S1'))).toEqual([
      { kind: 'ended', at: new Date(feedEnded), refused: null },
    ]);
  });

  test('ends now where Amazon names no time of its end', async () => {
    await using seller = await sellerAt(over, { getFeeds: listed(feed('1', 'CANCELLED')) });
    expect(await seller.ask(lostWrite('S1'))).toEqual([{ kind: 'ended', at: at(over), refused: null }]);
  });

  test.each<[string, Answer, string]>([
    ['Amazon fails', { status: 503 }, 'unavailable'],
    ['there were too many questions', { status: 429 }, 'rate_limited'],
    ['Amazon says what nobody understands', { json: { feeds: [feed('1', 'RESTING')] } }, 'invalid_response'],
  ])('cannot be said now where %s, and is asked for again', async (_name, answer, code) => {
    await using seller = await sellerAt(over, { getFeeds: answer });
    expect(await seller.ask(lostWrite('S1'))).toMatchObject([{ kind: 'unknown', error: code }]);
    const before = seller.asked('getFeeds').length;
    seller.clock.time += 10 * minute;
    await seller.ask(lostWrite('S1'));
    expect(seller.asked('getFeeds').length).toBeGreaterThan(before);
  });

  test('with a reference of no time is left to what is read', async () => {
    await using seller = await sellerAt(over);
    expect(await seller.ask(lostWrite('S1', { reference: 'feeds/soon' }))).toMatchObject([{ kind: 'ended' }]);
    expect(seller.channel.requests).toEqual([]);
  });
});

describeBySpecification('the examples of the official model of lists of feeds', () => {
  const examples = amazonExamples().filter(
    ({ model, operation }) => model === 'feeds_2021-06-30' && operation === 'getFeeds',
  );
  test.each(examples.map((example) => [`getFeeds ${example.status}`, example] as const))(
    '%s',
    async (_name, { status, response }) => {
      await using seller = await sellerAt(over, {
        getFeeds: ({ query }) =>
          query.has('nextToken') ? { json: { feeds: [] } } : { status, json: response },
      });
      expect(await seller.ask(lostWrite('S1'))).toMatchObject(
        status === 200
          ? [{ kind: 'ended', at: new Date('2024-03-11T13:16:24.630Z'), refused: null }]
          : [{ kind: 'unknown', error: 'rejected' }],
      );
    },
  );
});
