/** Amazon's Feeds API for listings: upload, queue, processing and report, each message judged like a single call. */
import { z } from 'zod';
import { type AmazonAccess, amazonErrors } from './amazonAccess.ts';
import type { AmazonAccount } from './amazonAccount.ts';
import { type Issue, patchOperation, putRequest } from './amazonAttributes.ts';
import { type FoundFeed, searchFeeds } from './amazonFeedSearch.ts';
import type { AmazonSubmissions, Submission } from './amazonSubmissions.ts';
import type { Call, Route } from './channel.ts';
import { jsonBody, type Reply } from './http.ts';
import type { Span } from './random.ts';
import type { Shop } from './world.ts';

export type AmazonFeedParts = {
  readonly shop: Shop;
  readonly account: AmazonAccount;
  readonly submissions: AmazonSubmissions;
  /** How long a feed waits in the queue, and then how long it is processed. Minutes in reality. */
  readonly feedStepMs: Span;
};

type Document = { readonly contentType: string; readonly expiresAt: number; body: string | null };
type Feed = FoundFeed & {
  readonly lateMs: number;
  status: FoundFeed['status'];
  startedAt: number | null;
  endedAt: number | null;
  resultFeedDocumentId: string | null;
};
type ReportIssue = {
  readonly messageId?: number;
  readonly sku?: string;
  readonly code: string;
  readonly severity: Issue['severity'];
  readonly message: string;
  readonly attributeName?: string;
};

const feedType = 'JSON_LISTINGS_FEED';
const uploadLifeMs = 300_000;
const messagesMax = 25_000;
const documentsKept = 1000;

const message = z.object({
  messageId: z.number().int().min(1),
  sku: z.string().min(1),
  operationType: z.enum(['UPDATE', 'PARTIAL_UPDATE', 'PATCH', 'DELETE']),
  productType: z.string().min(1).optional(),
  attributes: putRequest.shape.attributes.optional(),
  patches: z.array(patchOperation).min(1).optional(),
});
const feedBody = z.object({
  header: z.object({ sellerId: z.string(), version: z.literal('2.0') }),
  messages: z.array(z.unknown()).min(1).max(messagesMax),
});
const feedRequest = z.object({
  feedType: z.string(),
  marketplaceIds: z.array(z.string()).min(1).max(25),
  inputFeedDocumentId: z.string(),
});

/** The submission that a feed message stands for; null when the message lacks what its operation needs. */
function submissionOf({
  operationType,
  productType,
  attributes,
  patches,
}: z.infer<typeof message>): Submission | null {
  if (operationType === 'DELETE') return { kind: 'delete' };
  if (productType === undefined) return null;
  if (operationType === 'PATCH')
    return patches === undefined ? null : { kind: 'patch', productType, patches };
  if (attributes === undefined) return null;
  if (operationType === 'UPDATE') return { kind: 'put', productType, attributes };
  const merged = Object.entries(attributes).map(([name, value]) => ({
    op: 'replace' as const,
    path: `/attributes/${name}`,
    value,
  }));
  return { kind: 'patch', productType, patches: merged };
}

const urlOf = (call: Call, documentId: string) =>
  `http://${call.headers.host ?? '127.0.0.1'}/feed-documents/${documentId}`;

/** A point in time under its name; nothing while it has not come. */
const timeField = (name: string, at: number | null) =>
  at === null ? {} : { [name]: new Date(at).toISOString() };

const feedBodyOf = (feed: Feed) => ({
  feedId: feed.feedId,
  feedType,
  marketplaceIds: feed.marketplaceIds,
  processingStatus: feed.status,
  ...timeField('createdTime', feed.createdAt),
  ...timeField('processingStartTime', feed.startedAt),
  ...timeField('processingEndTime', feed.endedAt),
  ...(feed.resultFeedDocumentId === null ? {} : { resultFeedDocumentId: feed.resultFeedDocumentId }),
});

function reportIssue(messageId: number, sku: string, issue: Issue): ReportIssue {
  const { code, severity, message: text, attributeNames } = issue;
  const [attributeName] = attributeNames;
  const about = attributeName === undefined ? {} : { attributeName };
  return { messageId, sku, code, severity, message: text, ...about };
}

export type AmazonFeeds = { readonly routes: readonly Route[]; clear(): void };

export function createAmazonFeeds(parts: AmazonFeedParts, access: AmazonAccess): AmazonFeeds {
  const { shop, account, submissions } = parts;
  const documents = new Map<string, Document>();
  const feeds = new Map<string, Feed>();
  let serial = 0;

  function addDocument(contentType: string, body: string | null): string {
    const id = `amzn1.tortuga.4.na.${shop.random.text(24)}`;
    documents.set(id, { contentType, body, expiresAt: shop.clock.now() + uploadLifeMs });
    for (const oldest of documents.keys()) {
      if (documents.size <= documentsKept) break;
      documents.delete(oldest);
    }
    return id;
  }

  /** Judges and accepts the messages; answers the report, or null when the whole feed cannot be read. */
  function process(feed: Feed, text: string): unknown {
    const read = feedBody.safeParse(jsonBody(Buffer.from(text)));
    if (!read.success || read.data.header.sellerId !== account.sellerId) return null;
    const issues: ReportIssue[] = [];
    let accepted = 0;
    for (const each of read.data.messages) {
      const found = judgeMessage(feed, each);
      issues.push(...found);
      if (found.every(({ severity }) => severity !== 'ERROR')) accepted++;
    }
    const processed = read.data.messages.length;
    return {
      header: { sellerId: account.sellerId, version: '2.0', feedId: feed.feedId },
      issues,
      summary: {
        errors: issues.filter(({ severity }) => severity === 'ERROR').length,
        warnings: issues.filter(({ severity }) => severity === 'WARNING').length,
        messagesProcessed: processed,
        messagesAccepted: accepted,
        messagesInvalid: processed - accepted,
      },
    };
  }

  function judgeMessage(feed: Feed, value: unknown): readonly ReportIssue[] {
    const read = message.safeParse(value);
    const submission = read.success ? submissionOf(read.data) : null;
    if (!read.success || submission === null)
      return [
        { code: '4000000', severity: 'ERROR', message: 'The message does not conform to the feed schema.' },
      ];
    const { messageId, sku } = read.data;
    const issues = submissions.judge(sku, submission);
    if (issues.every(({ severity }) => severity !== 'ERROR'))
      submissions.accept(sku, submission, `${feed.feedId}/${messageId}`, feed.lateMs);
    return issues.map((issue) => reportIssue(messageId, sku, issue));
  }

  function step(run: () => void): void {
    const delay = shop.random.span(parts.feedStepMs);
    if (delay === 0) run();
    else shop.later(delay, run);
  }

  function queue(feed: Feed, document: Document): void {
    step(() => {
      feed.status = 'IN_PROGRESS';
      feed.startedAt = shop.clock.now();
      step(() => {
        const report = process(feed, document.body ?? '');
        feed.endedAt = shop.clock.now();
        feed.status = report === null ? 'FATAL' : 'DONE';
        if (report !== null)
          feed.resultFeedDocumentId = addDocument('application/json', JSON.stringify(report));
      });
    });
  }

  function createDocument(call: Call): Reply {
    const read = z.object({ contentType: z.string().min(1) }).safeParse(jsonBody(call.body));
    if (!read.success) return amazonErrors.invalidInput('contentType is required.');
    const feedDocumentId = addDocument(read.data.contentType, null);
    return { status: 201, body: { feedDocumentId, url: urlOf(call, feedDocumentId) } };
  }

  function create(call: Call): Reply {
    const read = feedRequest.safeParse(jsonBody(call.body));
    if (!read.success)
      return amazonErrors.invalidInput(`Invalid ${read.error.issues[0]?.path.join('.') ?? 'body'}.`);
    if (read.data.feedType !== feedType)
      return amazonErrors.invalidInput(`Invalid feedType ${read.data.feedType}.`);
    if (!read.data.marketplaceIds.includes(account.marketplaceId))
      return amazonErrors.unauthorized('The seller does not take part in this marketplace.');
    const document = documents.get(read.data.inputFeedDocumentId);
    if (document === undefined || document.body === null)
      return amazonErrors.invalidInput('inputFeedDocumentId names no uploaded document.');
    const feed: Feed = {
      feedId: String(50_000_000_000 + ++serial),
      marketplaceIds: read.data.marketplaceIds,
      createdAt: shop.clock.now(),
      lateMs: call.lateEffectMs,
      status: 'IN_QUEUE',
      startedAt: null,
      endedAt: null,
      resultFeedDocumentId: null,
    };
    feeds.set(feed.feedId, feed);
    queue(feed, document);
    return { status: 202, body: { feedId: feed.feedId } };
  }

  function get(call: Call): Reply {
    const feed = feeds.get(call.params['feedId'] ?? '');
    if (feed === undefined) return amazonErrors.notFound('No such feed.');
    return { status: 200, body: feedBodyOf(feed) };
  }

  function getDocument(call: Call): Reply {
    const feedDocumentId = call.params['feedDocumentId'] ?? '';
    if (!documents.has(feedDocumentId)) return amazonErrors.notFound('No such document.');
    return { status: 200, body: { feedDocumentId, url: urlOf(call, feedDocumentId) } };
  }

  /** The storage behind the presigned URL: no token, but the same content type, and only for five minutes. */
  function upload(call: Call): Reply {
    const document = documents.get(call.params['feedDocumentId'] ?? '');
    if (document === undefined || document.expiresAt <= shop.clock.now())
      return {
        status: 403,
        body: '<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>',
      };
    if (call.headers['content-type'] !== document.contentType)
      return { status: 403, body: '<Error><Code>SignatureDoesNotMatch</Code></Error>' };
    document.body = call.body.toString('utf8');
    return { status: 200 };
  }

  function download(call: Call): Reply {
    const document = documents.get(call.params['feedDocumentId'] ?? '');
    if (document === undefined || document.body === null)
      return { status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' };
    return { status: 200, headers: { 'content-type': document.contentType }, body: document.body };
  }

  const storage = '/feed-documents/:feedDocumentId';
  return {
    routes: [
      access.route('POST', '/feeds/2021-06-30/documents', 'createFeedDocument', createDocument),
      access.route('GET', '/feeds/2021-06-30/documents/:feedDocumentId', 'getFeedDocument', getDocument),
      access.route('POST', '/feeds/2021-06-30/feeds', 'createFeed', create),
      access.route('GET', '/feeds/2021-06-30/feeds', 'getFeeds', (call) =>
        searchFeeds(call, feedType, [...feeds.values()], feedBodyOf),
      ),
      access.route('GET', '/feeds/2021-06-30/feeds/:feedId', 'getFeed', get),
      { method: 'PUT', path: storage, operation: 'uploadFeedDocument', handle: upload },
      { method: 'GET', path: storage, operation: 'downloadFeedDocument', handle: download },
    ],
    clear() {
      documents.clear();
      feeds.clear();
    },
  };
}
