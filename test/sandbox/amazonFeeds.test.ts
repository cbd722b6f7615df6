/** Amazon's feeds: upload, queue, processing, report. */

import { describe, expect, it } from 'vitest';
import { assertAmazonDocument } from '../support/amazonSpecification.ts';
import { type AmazonBench, marketplaceId, quantityPatch, sellerId, withAmazon } from './amazonBench.ts';

const contentType = 'application/json; charset=UTF-8';

const quantityMessage = (messageId: number, sku: string, quantity: number) => ({
  messageId,
  sku,
  operationType: 'PATCH',
  ...quantityPatch(quantity, 'PRODUCT'),
});

const feedOf = (messages: readonly unknown[]) => ({
  header: { sellerId, version: '2.0', issueLocale: 'en_US' },
  messages,
});

async function createDocument({ call }: AmazonBench) {
  const answer = await call('POST', '/feeds/2021-06-30/documents', { body: { contentType } });
  expect(answer.status).toBe(201);
  return answer.body as { feedDocumentId: string; url: string };
}

const upload = (url: string, content: unknown, type = contentType) =>
  fetch(url, { method: 'PUT', headers: { 'content-type': type }, body: JSON.stringify(content) });

async function submit(bench: AmazonBench, content: unknown): Promise<string> {
  const { feedDocumentId, url } = await createDocument(bench);
  expect((await upload(url, content)).status).toBe(200);
  const answer = await bench.call('POST', '/feeds/2021-06-30/feeds', {
    body: {
      feedType: 'JSON_LISTINGS_FEED',
      marketplaceIds: [marketplaceId],
      inputFeedDocumentId: feedDocumentId,
    },
  });
  expect(answer.status).toBe(202);
  return (answer.body as { feedId: string }).feedId;
}

async function stateOf({ call }: AmazonBench, feedId: string) {
  const answer = await call('GET', `/feeds/2021-06-30/feeds/${feedId}`);
  expect(answer.status).toBe(200);
  return answer.body as { processingStatus: string; resultFeedDocumentId?: string };
}

async function reportOf(bench: AmazonBench, feedId: string): Promise<unknown> {
  const { resultFeedDocumentId = '' } = await stateOf(bench, feedId);
  const answer = await bench.call('GET', `/feeds/2021-06-30/documents/${resultFeedDocumentId}`);
  const { url } = answer.body as { url: string };
  return (await fetch(url)).json();
}

describe('a listings feed', () => {
  it('waits, is processed, and is done with a report', () =>
    withAmazon(
      async (bench) => {
        const feed = feedOf([quantityMessage(1, 'MUG-BLUE', 3)]);
        assertAmazonDocument('feed', feed);
        const feedId = await submit(bench, feed);
        expect(await stateOf(bench, feedId)).toMatchObject({ processingStatus: 'IN_QUEUE' });
        bench.clock.advance(1_000);
        expect(await stateOf(bench, feedId)).toMatchObject({ processingStatus: 'IN_PROGRESS' });
        expect(bench.variant('MUG-BLUE').quantity).toBe(5);
        bench.clock.advance(1_000);
        expect(await stateOf(bench, feedId)).toMatchObject({ processingStatus: 'DONE' });
        expect(bench.variant('MUG-BLUE').quantity).toBe(3);
        const report = await reportOf(bench, feedId);
        assertAmazonDocument('report', report);
        expect(report).toMatchObject({
          header: { feedId },
          summary: { messagesProcessed: 1, messagesAccepted: 1 },
        });
      },
      { feedStepMs: { min: 1_000, max: 1_000 } },
    ));

  it('accepts the good messages and reports the bad ones by message and SKU', () =>
    withAmazon(async (bench) => {
      const feedId = await submit(
        bench,
        feedOf([
          quantityMessage(1, 'MUG-BLUE', 2),
          quantityMessage(2, 'MUG-BLUE', -4),
          quantityMessage(3, 'MUG-RED', 4),
          { messageId: 4, sku: 'MUG-BLUE', operationType: 'PATCH' },
        ]),
      );
      const report = await reportOf(bench, feedId);
      assertAmazonDocument('report', report);
      expect(report).toMatchObject({
        issues: [{ messageId: 2, sku: 'MUG-BLUE' }, { messageId: 3, sku: 'MUG-RED' }, { severity: 'ERROR' }],
        summary: { errors: 3, messagesProcessed: 4, messagesAccepted: 1, messagesInvalid: 3 },
      });
      expect(bench.variant('MUG-BLUE').quantity).toBe(2);
      expect(bench.variant('MUG-RED').quantity).toBe(9);
    }));

  it('accepted is not in effect: the write still takes its time', () =>
    withAmazon(
      async (bench) => {
        const feedId = await submit(bench, feedOf([quantityMessage(1, 'MUG-BLUE', 1)]));
        expect(await stateOf(bench, feedId)).toMatchObject({ processingStatus: 'DONE' });
        expect(bench.variant('MUG-BLUE').quantity).toBe(5);
        bench.clock.advance(30_000);
        expect(bench.variant('MUG-BLUE').quantity).toBe(1);
      },
      {},
      { writeEffectMs: { min: 30_000, max: 30_000 } },
    ));

  it('ends FATAL without a report when it is no listings feed', () =>
    withAmazon(async (bench) => {
      const state = await stateOf(bench, await submit(bench, { header: {} }));
      expect(state.processingStatus).toBe('FATAL');
      expect(state.resultFeedDocumentId).toBeUndefined();
    }));

  it('updates and deletes as well as it patches', () =>
    withAmazon(async (bench) => {
      const attributes = { fulfillment_availability: [{ fulfillment_channel_code: 'DEFAULT', quantity: 8 }] };
      await submit(
        bench,
        feedOf([
          { messageId: 1, sku: 'MUG-BLUE', operationType: 'PARTIAL_UPDATE', productType: 'MUG', attributes },
          { messageId: 2, sku: 'MUG-RED', operationType: 'DELETE' },
        ]),
      );
      expect(bench.variant('MUG-BLUE').quantity).toBe(8);
      expect(bench.shop.variantBySku('MUG-RED')).toBeUndefined();
    }));
});

type FeedPage = { readonly feeds: readonly { readonly feedId: string }[]; readonly nextToken?: string };

const find = async ({ call }: AmazonBench, query: Readonly<Record<string, string>>) =>
  call('GET', '/feeds/2021-06-30/feeds', { query });
const found = async (bench: AmazonBench, query: Readonly<Record<string, string>> = {}) => {
  const answer = await find(bench, { feedTypes: 'JSON_LISTINGS_FEED', ...query });
  expect(answer.status).toBe(200);
  return (answer.body as FeedPage).feeds.map(({ feedId }) => feedId);
};

describe('a search for feeds', () => {
  const one = feedOf([quantityMessage(1, 'MUG-BLUE', 3)]);

  it('finds those of a type, a status, a marketplace and a time, the newest first', () =>
    withAmazon(
      async (bench) => {
        const first = await submit(bench, one);
        bench.clock.advance(3_000);
        const firstTime = new Date(bench.clock.now() - 3_000).toISOString();
        const second = await submit(bench, one);
        expect(await found(bench)).toEqual([second, first]);
        expect(await found(bench, { feedTypes: 'POST_PRODUCT_DATA' })).toEqual([]);
        expect(await found(bench, { feedTypes: 'POST_PRODUCT_DATA,JSON_LISTINGS_FEED' })).toHaveLength(2);
        expect(await found(bench, { processingStatuses: 'DONE,FATAL' })).toEqual([first]);
        expect(await found(bench, { processingStatuses: 'IN_QUEUE' })).toEqual([second]);
        expect(await found(bench, { marketplaceIds: marketplaceId })).toEqual([second, first]);
        expect(await found(bench, { marketplaceIds: 'A1F83G8C2ARO7P' })).toEqual([]);
        expect(await found(bench, { createdUntil: firstTime })).toEqual([first]);
        expect(await found(bench, { createdSince: firstTime })).toEqual([second, first]);
        const later = new Date(bench.clock.now() - 1).toISOString();
        expect(await found(bench, { createdSince: later })).toEqual([second]);
      },
      { feedStepMs: { min: 1_000, max: 1_000 } },
    ));

  it('goes on with the token, which remembers what was asked and stands alone', () =>
    withAmazon(async (bench) => {
      const all: string[] = [];
      for (let count = 0; count < 3; count += 1) all.unshift(await submit(bench, one));
      await submit(bench, { header: {} });
      const query = { feedTypes: 'JSON_LISTINGS_FEED', processingStatuses: 'DONE', pageSize: '2' };
      const page = (await find(bench, query)).body as FeedPage;
      expect(page.feeds.map(({ feedId }) => feedId)).toEqual(all.slice(0, 2));
      const { nextToken = '' } = page;
      const next = (await find(bench, { nextToken })).body as FeedPage;
      expect(next.feeds.map(({ feedId }) => feedId)).toEqual(all.slice(2));
      expect(next.nextToken).toBeUndefined();
      expect((await find(bench, { nextToken, pageSize: '2' })).status).toBe(400);
      expect((await find(bench, { nextToken: 'guessed' })).status).toBe(400);
    }));

  it.each([
    ['no type', {}],
    ['no known status', { feedTypes: 'JSON_LISTINGS_FEED', processingStatuses: 'BAD_VALUE' }],
    ['too large a page', { feedTypes: 'JSON_LISTINGS_FEED', pageSize: '101' }],
    ['no time', { feedTypes: 'JSON_LISTINGS_FEED', createdSince: 'yesterday' }],
    ['too many types', { feedTypes: Array.from({ length: 11 }, (_unused, index) => `T${index}`).join(',') }],
  ])('that names %s is refused', (_name, query) =>
    withAmazon(async (bench) => {
      expect((await find(bench, query)).status).toBe(400);
    }),
  );
});

describe('a feed document', () => {
  it('takes an upload without a token for five minutes, with the content type it was made for', () =>
    withAmazon(async (bench) => {
      const { url } = await createDocument(bench);
      expect((await upload(url, {}, 'text/plain')).status).toBe(403);
      bench.clock.advance(299_999);
      expect((await upload(url, {})).status).toBe(200);
      bench.clock.advance(1);
      expect((await upload(url, {})).status).toBe(403);
    }));

  it('must be uploaded before it becomes a feed, and only listings feeds are known', () =>
    withAmazon(async (bench) => {
      const { feedDocumentId, url } = await createDocument(bench);
      const create = (feedType: string) =>
        bench.call('POST', '/feeds/2021-06-30/feeds', {
          body: { feedType, marketplaceIds: [marketplaceId], inputFeedDocumentId: feedDocumentId },
        });
      expect((await create('JSON_LISTINGS_FEED')).status).toBe(400);
      await upload(url, feedOf([quantityMessage(1, 'MUG-BLUE', 1)]));
      expect((await create('POST_INVENTORY_AVAILABILITY_DATA')).status).toBe(400);
      expect((await create('JSON_LISTINGS_FEED')).status).toBe(202);
    }));

  it('and a feed are 404 when unknown', () =>
    withAmazon(async ({ call }) => {
      expect((await call('GET', '/feeds/2021-06-30/feeds/1')).status).toBe(404);
      expect((await call('GET', '/feeds/2021-06-30/documents/1')).status).toBe(404);
    }));
});
