/** A seller account with a Feeds API of a few lines: it knows every SKU but GONE, Amazon stocks FBA, and each of its calls can be answered otherwise. */
import assert from 'node:assert/strict';
import {
  assertAmazonAnswer,
  assertAmazonBody,
  assertAmazonDocument,
  assertAmazonQuery,
} from '../support/amazonSpecification.ts';
import { connectSeller, startSeller } from './amazonSeller.ts';
import type { Answer, LocalChannel, ReceivedRequest } from './localChannel.ts';
import { recording } from './recordings.ts';

const listing = recording('amazon/getListingsItem') as Record<string, unknown>;

export type FeedCall =
  | 'createFeedDocument'
  | 'upload'
  | 'createFeed'
  | 'getFeed'
  | 'getFeeds'
  | 'getFeedDocument'
  | 'download'
  | 'search'
  | 'patch';

const calls: readonly (readonly [call: FeedCall, method: string, path: RegExp])[] = [
  ['createFeedDocument', 'POST', /^\/feeds\/2021-06-30\/documents$/],
  ['createFeed', 'POST', /^\/feeds\/2021-06-30\/feeds$/],
  ['getFeed', 'GET', /^\/feeds\/2021-06-30\/feeds\/[^/]+$/],
  ['getFeeds', 'GET', /^\/feeds\/2021-06-30\/feeds$/],
  ['getFeedDocument', 'GET', /^\/feeds\/2021-06-30\/documents\/[^/]+$/],
  ['upload', 'PUT', /^\/storage\//],
  ['download', 'GET', /^\/storage\//],
  ['search', 'GET', /^\/listings\//],
  ['patch', 'PATCH', /^\/listings\//],
];

export function callOf({ method, path }: Pick<ReceivedRequest, 'method' | 'path'>): FeedCall | null {
  return calls.find(([, its, pattern]) => its === method && pattern.test(path))?.[0] ?? null;
}

export const feedCreated = '2026-11-22T08:00:00Z';
export const feedEnded = '2026-11-22T08:04:00Z';
export const feedBody = (processingStatus: string, more: object = {}): Answer => ({
  json: { feedId: '77', feedType: 'JSON_LISTINGS_FEED', createdTime: feedCreated, processingStatus, ...more },
});
export const doneFeed = feedBody('DONE', { processingEndTime: feedEnded, resultFeedDocumentId: 'result' });

/** A processing report as the published schema has it. */
export function reportOf(issues: readonly object[]) {
  const report = {
    header: { sellerId: 'A1SELLER', version: '2.0', feedId: '77' },
    issues,
    summary: {
      errors: issues.length,
      warnings: 0,
      messagesProcessed: 51,
      messagesAccepted: 51 - issues.length,
      messagesInvalid: issues.length,
    },
  };
  assertAmazonDocument('report', report);
  return report;
}

const stocked = { fulfillmentAvailability: [{ fulfillmentChannelCode: 'AMAZON_NA', quantity: 9 }] };
const skusOf = ({ query }: ReceivedRequest): readonly string[] =>
  (query.get('identifiers') ?? '').split(',').filter((sku) => sku !== 'GONE');

function usual(call: FeedCall, request: ReceivedRequest): Answer {
  const storage = `http://${request.headers.host ?? ''}/storage/document?X-Amz-Signature=secret`;
  switch (call) {
    case 'createFeedDocument':
      return { status: 201, json: { feedDocumentId: 'document', url: storage } };
    case 'createFeed':
      return { status: 202, json: { feedId: '77' } };
    case 'getFeed':
      return doneFeed;
    case 'getFeeds':
      return { json: { feeds: [] } };
    case 'getFeedDocument':
      return { json: { feedDocumentId: 'result', url: storage } };
    case 'download':
      return { json: reportOf([]) };
    case 'upload':
      return {};
    case 'search': {
      const items = skusOf(request).map((sku) =>
        Object.assign({}, listing, sku === 'FBA' ? stocked : {}, { sku }),
      );
      return { json: { numberOfResults: items.length, items } };
    }
    case 'patch':
      return { json: recording('amazon/patchAccepted') };
  }
}

/** What is asked of it, and what it answers of its own, is checked against Amazon's models. */
export async function startFeedSeller(
  answers: Readonly<Partial<Record<FeedCall, Answer | ((request: ReceivedRequest) => Answer)>>> = {},
  { now, ...settings }: Readonly<Record<string, unknown>> & { readonly now?: () => number } = {},
) {
  const channel = await startSeller((request) => {
    const call = callOf(request);
    if (call === null) return { status: 404 };
    checkAsked(call, request);
    const own = answers[call];
    if (own !== undefined) return typeof own === 'function' ? own(request) : own;
    const answer = usual(call, request);
    if (typeof answer === 'object' && call !== 'upload' && call !== 'download')
      assertAmazonAnswer(request.method, request.path, answer.status ?? 200, answer.json);
    return answer;
  });
  return {
    channel,
    ...connectSeller(channel, settings, {}, now === undefined ? {} : { now }),
    asked: (call: FeedCall) => asked(channel, call),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

function checkAsked(call: FeedCall, { method, path, query, body }: ReceivedRequest): void {
  if (!path.startsWith('/storage/')) assertAmazonQuery(method, path, query);
  // Only the text of the model says so.
  if (query.has('nextToken')) assert.equal(query.size, 1, 'nextToken is the only parameter');
  if (call === 'createFeedDocument')
    assertAmazonBody('feeds_2021-06-30', 'CreateFeedDocumentSpecification', JSON.parse(body));
  if (call === 'createFeed')
    assertAmazonBody('feeds_2021-06-30', 'CreateFeedSpecification', JSON.parse(body));
  if (call === 'upload') assertAmazonDocument('feed', JSON.parse(body));
}

const asked = ({ requests }: LocalChannel, call: FeedCall): readonly ReceivedRequest[] =>
  requests.filter((request) => callOf(request) === call);
