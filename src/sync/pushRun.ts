/** One run of the push over one batch of one connection: what it was given, and how it gives claimed listings back. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { ChannelError, StockQueue } from '../connectors/connector.ts';
import { withRetry } from '../dbErrors.ts';
import type { Log } from '../log.ts';
import type { ConnectedChannel, Connections } from './connections.ts';
import { type Decided, type DecisionOptions, decide } from './decisions.ts';
import type { Packed } from './packing.ts';
import type { FetchOptions } from './poll.ts';
import { type Claim, type ClaimOutcome, settleClaims } from './pushSql.ts';
import type { ReadingOptions } from './readings.ts';
import { type Kept, type ShadowContext, withShadows } from './shadows.ts';

export type PushOptions = {
  /** Ends the work after the listings under way. */
  readonly signal?: AbortSignal;
  readonly db: pg.Pool;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
  /** Listings taken at once; as many as fit one of the channel's calls where those are more. */
  readonly batchMax: number;
  /** Longer than the longest channel call; after it another worker may take the listing. */
  readonly leaseMs: number;
  /** Longest run of one channel call. */
  readonly callMaxMs: number;
  /** How long after its decision a write may leave; one that has waited longer is decided again. */
  readonly sendWithinMs: number;
  /** How old the looks of a fence may be when the raise is sent. */
  readonly fenceMaxMs: number;
  /** While an older write may still land after a zero, the zero is sent again after so long. */
  readonly zeroAgainMs: number;
  /** Pause before the next look at a write that is not proved. */
  readonly verifyIntervalMs: number;
  /** Longest pause between two attempts at the same listing. */
  readonly backoffMaxMs: number;
  /** After so long one run makes room for other connections, and tells that there may be more to do. Without it a run goes on to the end. */
  readonly turn?: { readonly maxMs: number; readonly onMore: (connectionId: string) => void };
  readonly readings: (channel: ConnectedChannel) => ReadingOptions;
  readonly fetching: FetchOptions;
  /** There is something to tell in the event log. */
  readonly onEvents: () => void;
  /** Called with the items whose listings on this channel were settled. */
  readonly onSettled: (itemIds: readonly string[], channel: ConnectedChannel) => Promise<void>;
};

export type Run = {
  readonly options: PushOptions;
  readonly channel: ConnectedChannel;
  readonly context: ShadowContext;
  readonly reading: ReadingOptions;
  readonly decisions: DecisionOptions;
  readonly owner: string;
  readonly errors: ChannelError[];
  /** By listing id, what was read in this batch: null when it could be, else why not. */
  readonly looks: Map<string, string | null>;
  readonly items: Set<string>;
  /** By listing id, how often a look before its write has stopped it. */
  readonly stale: Map<string, number>;
  /** True when the channel has answered anything. */
  heard: boolean;
};

export function decisionOptions(
  options: Pick<PushOptions, 'newId' | 'fenceMaxMs' | 'zeroAgainMs' | 'callMaxMs' | 'sendWithinMs'>,
  { connection, connector }: ConnectedChannel,
): DecisionOptions {
  const { newId, fenceMaxMs, zeroAgainMs, callMaxMs, sendWithinMs } = options;
  const { capabilities } = connector;
  return {
    capabilities,
    connectionId: connection.id,
    newId,
    fenceMaxMs,
    zeroAgainMs,
    answerWaitMs: sendWithinMs + callMaxMs,
    queue: null,
  };
}

export function beginRun(
  options: PushOptions,
  channel: ConnectedChannel,
  owner: string,
  queue: StockQueue | null = null,
): Run {
  const reading = options.readings(channel);
  return {
    options,
    channel,
    reading,
    context: reading.context,
    decisions: { ...decisionOptions(options, channel), queue },
    owner,
    errors: [],
    looks: new Map(),
    items: new Set(),
    stale: new Map(),
    heard: false,
  };
}

/** What is still to be done about a claimed listing. */
export type ToWrite = Extract<Packed, { kind: 'write' }>;
export type ToLook = Extract<Packed, { kind: 'look' }>;
export type Pending = ToWrite | ToLook;

/** One transaction: what needs nothing more is given back, what is written is remembered before it leaves. */
export async function decideClaims(run: Run, claims: readonly Claim[]): Promise<readonly Pending[]> {
  if (claims.length === 0) return [];
  const ids = claims.map(({ listingId }) => listingId);
  const { result, wake } = await withShadows(run.context, ids, (client, kept, now) =>
    decideKept(run, client, claims, kept, now),
  );
  run.reading.onConcerned(wake);
  return result;
}

export async function decideKept(
  run: Run,
  client: pg.PoolClient,
  claims: readonly Claim[],
  kept: Kept,
  now: number,
): Promise<readonly Pending[]> {
  const decided = await decide(client, run.decisions, { claims, kept, looks: run.looks }, now);
  for (const { listing } of decided) if (listing.itemId !== null) run.items.add(listing.itemId);
  const pending = decided.filter((one) => one.kind === 'write' || one.kind === 'look');
  await settleClaims(
    client,
    run.owner,
    decided.flatMap((one) => outcomeOf(run, one, now)),
  );
  return pending;
}

/** How long a stopped change waits for somebody to look at it before it asks again. */
export const stoppedWaitMs = 60_000;

function outcomeOf(run: Run, decided: Decided, now: number): readonly ClaimOutcome[] {
  const { claim } = decided;
  switch (decided.kind) {
    case 'done':
      return [finished(run, claim)];
    case 'wait':
      return [{ ...finished(run, claim), done: false, retryInMs: Math.max(0, decided.until - now) }];
    case 'stopped':
      return [{ ...finished(run, claim), done: false, retryInMs: stoppedWaitMs }];
    case 'unreadable':
      return [postponed(run, claim, decided.reason)];
    case 'look':
    case 'write':
      return [];
  }
}

/** Nothing is left to do. A listing that was read has no trouble that people should be told of. */
function finished({ looks }: Run, { listingId, version }: Claim): ClaimOutcome {
  const told = looks.get(listingId) === null ? { error: null } : {};
  return { listingId, version, done: true, retryInMs: 0, reread: false, ...told };
}

/** Another attempt later, after growing pauses. `error` is what people are told; null when there is nothing to tell. */
export function postponed(
  { options, looks }: Run,
  { listingId, version, attempts, reread }: Claim,
  error: string | null,
  retryAfterMs = 0,
): ClaimOutcome {
  const backoffMs = Math.min(1_000 * 2 ** Math.min(attempts, 20), options.backoffMaxMs);
  const unread = reread && looks.get(listingId) !== null;
  return {
    listingId,
    version,
    done: false,
    retryInMs: Math.max(retryAfterMs, backoffMs),
    error,
    reread: unread,
  };
}

export async function settle({ options, owner }: Run, outcomes: readonly ClaimOutcome[]): Promise<void> {
  await withRetry(() => settleClaims(options.db, owner, outcomes));
}
