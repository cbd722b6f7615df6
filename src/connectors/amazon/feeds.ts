/** Sends many changes as one feed, and tells what became of it, even where nobody was told its id: Amazon works a feed off when it pleases. */

import { z } from 'zod';
import { mapBounded } from '../concurrency.ts';
import {
  ChannelError,
  type QueuedWrite,
  type StockWriteResult,
  type Submission,
  type Turn,
} from '../connector.ts';
import { assertInTime, parseBody, precedingCall, statusError, stockWriteFailure } from '../wire.ts';
import { type AmazonApi, amazonError } from './api.ts';
import {
  askFeed,
  askFeedsOf,
  type Ended,
  feedsPath,
  feedType,
  type State,
  submissionOf,
  timeSliceMs,
} from './feedStates.ts';

const contentType = 'application/json; charset=UTF-8';
/** How long none is tried after one could not be sent, unless Amazon or the budget says longer. */
const pauseMsMin = 60_000;
/** Feeds whose end is remembered: the writes of one are asked for in several batches, and reports may be fetched every 45 s. */
const endedMax = 50;
const callsInFlight = 2;

export type FeedMessage = {
  readonly sku: string;
  readonly productType: string;
  readonly patches: readonly unknown[];
};

export interface AmazonFeeds {
  /** False for a while after one could not be sent. */
  mayBeSent(): boolean;
  /**
   * Creates a feed once or never. One answer per message, in their order: taken in, or not known and under which reference to ask. Null where there
   * certainly is no feed.
   */
  submit(
    api: AmazonApi,
    messages: readonly FeedMessage[],
    turn: Turn,
  ): Promise<readonly StockWriteResult[] | null>;
  /** One answer per write, in the order asked. */
  outcomes(api: AmazonApi, queued: readonly QueuedWrite[]): Promise<Submission[]>;
}

export function createAmazonFeeds(now: () => number): AmazonFeeds {
  const ended = new Map<string, Ended>();
  let closedUntil = Number.NEGATIVE_INFINITY;

  const stateOf = async (api: AmazonApi, { key, ask }: Place): Promise<State> => {
    const known = ended.get(key);
    if (known !== undefined) return known;
    const state = await ask(api);
    if (state.kind === 'ended') ended.set(key, state);
    for (const oldest of ended.keys()) {
      if (ended.size <= endedMax) break;
      ended.delete(oldest);
    }
    return state;
  };

  return {
    mayBeSent: () => now() >= closedUntil,
    async submit(api, messages, turn) {
      let sentAt = now();
      try {
        const documentId = await precedingCall(upload(api, messages));
        sentAt = now();
        assertInTime(turn, sentAt);
        const feedId = await create(api, documentId);
        return messages.map((_message, index) => ({
          kind: 'accepted',
          reference: `feed/${feedId}/${index + 1}`,
          queued: true,
        }));
      } catch (error) {
        const failure = stockWriteFailure(error);
        const retryAfterMs = error instanceof ChannelError ? error.retryAfterMs : null;
        closedUntil = now() + Math.max(retryAfterMs ?? 0, pauseMsMin);
        if (failure.kind !== 'unknown') return null;
        const reference = `feeds/${new Date(sentAt).toISOString()}`;
        return messages.map(() => ({ ...failure, reference }));
      }
    },
    async outcomes(api, queued) {
      const places = queued.map(placeOf);
      const distinct = new Map(places.flatMap((place) => (place === null ? [] : [[place.key, place]])));
      const asked = await mapBounded(
        [...distinct.values()],
        callsInFlight,
        async (place) => [place.key, await stateOf(api, place)] as const,
      );
      const states = new Map(asked);
      return queued.map(({ address }, index): Submission => {
        const place = places[index] ?? null;
        const state = place === null ? undefined : states.get(place.key);
        // A reference that is not ours can only be judged by what is read.
        if (place === null || state === undefined)
          return { kind: 'ended', at: new Date(now()), refused: null };
        return state.kind === 'ended' ? submissionOf(state, place.messageId, address.unitId) : state;
      });
    },
  };
}

/** What is asked about, once for all writes with the same key. */
type Place = {
  readonly key: string;
  /** The number of the message in its feed: a report need not say the SKU. */
  readonly messageId: number | null;
  readonly ask: (api: AmazonApi) => Promise<State>;
};

/** `feed/ID/MESSAGE`, or `feeds/TIME` where the id is not known. Null for a reference that is not ours. */
function placeOf({ reference, sentAt }: QueuedWrite): Place | null {
  if (reference === null) return placeInTime(sentAt.getTime());
  const [, feedId, messageId] = /^feed\/(.+)\/(\d+)$/.exec(reference) ?? [];
  if (feedId !== undefined)
    return {
      key: `feed/${feedId}`,
      messageId: Number(messageId),
      ask: (api) => askFeed(api, feedId, sentAt.getTime()),
    };
  const [, time = ''] = /^feeds\/(.+)$/.exec(reference) ?? [];
  const at = Date.parse(time);
  return Number.isNaN(at) ? null : placeInTime(at);
}

/** The writes of one call are noted one after another, so those of one slice are asked about together. */
function placeInTime(at: number): Place {
  const from = Math.floor(at / timeSliceMs) * timeSliceMs;
  return { key: `feeds/${from}`, messageId: null, ask: (api) => askFeedsOf(api, from) };
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
      feedType,
      marketplaceIds: [api.settings.marketplaceId],
      inputFeedDocumentId,
    },
    // A second feed could be worked off after what somebody has set since.
    retry: 'never',
  });
  if (response.status !== 202) throw amazonError(response, 'createFeed');
  return parseBody(createdFeedSchema, response, 'amazon.createFeed').feedId;
}
