/** Sends changes of listings: one call each, or many as one feed; where there certainly is no feed they leave one by one. */

import { z } from 'zod';
import { chunks, mapBounded } from '../concurrency.ts';
import type { HttpResponse, PriceWriteResult, StockWriteResult, Turn } from '../connector.ts';
import { redactText } from '../redaction.ts';
import { assertInTime, parseBody, precedingCall, stockWriteFailure } from '../wire.ts';
import { type AmazonApi, amazonError, firstErrorCode } from './api.ts';
import type { AmazonFeeds } from './feeds.ts';
import { listingPath, skusPerCall } from './listings.ts';

const readsInFlight = 4;
const writesInFlight = 5;
/** Up to so many go one by one: a call says at once what was refused, and its change shows sooner (Amazon's rule of thumb for feeds). */
export const patchedMax = 50;
/** What can be read within the usual turn: twenty SKUs a call, five calls a second. */
export const changesPerFeed = 400;
/** Of its turn, for reading: the rest is for sending what was read. */
const readingShare = 0.7;

/** A listing that may be changed, and its change. */
export type Ready = {
  readonly kind: 'ready';
  readonly sku: string;
  readonly change: { readonly productType: string; readonly patches: readonly unknown[] };
};

export type Changes<Write, Result> = {
  readonly writes: readonly Write[];
  /** Reads what must be known of at most twenty of them first, and says of each whether it may be sent. */
  readonly judge: (api: AmazonApi, writes: readonly Write[]) => Promise<readonly (Ready | Result)[]>;
  /** The answer to a change, as an answer to such a write. */
  readonly answer: (result: StockWriteResult) => Result;
};

/** One result per write, in their order. Without `feeds` they certainly go one by one. */
export async function sendChanges<Write, Result extends StockWriteResult | PriceWriteResult>(
  api: AmazonApi,
  feeds: AmazonFeeds | null,
  turn: Turn,
  { writes, judge, answer }: Changes<Write, Result>,
): Promise<Result[]> {
  const reading = feeds === null ? turn : readingTurn(turn, api.now());
  const judgeSome = async (some: readonly Write[]): Promise<readonly (Ready | Result)[]> => {
    try {
      assertInTime(reading, api.now());
      return await precedingCall(judge(api.inTurn(reading), some));
    } catch (error) {
      return some.map(() => answer(stockWriteFailure(error)));
    }
  };
  // What cannot be read in time comes again; what could be is sent all the same.
  const pages = await mapBounded(chunks(writes, skusPerCall), readsInFlight, judgeSome);
  const judged = pages.flat();
  const ready = judged.filter(isReady);
  const answers = await send(api, feeds, ready, turn);
  const results = new Map(ready.map((one, index) => [one, answers[index]]));
  return judged.map((one) =>
    isReady(one) ? answer(results.get(one) ?? { kind: 'unknown', reason: 'the change has no result' }) : one,
  );
}

function isReady(one: { readonly kind: string }): one is Ready {
  return one.kind === 'ready';
}

function readingTurn(turn: Turn, now: number): Turn {
  const { leaveBy } = turn;
  return leaveBy === undefined ? turn : { ...turn, leaveBy: now + (leaveBy - now) * readingShare };
}

async function send(
  api: AmazonApi,
  feeds: AmazonFeeds | null,
  ready: readonly Ready[],
  turn: Turn,
): Promise<readonly StockWriteResult[]> {
  if (feeds !== null && ready.length > patchedMax && feeds.mayBeSent()) {
    const messages = ready.map(({ sku, change }) => ({ sku, ...change }));
    const taken = await feeds.submit(api, messages, turn);
    if (taken !== null) return taken;
  }
  return patchAll(api, ready, turn);
}

/** As many as the turn allows. */
function patchAll(api: AmazonApi, ready: readonly Ready[], turn: Turn): Promise<StockWriteResult[]> {
  return mapBounded(ready, writesInFlight, async (one) => {
    try {
      assertInTime(turn, api.now());
      return await patch(api, one);
    } catch (error) {
      return stockWriteFailure(error);
    }
  });
}

async function patch(api: AmazonApi, { sku, change }: Ready): Promise<StockWriteResult> {
  const response = await api.send({
    operation: 'patchListingsItem',
    method: 'PATCH',
    path: listingPath(api, sku),
    query: { marketplaceIds: api.settings.marketplaceId },
    json: change,
    // Amazon cannot compare: a repeat after a lost answer could overwrite a sale, or what somebody has set since.
    retry: 'never',
  });
  return resultOf(response);
}

const submissionSchema = z.looseObject({
  sku: z.string(),
  status: z.string(),
  submissionId: z.string().nullish(),
  issues: z.array(z.looseObject({ code: z.string(), message: z.string(), severity: z.string() })).nullish(),
});

/** `accepted` is no proof: Amazon shows the change minutes later, or an issue instead. */
function resultOf(response: HttpResponse): StockWriteResult {
  if (response.status !== 200) {
    const failure = stockWriteFailure(amazonError(response, 'patchListingsItem'));
    return failure.kind === 'rejected'
      ? { ...failure, code: firstErrorCode(response) ?? failure.code }
      : failure;
  }
  const answer = parseBody(submissionSchema, response, 'amazon.patchListingsItem');
  if (answer.status === 'ACCEPTED') return { kind: 'accepted', reference: answer.submissionId ?? null };
  const issues = answer.issues ?? [];
  const issue = issues.find((entry) => entry.severity === 'ERROR') ?? issues[0];
  return {
    kind: 'rejected',
    code: issue?.code ?? answer.status,
    message: redactText(issue?.message ?? `Amazon answered ${answer.status}`, 500),
    raw: answer,
  };
}
