/** Brings dirty listings of one connection in step: claim, decide under the shadow, look or write, and decide again with what that has told. Prices come last. */
import type { StockQueue } from '../connectors/connector.ts';
import type { ConnectedChannel } from './connections.ts';
import { pushPrices } from './pricePush.ts';
import { sendWrites } from './pushCalls.ts';
import { lookAt } from './pushLooks.ts';
import {
  beginRun,
  decideClaims,
  type Pending,
  type PushOptions,
  postponed,
  type Run,
  settle,
} from './pushRun.ts';
import { claimDirty, countDue } from './pushSql.ts';
import { worstError } from './writeErrors.ts';

export type { PushOptions } from './pushRun.ts';

/** Works until the connection has nothing claimable left, or its turn ends. Safe to run any number of times at once, in any number of processes. */
export async function pushConnection(options: PushOptions, connectionId: string): Promise<void> {
  const channel = await options.connections.open(connectionId);
  if (channel === null) return;
  const { clock, turn } = options;
  const turnEndsAt = clock.now() + (turn?.maxMs ?? Number.POSITIVE_INFINITY);
  while (options.signal?.aborted !== true) {
    // A batch of prices where no number waits, and then whatever number has become dirty meanwhile.
    const worked = (await pushStock(options, channel)) || (await pushPrices(options, channel));
    if (!worked) return;
    if (clock.now() < turnEndsAt) continue;
    // Where numbers never end, prices would never have their turn.
    await pushPrices(options, channel, true);
    return turn?.onMore(connectionId);
  }
}

/** False when no number is to be brought in step. */
async function pushStock(options: PushOptions, channel: ConnectedChannel): Promise<boolean> {
  const { batchMax, connections, leaseMs } = options;
  const connectionId = channel.connection.id;
  const limit = Math.max(batchMax, channel.connector.capabilities.writesPerCall);
  const owner = options.newId();
  const claims = await claimDirty(options.db, { connectionId, owner, limit, leaseMs });
  if (claims.length === 0) return false;
  const fillsWithRaises = claims.length === limit && !claims.some(({ lowers }) => lowers);
  const queue = fillsWithRaises ? await queueFor(options, channel) : null;
  const run = beginRun(options, channel, owner, queue);
  const more = Math.max(0, (queue?.callMax ?? 0) - limit);
  const others =
    more === 0 ? [] : await claimDirty(options.db, { connectionId, owner, limit: more, leaseMs });
  await workOff(run, await decideClaims(run, [...claims, ...others]), roundsMax);
  // Only the channel's own answer says that nothing is wrong with it.
  if (run.heard || run.errors.length > 0) await connections.report(connectionId, worstError(run.errors));
  await options.onSettled([...run.items], channel);
  return true;
}

/** Not null where so many listings wait that their raises may leave as one queue of the channel: then as many as that holds are taken on together. */
async function queueFor(
  { db, backoffMaxMs: withinMs }: PushOptions,
  { connection, connector }: ConnectedChannel,
): Promise<StockQueue | null> {
  const { stockQueue } = connector.capabilities;
  if (stockQueue === null) return null;
  const { waitingMin } = stockQueue;
  return (await countDue(db, connection.id, { withinMs, most: waitingMin })) < waitingMin ? null : stockQueue;
}

/** A fence, a reading and a compare that failed each lead to one more decision; whatever is still open after these comes again later. */
const roundsMax = 5;

/** What was looked at goes on by itself: a lowering that it leads to waits for no slow write. */
async function workOff(run: Run, pending: readonly Pending[], rounds: number): Promise<void> {
  if (pending.length === 0) return;
  if (rounds === 0) {
    // A write that was decided and has not left is open in its shadow: it is sent again under its key.
    await settle(
      run,
      pending.map(({ claim }) => postponed(run, claim, null)),
    );
    return;
  }
  const writes = pending.filter((one) => one.kind === 'write');
  const looks = pending.filter((one) => one.kind === 'look');
  await Promise.all([
    sendWrites(run, writes).then((next) => workOff(run, next, rounds - 1)),
    lookAt(run, looks)
      .then((claimed) => decideClaims(run, claimed))
      .then((next) => workOff(run, next, rounds - 1)),
  ]);
}
