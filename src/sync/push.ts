/** Brings dirty listings of one connection in step: lowering first, the newest number only, and every answer kept as evidence. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import {
  ChannelError,
  type Connector,
  type StockReading,
  type StockWrite,
  type StockWriteResult,
} from '../connectors/connector.ts';
import type { Log } from '../log.ts';
import type { Connections } from './connections.ts';
import { decidePush, type PushDecision } from './pushDecision.ts';
import {
  claimDirty,
  loadClaimed,
  type PushListing,
  type PushOutcome,
  recordWrites,
  settle,
} from './pushSql.ts';

export type PushOptions = {
  readonly db: pg.Pool;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
  /** Listings taken at once. */
  readonly batchMax: number;
  /** Longer than the longest channel call; after it another worker may take the listing. */
  readonly leaseMs: number;
  readonly backoffMaxMs: number;
  /** Called with the items whose listings were settled. */
  readonly onSettled: (itemIds: readonly string[]) => Promise<void>;
};

type Planned = {
  readonly listing: PushListing;
  readonly decision: Extract<PushDecision, { kind: 'write' }>;
  readonly key: string;
};

/** Works until the connection has nothing claimable left. Safe to run any number of times at once, in any number of processes. */
export async function pushConnection(options: PushOptions, connectionId: string): Promise<void> {
  const channel = await options.connections.open(connectionId);
  if (channel === null) return;
  const { connector } = channel;
  for (;;) {
    const owner = options.newId();
    const claims = await claimDirty(options.db, {
      connectionId,
      owner,
      limit: options.batchMax,
      leaseMs: options.leaseMs,
    });
    if (claims.length === 0) return;
    const listings = await loadClaimed(options.db, claims);
    const outcomes = await pushBatch(options, connector, listings, (part) => settle(options.db, owner, part));
    await options.connections.report(connectionId, worstError(outcomes.errors));
    await options.onSettled([...new Set(listings.flatMap((listing) => listing.itemId ?? []))]);
  }
}

type Settle = (outcomes: readonly PushOutcome[]) => Promise<void>;
type BatchResult = { readonly errors: readonly ChannelError[] };

async function pushBatch(
  options: PushOptions,
  connector: Connector,
  claimed: readonly PushListing[],
  settlePart: Settle,
): Promise<BatchResult> {
  const errors: ChannelError[] = [];
  const { ready, outcomes } = await readUnknown(options, connector, claimed, errors);
  const planned: Planned[] = [];
  for (const listing of ready) {
    const decision = decide(connector, listing);
    if (decision.kind === 'write') {
      planned.push({ listing, decision, key: decision.repeats?.id ?? options.newId() });
    } else {
      outcomes.push(settled(listing, { shown: listing.shown ?? undefined }));
    }
  }
  await settlePart(outcomes);
  const lowering = planned.filter(({ decision }) => decision.direction === 'lower');
  const raising = planned.filter(({ decision }) => decision.direction === 'raise');
  for (const part of [lowering, raising]) {
    if (part.length > 0) await settlePart(await writePart(options, connector, part));
  }
  return { errors };
}

function decide(connector: Connector, listing: PushListing): PushDecision {
  const { quantityMax: channelMax } = connector.capabilities;
  const { buffer, quantityMax } = listing;
  return decidePush({ ...listing, rule: { buffer, quantityMax, channelMax } });
}

/** Reads the listings whose shown number is unknown. Those that cannot be read wait; those the channel does not count are left alone. */
async function readUnknown(
  options: PushOptions,
  connector: Connector,
  claimed: readonly PushListing[],
  errors: ChannelError[],
): Promise<{ ready: readonly PushListing[]; outcomes: PushOutcome[] }> {
  const unread = claimed.filter(
    (listing) => decide(connector, listing).kind === 'write' && listing.shown === null,
  );
  const readings = await readShown(connector, unread, errors);
  const outcomes: PushOutcome[] = [];
  const ready = claimed.flatMap((listing) => {
    const reading = readings.get(listing.listingId);
    if (reading === undefined) return unread.includes(listing) ? [] : [listing];
    if (reading.kind === 'quantity') return [{ ...listing, shown: reading.quantity }];
    if (reading.kind === 'notTracked') {
      outcomes.push({
        ...settled(listing, { shown: null }),
        error: 'the channel does not track stock of this listing',
      });
      return [];
    }
    // A number that cannot be read may be too high: lowering writes go out unread, everything else waits.
    if (decide(connector, listing).kind === 'write' && (listing.item?.available ?? 0) <= 0) return [listing];
    outcomes.push(postponed(options, listing, reading.reason));
    return [];
  });
  for (const listing of unread) {
    if (!readings.has(listing.listingId))
      outcomes.push(postponed(options, listing, errors.at(-1)?.message ?? 'not read'));
  }
  return { ready, outcomes };
}

async function readShown(
  connector: Connector,
  listings: readonly PushListing[],
  errors: ChannelError[],
): Promise<ReadonlyMap<string, StockReading>> {
  if (listings.length === 0) return new Map();
  try {
    const readings = await connector.readStock(listings);
    return new Map(listings.map((listing, index) => [listing.listingId, readings[index] ?? missingReading]));
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    errors.push(error);
    return new Map();
  }
}

const missingReading: StockReading = {
  kind: 'unknown',
  reason: 'the channel left the listing out of its answer',
};

async function writePart(
  options: PushOptions,
  connector: Connector,
  part: readonly Planned[],
): Promise<readonly PushOutcome[]> {
  const allowed = await recordWrites(
    options.db,
    part.map(({ listing, decision, key }) => ({
      id: key,
      listingId: listing.listingId,
      quantity: decision.quantity,
      expected: decision.expected,
      targetSeq: decision.targetSeq,
    })),
  );
  const sendable = part.filter(({ key }) => allowed.has(key));
  const writes: StockWrite[] = sendable.map(({ listing, decision, key }) => ({
    address: { unitId: listing.unitId, variantId: listing.variantId },
    quantity: decision.quantity,
    expected: connector.capabilities.compareAndSet ? decision.expected : null,
    key,
  }));
  const results = writes.length === 0 ? [] : await connector.setStock(writes);
  return part.map((planned) => {
    const index = sendable.indexOf(planned);
    // A newer number has been sent meanwhile: ours is obsolete, and the newer claim answers for the listing.
    if (index < 0) return settled(planned.listing, {});
    const result = results[index] ?? { kind: 'unknown', reason: 'the connector gave no result' };
    logResult(options.log, planned, result);
    return outcomeOf(options, planned, result);
  });
}

function outcomeOf(
  options: PushOptions,
  { listing, decision, key }: Planned,
  result: StockWriteResult,
): PushOutcome {
  const write = (state: string) => ({ id: key, state });
  switch (result.kind) {
    case 'effective':
      return {
        ...settled(listing, { shown: result.quantity }),
        write: write('effective'),
        done: result.quantity === decision.quantity,
      };
    case 'accepted':
      return { ...settled(listing, { shown: null }), write: write('accepted') };
    case 'stale':
      return {
        ...postponed(options, listing, null),
        write: write('stale'),
        shown: result.actual,
        retryInMs: listing.attempts < 3 ? 0 : backoff(options, listing),
      };
    case 'rejected':
      return {
        ...settled(listing, {}),
        write: write('rejected'),
        error: `${result.code}: ${result.message}`,
      };
    case 'unknown':
      return { ...postponed(options, listing, result.reason), write: write('unknown'), shown: null };
    case 'deferred':
      return {
        ...postponed(options, listing, result.reason),
        write: write('superseded'),
        retryInMs: Math.max(result.retryAfterMs, backoff(options, listing)),
      };
  }
}

function settled(listing: PushListing, belief: { readonly shown?: number | null | undefined }): PushOutcome {
  const { listingId, version } = listing;
  const base = { listingId, version, write: null, error: null, done: true, retryInMs: 0 };
  return belief.shown === undefined ? base : { ...base, shown: belief.shown };
}

function postponed(options: PushOptions, listing: PushListing, reason: string | null): PushOutcome {
  const { listingId, version } = listing;
  return {
    listingId,
    version,
    write: null,
    error: reason,
    done: false,
    retryInMs: backoff(options, listing),
  };
}

function backoff(options: PushOptions, listing: PushListing): number {
  return Math.min(1_000 * 2 ** Math.min(listing.attempts, 20), options.backoffMaxMs);
}

function logResult(log: Log, { listing, decision, key }: Planned, result: StockWriteResult): void {
  const fields = {
    writeId: key,
    listingId: listing.listingId,
    quantity: decision.quantity,
    targetSeq: decision.targetSeq,
  };
  if (result.kind === 'effective' || result.kind === 'accepted')
    log.info({ ...fields, result: result.kind }, 'stock written');
  else log.warn({ ...fields, result }, 'stock not written');
}

function worstError(errors: readonly ChannelError[]): ChannelError | null {
  return errors.find((error) => error.code === 'unauthorized') ?? errors[0] ?? null;
}
