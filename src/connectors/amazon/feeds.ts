/** Sends many price changes as one feed, and tells what became of it: Amazon works a feed off when it pleases, and its report names what was refused. */

import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { mapBounded } from '../concurrency.ts';
import { ChannelError, type PriceSubmission, type QueuedPrice, type Turn } from '../connector.ts';
import { redactText } from '../redaction.ts';
import { assertInTime, instantSchema, parseBody, precedingCall, statusError } from '../wire.ts';
import { type AmazonApi, amazonError } from './api.ts';

const feedsPath = '/feeds/2021-06-30';
const contentType = 'application/json; charset=UTF-8';
/** How long none is tried after one could not be sent, unless Amazon or the budget says longer. */
const pauseMsMin = 60_000;
/** Feeds whose end is remembered: the prices of one are asked for in several batches, and reports may be fetched every 45 s. */
const endedMax = 50;
const callsInFlight = 2;
/** Largest report, unpacked. */
const reportBytesMax = 16 * 1024 * 1024;

export type FeedMessage = {
  readonly sku: string;
  readonly productType: string;
  readonly patches: readonly unknown[];
};

export interface AmazonFeeds {
  /** False for a while after one could not be sent. */
  mayBeSent(): boolean;
  /**
   * Answers a reference for each message, in their order. Throws `ChannelError`, with `neverSent` where a call before the feed itself failed: the feed is
   * created once or never.
   */
  submit(api: AmazonApi, messages: readonly FeedMessage[], turn: Turn): Promise<readonly string[]>;
  /** One answer per price, in the order asked. */
  outcomes(api: AmazonApi, queued: readonly QueuedPrice[]): Promise<PriceSubmission[]>;
}

export function createAmazonFeeds(now: () => number): AmazonFeeds {
  const ended = new Map<string, Ended>();
  let closedUntil = Number.NEGATIVE_INFINITY;

  const stateOf = async (api: AmazonApi, feedId: string): Promise<State> => {
    const known = ended.get(feedId);
    if (known !== undefined) return known;
    const state = await askState(api, feedId);
    if (state.kind === 'ended') ended.set(feedId, state);
    for (const oldest of ended.keys()) {
      if (ended.size <= endedMax) break;
      ended.delete(oldest);
    }
    return state;
  };

  return {
    mayBeSent: () => now() >= closedUntil,
    async submit(api, messages, turn) {
      try {
        const documentId = await precedingCall(upload(api, messages));
        assertInTime(turn, now());
        const feedId = await create(api, documentId);
        return messages.map((_message, index) => referenceOf(feedId, index + 1));
      } catch (error) {
        if (error instanceof ChannelError)
          closedUntil = now() + Math.max(error.retryAfterMs ?? 0, pauseMsMin);
        throw error;
      }
    },
    async outcomes(api, queued) {
      const places = queued.map(({ reference }) => placeOf(reference));
      const feedIds = [...new Set(places.flatMap((place) => place?.feedId ?? []))];
      const states = await mapBounded(feedIds, callsInFlight, (feedId) => stateOf(api, feedId));
      return queued.map(({ address }, index): PriceSubmission => {
        const place = places[index] ?? null;
        const state = place === null ? undefined : states[feedIds.indexOf(place.feedId)];
        // A reference that is not ours can only be judged by what is read.
        if (place === null || state === undefined)
          return { kind: 'ended', at: new Date(now()), refused: null };
        return state.kind === 'ended' ? outcomeOf(state, place.messageId, address.unitId) : state;
      });
    },
  };
}

/** The number of the message goes along: a report need not say the SKU. */
const referenceOf = (feedId: string, messageId: number): string => `feed/${feedId}/${messageId}`;

function placeOf(reference: string): { readonly feedId: string; readonly messageId: number } | null {
  const [, feedId, messageId] = /^feed\/(.+)\/(\d+)$/.exec(reference) ?? [];
  return feedId === undefined ? null : { feedId, messageId: Number(messageId) };
}

// --------------------------------------------------------------------------------------------------------------- sending

const createdDocumentSchema = z.looseObject({ feedDocumentId: z.string().min(1), url: z.string().min(1) });
const createdFeedSchema = z.looseObject({ feedId: z.string().min(1) });

async function upload(api: AmazonApi, messages: readonly FeedMessage[]): Promise<string> {
  const response = await api.send({
    operation: 'createFeedDocument',
    method: 'POST',
    path: `${feedsPath}/documents`,
    json: { contentType },
    // A document that nothing refers to does nothing.
    retry: 'safe',
  });
  if (response.status !== 201) throw amazonError(response, 'createFeedDocument');
  const { feedDocumentId, url } = parseBody(createdDocumentSchema, response, 'amazon.createFeedDocument');
  const stored = await api.store({
    operation: 'uploadFeedDocument',
    method: 'PUT',
    url,
    // The URL is signed for the very content type that the document was made with.
    headers: { 'content-type': contentType },
    body: JSON.stringify({
      header: { sellerId: api.settings.sellerId, version: '2.0', issueLocale: 'en_US' },
      messages: messages.map((message, index) => ({
        messageId: index + 1,
        operationType: 'PATCH',
        ...message,
      })),
    }),
  });
  if (stored.status < 200 || stored.status > 299) throw statusError(stored, 'amazon.uploadFeedDocument');
  return feedDocumentId;
}

async function create(api: AmazonApi, inputFeedDocumentId: string): Promise<string> {
  const response = await api.send({
    operation: 'createFeed',
    method: 'POST',
    path: `${feedsPath}/feeds`,
    json: {
      feedType: 'JSON_LISTINGS_FEED',
      marketplaceIds: [api.settings.marketplaceId],
      inputFeedDocumentId,
    },
    // A second feed could be worked off after a price that somebody has set since.
    retry: 'never',
  });
  if (response.status !== 202) throw amazonError(response, 'createFeed');
  return parseBody(createdFeedSchema, response, 'amazon.createFeed').feedId;
}

// --------------------------------------------------------------------------------------------------------------- outcome

const feedSchema = z.looseObject({
  processingStatus: z.enum(['IN_QUEUE', 'IN_PROGRESS', 'DONE', 'CANCELLED', 'FATAL']),
  processingEndTime: instantSchema.nullish(),
  resultFeedDocumentId: z.string().nullish(),
});
const documentSchema = z.looseObject({
  url: z.string().min(1),
  compressionAlgorithm: z.enum(['GZIP']).nullish(),
});
const reportSchema = z.looseObject({
  issues: z.array(
    z.looseObject({
      messageId: z.int().nullish(),
      sku: z.string().nullish(),
      code: z.string().nullish(),
      severity: z.string(),
      message: z.string(),
      attributeName: z.string().nullish(),
    }),
  ),
});

type Issue = z.output<typeof reportSchema>['issues'][number];
type Ended = { readonly kind: 'ended'; readonly at: Date; readonly issues: readonly Issue[] };
type State = Ended | Exclude<PriceSubmission, { readonly kind: 'ended' }>;

async function askState(api: AmazonApi, feedId: string): Promise<State> {
  try {
    const response = await api.send({
      operation: 'getFeed',
      method: 'GET',
      path: `${feedsPath}/feeds/${encodeURIComponent(feedId)}`,
      retry: 'safe',
    });
    if (response.status === 404) return { kind: 'ended', at: new Date(api.now()), issues: [] };
    if (response.status !== 200) throw amazonError(response, 'getFeed');
    const feed = parseBody(feedSchema, response, 'amazon.getFeed');
    if (feed.processingStatus === 'IN_QUEUE' || feed.processingStatus === 'IN_PROGRESS')
      return { kind: 'open' };
    const { processingStatus, processingEndTime, resultFeedDocumentId } = feed;
    // A feed that was cancelled did nothing, and of a fatal one anything may have been done: what is read tells.
    const reported = processingStatus === 'DONE' ? (resultFeedDocumentId ?? null) : null;
    const issues = reported === null ? [] : await readReport(api, reported);
    return { kind: 'ended', at: processingEndTime ?? new Date(api.now()), issues };
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    return { kind: 'unknown', reason: error.message, error: error.code };
  }
}

/** The first error about this message. One that names another SKU, or nothing, is none of it. */
function outcomeOf({ at, issues }: Ended, messageId: number, sku: string): PriceSubmission {
  const issue = issues.find(
    (each) =>
      each.severity === 'ERROR' &&
      (each.messageId === null || each.messageId === undefined
        ? each.sku === sku
        : each.messageId === messageId),
  );
  if (issue === undefined) return { kind: 'ended', at, refused: null };
  const refusal = issue.attributeName === 'purchasable_offer' ? 'price_not_allowed' : 'other';
  const code = redactText(issue.code ?? 'INVALID', 80);
  return { kind: 'ended', at, refused: { refusal, code, message: redactText(issue.message, 500) } };
}

/** Gone for good, or nothing that can be understood: asking again would not mend it. */
const lostReport = new Set(['not_found', 'forbidden', 'rejected', 'invalid_response']);

/** What was refused is read back like everything else where the report cannot be had any more. */
async function readReport(api: AmazonApi, documentId: string): Promise<readonly Issue[]> {
  try {
    return await fetchReport(api, documentId);
  } catch (error) {
    if (error instanceof ChannelError && lostReport.has(error.code)) return [];
    throw error;
  }
}

async function fetchReport(api: AmazonApi, documentId: string): Promise<readonly Issue[]> {
  const response = await api.send({
    operation: 'getFeedDocument',
    method: 'GET',
    path: `${feedsPath}/documents/${encodeURIComponent(documentId)}`,
    retry: 'safe',
  });
  if (response.status !== 200) throw amazonError(response, 'getFeedDocument');
  const { url, compressionAlgorithm } = parseBody(documentSchema, response, 'amazon.getFeedDocument');
  const operation = 'amazon.downloadFeedDocument';
  const file = await api.store({ operation: 'downloadFeedDocument', method: 'GET', url });
  if (file.status !== 200) throw statusError(file, operation);
  const bytes = Buffer.from(file.text, 'latin1');
  const text = compressionAlgorithm === 'GZIP' ? unpacked(bytes, operation) : bytes.toString('utf8');
  return parseBody(reportSchema, { text }, operation).issues;
}

function unpacked(bytes: Buffer, operation: string): string {
  try {
    return gunzipSync(bytes, { maxOutputLength: reportBytesMax }).toString('utf8');
  } catch (cause) {
    throw new ChannelError('invalid_response', `${operation}: the report cannot be unpacked`, { cause });
  }
}
