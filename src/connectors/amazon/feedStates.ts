/** Asks what has become of feeds: of one by its id, with the report that names what was refused, or of all that may have been created at a time. */

import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { ChannelError, type Submission } from '../connector.ts';
import { redactText } from '../redaction.ts';
import { instantSchema, parseBody, statusError } from '../wire.ts';
import { type AmazonApi, amazonError } from './api.ts';

export const feedsPath = '/feeds/2021-06-30';
export const feedType = 'JSON_LISTINGS_FEED';
/** Largest report, unpacked. */
const reportBytesMax = 16 * 1024 * 1024;

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
export type Ended = { readonly kind: 'ended'; readonly at: Date; readonly issues: readonly Issue[] };
export type State = Ended | Exclude<Submission, { readonly kind: 'ended' }>;

/** A feed that is not listed so soon after it was created may be on its way into the list. */
const unlistedMs = 5 * 60_000;

/** What has become of one feed. */
export async function askFeed(api: AmazonApi, feedId: string, sentAt: number): Promise<State> {
  return saying(async () => {
    const response = await api.send({
      operation: 'getFeed',
      method: 'GET',
      path: `${feedsPath}/feeds/${encodeURIComponent(feedId)}`,
      retry: 'safe',
    });
    if (response.status === 404 && api.now() - sentAt >= unlistedMs)
      return { kind: 'ended', at: new Date(api.now()), issues: [] };
    if (response.status !== 200) throw amazonError(response, 'getFeed');
    const feed = parseBody(feedSchema, response, 'amazon.getFeed');
    if (stands(feed)) return { kind: 'open' };
    const { processingStatus, processingEndTime, resultFeedDocumentId } = feed;
    // A feed that was cancelled did nothing, and of a fatal one anything may have been done: what is read tells.
    const reported = processingStatus === 'DONE' ? (resultFeedDocumentId ?? null) : null;
    const issues = reported === null ? [] : await readReport(api, reported);
    return { kind: 'ended', at: processingEndTime ?? new Date(api.now()), issues };
  });
}

async function saying(ask: () => Promise<State>): Promise<State> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    return { kind: 'unknown', reason: error.message, error: error.code };
  }
}

function stands({ processingStatus }: z.output<typeof feedSchema>): boolean {
  return processingStatus === 'IN_QUEUE' || processingStatus === 'IN_PROGRESS';
}

/** The first error about this message. One that names another SKU, or nothing, is none of it. */
export function submissionOf({ at, issues }: Ended, messageId: number | null, sku: string): Submission {
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

// ------------------------------------------------------------------------------------------ feeds whose id nobody was told

/** Ours, the database's and Amazon's clock are never further apart. */
const skewMs = 120_000;
/** From when a write is noted as sent until its feed is created at the latest: its turn and the deadline of its calls, of which each is a minute at most. */
const createdWithinMs = 120_000;
/** How many feeds one page holds at most (Feeds 2021-06-30). */
const pageSize = 100;
/** Writes that were sent in the same slice of time are asked about together: Amazon may be asked once in 45 s. */
export const timeSliceMs = 60_000;

const pageSchema = z.looseObject({ feeds: z.array(feedSchema), nextToken: z.string().nullish() });

/**
 * What has become of all feeds that may hold a write sent in the slice of time that begins at `from`. Amazon does not say which document a feed was made of,
 * so while any of them stands it may be the one; after that what is read decides.
 */
export async function askFeedsOf(api: AmazonApi, from: number): Promise<State> {
  const until = from + timeSliceMs + createdWithinMs + skewMs;
  // It may still be on its way: what is listed now proves nothing.
  if (api.now() <= until) return { kind: 'open' };
  return saying(async () => {
    let endedAt: number | null = null;
    let query: Readonly<Record<string, string>> = {
      feedTypes: feedType,
      marketplaceIds: api.settings.marketplaceId,
      createdSince: new Date(from - skewMs).toISOString(),
      createdUntil: new Date(until).toISOString(),
      pageSize: String(pageSize),
    };
    for (;;) {
      const { feeds, nextToken } = await listFeeds(api, query);
      if (feeds.some(stands)) return { kind: 'open' };
      for (const { processingEndTime } of feeds)
        endedAt = Math.max(endedAt ?? 0, (processingEndTime ?? new Date(api.now())).getTime());
      if (nextToken === null || nextToken === undefined || nextToken === '')
        return { kind: 'ended', at: new Date(endedAt ?? api.now()), issues: [] };
      // Beside it no other parameter is allowed.
      query = { nextToken };
    }
  });
}

async function listFeeds(
  api: AmazonApi,
  query: Readonly<Record<string, string>>,
): Promise<z.output<typeof pageSchema>> {
  const response = await api.send({
    operation: 'getFeeds',
    method: 'GET',
    path: `${feedsPath}/feeds`,
    query,
    retry: 'safe',
  });
  if (response.status !== 200) throw amazonError(response, 'getFeeds');
  return parseBody(pageSchema, response, 'amazon.getFeeds');
}
