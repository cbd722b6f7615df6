/** The looks of a push: the orders of the channel where a raise is to be fenced, then one reading of all that must be read. */
import type { ChannelError, StockReading } from '../connectors/connector.ts';
import { fetchOrders } from './poll.ts';
import { type Run, settle, type ToLook } from './pushRun.ts';
import type { Claim } from './pushSql.ts';
import { look } from './readings.ts';

/** Answers those to decide again. What the channel does not count is left alone. */
export async function lookAt(run: Run, asked: readonly ToLook[]): Promise<readonly Claim[]> {
  if (asked.length === 0) return [];
  const readable = await ordersFirst(run, asked);
  const { results, error } = await look(
    run.reading,
    run.channel,
    readable.map(({ listing }) => listing),
  );
  if (error !== null) run.errors.push(error);
  run.heard ||= results.size > 0;
  const untracked = new Set<Claim>();
  for (const { claim } of readable) {
    const result = results.get(claim.listingId);
    if (result?.kind === 'notTracked') untracked.add(claim);
    else run.looks.set(claim.listingId, result?.kind === 'quantity' ? null : whyUnread(result, error));
  }
  await settle(
    run,
    [...untracked].map(({ listingId, version }) => ({
      listingId,
      version,
      done: true,
      retryInMs: 0,
      reread: false,
    })),
  );
  return asked.map(({ claim }) => claim).filter((claim) => !untracked.has(claim));
}

function whyUnread(result: StockReading | undefined, error: ChannelError | null): string {
  if (result?.kind === 'unknown') return result.reason;
  return error?.message ?? 'the channel left the listing out of its answer';
}

/** A raise whose channel does not tell its orders waits. Answers what is to be read. */
async function ordersFirst(run: Run, asked: readonly ToLook[]): Promise<readonly ToLook[]> {
  const fenced = asked.filter(({ orders }) => orders);
  if (fenced.length === 0) return asked;
  const error = await fetchOrders(run.options.fetching, run.channel);
  if (error === null) return asked;
  run.errors.push(error);
  for (const { claim } of fenced) run.looks.set(claim.listingId, error.message);
  return asked.filter(({ orders }) => !orders);
}
