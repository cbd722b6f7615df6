/** Brings dirty listings of one connection in step: lowering first, the newest number only, and every answer kept as evidence. */
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { ChannelError, type Connector, type StockReading, type StockWrite } from '../connectors/connector.ts';
import type { Log } from '../log.ts';
import { type TargetRule, targetQuantity } from './availability.ts';
import type { Connections } from './connections.ts';
import { decidePush, type PushDecision } from './pushDecision.ts';
import { logResult, outcomeOf, type Planned, postponed, settled } from './pushOutcome.ts';
import {
  claimDirty,
  loadClaimed,
  type PushListing,
  type PushOutcome,
  recordWrites,
  settle,
  type WriteNumber,
} from './pushSql.ts';
import { connectionErrors } from './writeErrors.ts';

export type PushOptions = {
  /** Ends the work after the listings under way. */
  readonly signal?: AbortSignal;
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

/** Works until the connection has nothing claimable left. Safe to run any number of times at once, in any number of processes. */
export async function pushConnection(options: PushOptions, connectionId: string): Promise<void> {
  const channel = await options.connections.open(connectionId);
  if (channel === null) return;
  const { connector } = channel;
  while (options.signal?.aborted !== true) {
    const owner = options.newId();
    const claims = await claimDirty(options.db, {
      connectionId,
      owner,
      limit: options.batchMax,
      leaseMs: options.leaseMs,
    });
    if (claims.length === 0) return;
    const listings = await loadClaimed(options.db, claims);
    const batch = await pushBatch(options, connector, listings, owner);
    // Only the channel's own answer says that nothing is wrong with it.
    if (batch.answered || batch.errors.length > 0) {
      await options.connections.report(connectionId, worstError(batch.errors));
    }
    await options.onSettled([...new Set(listings.flatMap((listing) => listing.itemId ?? []))]);
  }
}

type BatchResult = {
  readonly errors: readonly ChannelError[];
  /** True when the channel has answered anything. */
  readonly answered: boolean;
};

/** Calls of one run under way at once: enough to hide the channel's latency, few enough that what waits is decided late. */
const callsMax = 4;
const answers = new Set(['effective', 'accepted', 'stale', 'rejected']);

async function pushBatch(
  options: PushOptions,
  connector: Connector,
  claimed: readonly PushListing[],
  owner: string,
): Promise<BatchResult> {
  const errors: ChannelError[] = [];
  const { ready, read, outcomes } = await readUnknown(options, connector, claimed, errors);
  let answered = read.size > 0;
  const planned: Planned[] = [];
  for (const listing of ready) {
    const decision = decide(connector, listing);
    if (decision.kind === 'write') {
      planned.push({ listing, decision, key: decision.repeats?.id ?? options.newId() });
    } else {
      // A belief that nobody has read again keeps its age.
      const belief = read.has(listing.listingId) ? { shown: listing.shown } : {};
      outcomes.push({
        ...settled(listing, belief),
        inStep: decision.kind === 'inStep' ? wantedNumber(connector, listing) : null,
      });
    }
  }
  await settle(options.db, owner, outcomes);
  const lowering = planned.filter(({ decision }) => decision.direction === 'lower');
  const raising = planned.filter(({ decision }) => decision.direction === 'raise');
  for (const part of [lowering, raising]) {
    const calls = callsOf(connector, part).values();
    const lane = async (): Promise<void> => {
      for (const call of calls) {
        const written = await writeCall(options, connector, call, owner, errors);
        answered ||= written.some(({ write }) => write !== null && answers.has(write.state));
        await settle(options.db, owner, written);
      }
    };
    await Promise.all(Array.from({ length: callsMax }, lane));
  }
  return { errors, answered };
}

function decide(connector: Connector, listing: PushListing): PushDecision {
  return decidePush({ ...listing, rule: ruleOf(connector, listing) });
}

function ruleOf(connector: Connector, { buffer, quantityMax }: PushListing): TargetRule {
  return { buffer, quantityMax, channelMax: connector.capabilities.quantityMax };
}

function wantedNumber(connector: Connector, listing: PushListing): WriteNumber | null {
  if (listing.item === null) return null;
  const { available, seq } = listing.item;
  return { quantity: targetQuantity(available, ruleOf(connector, listing)), targetSeq: seq };
}

/** Reads the listings whose shown number is unknown. Those that cannot be read wait; those the channel does not count are left alone. */
async function readUnknown(
  options: PushOptions,
  connector: Connector,
  claimed: readonly PushListing[],
  errors: ChannelError[],
): Promise<{
  ready: readonly PushListing[];
  /** By listing id: what the channel has just answered. */
  read: ReadonlyMap<string, StockReading>;
  outcomes: PushOutcome[];
}> {
  const unread = claimed.filter(
    (listing) => decide(connector, listing).kind === 'write' && listing.shown === null,
  );
  const read = await readShown(connector, unread, errors);
  const outcomes: PushOutcome[] = [];
  const ready = claimed.flatMap((listing) => {
    const reading = read.get(listing.listingId);
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
    if (!read.has(listing.listingId))
      outcomes.push(postponed(options, listing, errors.at(-1)?.message ?? 'not read'));
  }
  return { ready, read, outcomes };
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

/** As many writes as the channel takes at once, never parting what one write replaces together. */
function callsOf(connector: Connector, part: readonly Planned[]): readonly (readonly Planned[])[] {
  const units = Map.groupBy(part, ({ listing }) => listing.unitId);
  const calls: Planned[][] = [];
  for (const unit of units.values()) {
    const last = calls.at(-1);
    if (last !== undefined && last.length + unit.length <= connector.capabilities.writesPerCall)
      last.push(...unit);
    else calls.push([...unit]);
  }
  return calls;
}

/** One call: recorded at the last moment, so that a number that became old while others were sent is never sent itself. */
async function writeCall(
  options: PushOptions,
  connector: Connector,
  part: readonly Planned[],
  owner: string,
  errors: ChannelError[],
): Promise<readonly PushOutcome[]> {
  const allowed = await recordWrites(
    options.db,
    owner,
    options.leaseMs,
    part.map(({ listing, decision, key }) => ({
      id: key,
      listingId: listing.listingId,
      itemId: listing.itemId,
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
  errors.push(...connectionErrors(results));
  return part.map((planned) => {
    const index = sendable.indexOf(planned);
    // A newer number has been sent meanwhile: ours is obsolete, and the newer claim answers for the listing.
    if (index < 0) return postponed(options, planned.listing, null);
    const result = results[index] ?? { kind: 'unknown', reason: 'the connector gave no result' };
    logResult(options.log, planned, result);
    return outcomeOf(options, planned, result);
  });
}

function worstError(errors: readonly ChannelError[]): ChannelError | null {
  return errors.find((error) => error.code === 'unauthorized') ?? errors[0] ?? null;
}
