/** What a channel's answers to writes say about the connection itself: nobody should wait for the next poll to hear that a key is refused. */
import {
  ChannelError,
  type ChannelErrorCode,
  type PriceWriteResult,
  type StockWriteResult,
  type Submission,
} from '../connectors/connector.ts';

/** A person has to act; everything else mends itself or concerns one listing. */
const needPeople = new Set<ChannelErrorCode>(['unauthorized', 'misconfigured']);

/** At most one per reason, in the order of the results. */
export function connectionErrors(
  results: readonly (StockWriteResult | PriceWriteResult | Submission)[],
): readonly ChannelError[] {
  const found = new Map<ChannelErrorCode, ChannelError>();
  for (const result of results) {
    if (result.kind !== 'deferred' && result.kind !== 'unknown') continue;
    const { error, reason } = result;
    if (error !== undefined && needPeople.has(error) && !found.has(error))
      found.set(error, new ChannelError(error, reason));
  }
  return [...found.values()];
}

/** What to tell of the connection; null when nothing is wrong with it. */
export function worstError(errors: readonly ChannelError[]): ChannelError | null {
  return errors.find((error) => error.code === 'unauthorized') ?? errors[0] ?? null;
}
