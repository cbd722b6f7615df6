/** Writes prices once no number is left to write: every price is remembered before it leaves, and one that nobody answered is read back before it is repeated. */
import type pg from 'pg';
import {
  ChannelError,
  type PriceReading,
  type PriceWriteResult,
  type Turn,
  type Urgency,
} from '../connectors/connector.ts';
import { inTransaction } from '../db.ts';
import { mayChange } from './blast.ts';
import { channelBounds, landingMaxMs } from './bounds.ts';
import { lockItem } from './conflictRows.ts';
import type { ConnectedChannel } from './connections.ts';
import { calls } from './core/sending.ts';
import {
  endPrices,
  hasDue,
  leasePrices,
  leaseUnits,
  lockDue,
  type PriceClaim,
  type PriceToSend,
  putOff,
  recordPrices,
  rejoin,
} from './priceClaims.ts';
import { followQueues, keepReferences, stands } from './priceQueues.ts';
import { type PriceOutcome, settlePrice } from './priceSettling.ts';
import { checkPrices } from './prices.ts';
import { doubtUnits, othersIn, takeAlong } from './priceUnits.ts';
import { judgePrice, type PriceTimes } from './priceVerdict.ts';
import { beginRun, type PushOptions, type Run, settle, stoppedWaitMs } from './pushRun.ts';
import { lockClaims } from './pushSql.ts';
import { connectionErrors } from './writeErrors.ts';

/** Calls of one run under way at once. */
const callsMax = 2;
/** So that a channel which refuses at once is not asked without end. */
const budgetPauseMsMin = 100;
/** How long a price waits behind numbers that never end. */
const lateAfterMs = 60_000;
/** How long a price that nobody wants any more is left alone while it stands in a queue of the channel. */
const standingMs = 300_000;
/** How long a price waits for the numbers of its unit to be written. */
const busyUnitMs = 500;

type Taken = {
  readonly toSend: readonly PriceToSend[];
  readonly toRead: readonly PriceClaim[];
  /** When what is to be sent was remembered: from then on it counts as on its way. */
  readonly recordedAt: number;
};

/**
 * One batch. False when no price of the connection is due. `onlyLate`: only when one was wished for a minute ago or earlier, and then the batch takes
 * the turn of numbers.
 */
export async function pushPrices(
  options: PushOptions,
  channel: ConnectedChannel,
  onlyLate = false,
): Promise<boolean> {
  if (!(await hasDue(options.db, channel.connection.id, onlyLate ? lateAfterMs : 0))) return false;
  const owner = options.newId();
  const taken = await takePrices(options, channel, owner);
  if (taken === null) return false;
  const run = beginRun(options, channel, owner);
  try {
    await doubtUnits(
      run,
      taken.toRead.filter(({ state }) => state === 'sent'),
    );
    await send(run, taken, onlyLate ? 'raise' : 'price');
    await readBack(run, taken.toRead);
  } finally {
    await giveUnitsBack(run, taken.toSend);
  }
  const [error] = run.errors;
  if (run.heard || error !== undefined)
    await options.connections.report(channel.connection.id, error ?? null);
  if (taken.toRead.length + taken.toSend.length > 0) options.onEvents();
  return true;
}

// ------------------------------------------------------------------------------------------------------------------ taking

/** One transaction: what is taken is leased, and what will be sent is remembered. Null when nothing is due. */
async function takePrices(
  options: PushOptions,
  { connection, connector }: ConnectedChannel,
  owner: string,
): Promise<Taken | null> {
  const { leaseMs, clock } = options;
  const pricesMax = Math.max(options.batchMax, connector.capabilities.pricesPerCall);
  return inTransaction(options.db, async (client) => {
    // Units are leased by one worker at a time.
    await lockClaims(client, connection.id);
    let due = await lockDue(client, connection.id, pricesMax);
    if (connector.capabilities.priceWritesUnit && (await rejoin(client, connection.id, due)))
      due = await lockDue(client, connection.id, pricesMax);
    if (due.length === 0) return null;
    const standing = due.filter((claim) => isOver(claim) && stands(claim));
    await putOff(client, standing, standingMs);
    const over = due.filter((claim) => isOver(claim) && !stands(claim));
    const wanted = due.filter((claim): claim is PriceToSend => claim.state === 'waiting' && !isOver(claim));
    const toRead = due.filter((claim) => claim.state !== 'waiting' && !isOver(claim));
    await endPrices(client, over);
    const toSend = await allowed(client, connection.id, wanted, (claims) =>
      connector.capabilities.priceWritesUnit ? withUnits(client, owner, leaseMs, claims) : claims,
    );
    await leasePrices(client, owner, leaseMs, toRead);
    const recordedAt = clock.now();
    await recordPrices(client, { owner, leaseMs }, toSend);
    return { toSend, toRead, recordedAt };
  });
}

/** Nobody wants a price there, or it is shown already: what may still be on its way is waited for. */
function isOver({ state, itemId, intended, shown, tolerance }: PriceClaim): boolean {
  if (itemId === null || intended === null) return true;
  return state === 'waiting' && shown !== null && Math.abs(shown - intended) <= tolerance;
}

async function allowed(
  client: pg.PoolClient,
  connectionId: string,
  wanted: readonly PriceToSend[],
  free: (claims: readonly PriceToSend[]) => Promise<readonly PriceToSend[]> | readonly PriceToSend[],
): Promise<readonly PriceToSend[]> {
  const changes = wanted.map(({ listingId }) => ({ unit: listingId, class: 'price' as const, exposure: 0 }));
  if (!(await mayChange(client, connectionId, changes))) {
    await putOff(client, wanted, stoppedWaitMs);
    return [];
  }
  const toSend = await free(wanted);
  await putOff(
    client,
    wanted.filter((claim) => !toSend.includes(claim)),
    busyUnitMs,
  );
  return toSend;
}

async function withUnits(
  client: pg.PoolClient,
  owner: string,
  leaseMs: number,
  wanted: readonly PriceToSend[],
): Promise<readonly PriceToSend[]> {
  const leased = await leaseUnits(client, owner, leaseMs, wanted);
  return wanted.filter(({ listingId }) => leased.has(listingId));
}

async function giveUnitsBack(run: Run, claims: readonly PriceToSend[]): Promise<void> {
  if (!run.channel.connector.capabilities.priceWritesUnit) return;
  await settle(
    run,
    claims.map(({ listingId }) => ({ listingId, version: '1', done: true, retryInMs: 0, reread: false })),
  );
}

// ----------------------------------------------------------------------------------------------------------------- sending

async function send(run: Run, { toSend, recordedAt }: Taken, urgency: Urgency): Promise<void> {
  if (toSend.length === 0) return;
  const turn = { urgency, leaveBy: recordedAt + run.options.sendWithinMs };
  const sendables = toSend.map((claim) => ({
    ...claim,
    unit: claim.unitId,
    class: 'price' as const,
    exposure: 0,
  }));
  const waiting = calls(sendables, run.channel.connector.capabilities.pricesPerCall).others.values();
  const lane = async (): Promise<void> => {
    for (const call of waiting) await sendCall(run, call, turn);
  };
  await Promise.all(Array.from({ length: callsMax }, lane));
}

/** After the end of its turn nothing leaves any more: whoever reads the price back counts from when it was remembered. */
async function sendCall(run: Run, call: readonly PriceToSend[], turn: Required<Turn>): Promise<void> {
  const { connector } = run.channel;
  const others = await othersIn(run, call);
  const calledAt = run.context.now();
  if (calledAt > turn.leaveBy) {
    for (const claim of call) await settleOne(run, claim, { kind: 'late' });
    return;
  }
  const results = await connector.setPrices(
    call.map(({ unitId, variantId, intended: minor, currency }) => ({
      address: { unitId, variantId },
      price: { minor, currency },
      ...others({ unitId, variantId }),
    })),
    turn,
  );
  run.errors.push(...connectionErrors(results));
  const answered = call.map((claim, index) => {
    const result = results[index] ?? ({ kind: 'unknown', reason: 'the connector gave no result' } as const);
    return { claim, result, sentAt: calledAt };
  });
  await keepReferences(run, answered);
  // The numbers that travelled along first: should we die between the two, the price is read back, and they are doubted then.
  await takeAlong(run, answered);
  for (const { claim, result } of answered) {
    logAnswer(run, claim, result);
    await settleOne(run, claim, outcomeOf(run, claim, result));
  }
}

function outcomeOf(run: Run, claim: PriceClaim, result: PriceWriteResult): PriceOutcome {
  const { waitMs, echoMs } = timesOf(run, claim);
  switch (result.kind) {
    case 'effective':
      return { kind: 'shown', echoMs };
    case 'accepted':
      return { kind: 'accepted', waitMs, error: null };
    case 'refused':
      return { kind: 'refused', refusal: result.refusal, error: `${result.code}: ${result.message}` };
    case 'unknown':
      return { kind: 'unknown', waitMs, error: result.reason };
    case 'deferred': {
      // A spent budget says itself when it has tokens again.
      const pause = result.error === 'rate_limited' ? budgetPauseMsMin : waitMs;
      return {
        kind: 'again',
        waitMs: Math.max(pause, result.retryAfterMs),
        error: result.reason,
        found: null,
      };
    }
  }
}

function timesOf({ options, channel }: Run, claim: PriceClaim): PriceTimes {
  const { staleMaxMs, settleMaxMs } = channelBounds(claim, channel.connector.capabilities);
  const pauses = options.verifyIntervalMs * 2 ** Math.min(claim.attempts, 20);
  return {
    landingMs: landingMaxMs(settleMaxMs, options),
    staleMs: staleMaxMs,
    echoMs: staleMaxMs + options.callMaxMs,
    waitMs: Math.min(pauses, Math.max(options.backoffMaxMs, options.verifyIntervalMs)),
  };
}

function logAnswer(run: Run, { listingId, intended, currency }: PriceToSend, result: PriceWriteResult): void {
  run.heard ||= result.kind !== 'unknown' && result.kind !== 'deferred';
  const fields = { listingId, minor: intended, currency };
  if (result.kind === 'effective' || result.kind === 'accepted')
    run.options.log.info({ ...fields, result: result.kind }, 'price written');
  else run.options.log.warn({ ...fields, result }, 'price not written');
}

async function settleOne(run: Run, claim: PriceClaim, outcome: PriceOutcome): Promise<void> {
  const { accountId, itemId, listingId } = claim;
  if (itemId === null) return;
  await inTransaction(run.options.db, async (client) => {
    // As everybody who changes both: the listing, then its item.
    await client.query('SELECT FROM listings WHERE id = $1 FOR NO KEY UPDATE', [listingId]);
    await lockItem(client, accountId, itemId);
    if (await settlePrice(client, listingId, run.owner, outcome))
      await checkPrices(client, accountId, itemId);
  });
}

// ------------------------------------------------------------------------------------------------------------ reading back

async function readBack(run: Run, claims: readonly PriceClaim[]): Promise<void> {
  const { decided, toRead } = await followQueues(run, claims, (claim) => timesOf(run, claim).waitMs);
  for (const { claim, outcome } of decided) await settleOne(run, claim, outcome);
  if (toRead.length === 0) return;
  const readings = await readingsOf(run, toRead);
  for (const [index, claim] of toRead.entries()) {
    const reading = readings[index] ?? { kind: 'unknown', reason: 'the channel left the listing out' };
    await settleOne(run, claim, judgePrice(claim, reading, timesOf(run, claim)));
  }
}

async function readingsOf(run: Run, claims: readonly PriceClaim[]): Promise<readonly PriceReading[]> {
  try {
    const readings = await run.channel.connector.readPrices(
      claims.map(({ unitId, variantId }) => ({ unitId, variantId })),
    );
    run.heard = true;
    return readings;
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    run.errors.push(error);
    return claims.map(() => ({ kind: 'unknown', reason: error.message }));
  }
}
