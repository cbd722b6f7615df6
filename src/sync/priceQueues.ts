/** Follows prices that a channel took into a queue together with others: until that is worked off nothing is concluded from what is shown. */
import type { PriceWriteResult, Submission } from '../connectors/connector.ts';
import { queueOf } from '../connectors/queue.ts';
import { withRetry } from '../dbErrors.ts';
import { queuedMaxMs } from './core/limits.ts';
import type { PriceClaim } from './priceClaims.ts';
import type { PriceOutcome } from './priceSettling.ts';
import type { Run } from './pushRun.ts';
import { connectionErrors } from './writeErrors.ts';

/** In the order in which whoever marks the prices of an item locks them, so that neither waits for the other. */
const lockedRows = (more: string): string => `
WITH row AS (
  SELECT price.listing_id, known.* FROM jsonb_to_recordset($2::jsonb) AS known (id uuid, ${more}) JOIN dirty_prices price ON price.listing_id = known.id
   WHERE price.lease_owner = $1 ORDER BY price.listing_id FOR UPDATE OF price
)`;

const keepSql = `${lockedRows('reference text')}
UPDATE dirty_prices price SET reference = row.reference FROM row WHERE price.listing_id = row.listing_id`;

/** Nothing is worked off before it was sent, whatever the channel's clock says. */
const workedOffSql = `${lockedRows('ago float8')}
UPDATE dirty_prices price SET worked_off_at = greatest(price.sent_at, clock_timestamp() - row.ago * interval '1 ms')
  FROM row WHERE price.listing_id = row.listing_id`;

type Answered = { readonly claim: PriceClaim; readonly result: PriceWriteResult };

/** One statement, before anything else is done with the answers: whoever dies later has not forgotten what to ask for. */
export async function keepReferences(run: Run, answered: readonly Answered[]): Promise<void> {
  const queued = answered.flatMap(({ claim: { listingId: id }, result }) => {
    const reference = queueOf(result);
    return reference === null ? [] : [{ id, reference }];
  });
  if (queued.length === 0) return;
  const values = [run.owner, JSON.stringify(queued)];
  await withRetry(() => run.options.db.query({ name: 'prices-queued', text: keepSql, values }));
}

/** True while its queue may not be worked off yet: were it forgotten, what is wished for next would not wait for it. */
export function stands({ reference, sentForMs }: PriceClaim): boolean {
  return reference !== null && (sentForMs ?? 0) < queuedMaxMs;
}

/** A queue that has stood for long is asked for more seldom: after an eighth of that time. */
function pauseOf({ options }: Run, { sentForMs }: PriceClaim, waitMs: number): number {
  return Math.max(waitMs, Math.min((sentForMs ?? 0) / 8, options.backoffMaxMs));
}

type Followed = {
  /** What is decided without a reading. */
  readonly decided: readonly { readonly claim: PriceClaim; readonly outcome: PriceOutcome }[];
  /** What a reading decides; how long it has been on its way counts from when its queue was worked off. */
  readonly toRead: readonly PriceClaim[];
};

/**
 * While its queue stands, a price is neither lost nor changed by anybody, for a day at most. What its report refuses is refused; everything else is read,
 * because the report only says what was taken in.
 */
export async function followQueues(
  run: Run,
  claims: readonly PriceClaim[],
  waitMs: (claim: PriceClaim) => number,
): Promise<Followed> {
  const said = await ask(run, claims);
  const decided: { claim: PriceClaim; outcome: PriceOutcome }[] = [];
  const workedOff: { id: string; ago: number }[] = [];
  const toRead = claims.flatMap((claim): readonly PriceClaim[] => {
    const { listingId, sentForMs } = claim;
    const submission = said.get(listingId);
    if (submission === undefined) return [claim];
    const onItsWayMs = sentForMs ?? 0;
    if (submission.kind !== 'ended' && onItsWayMs < queuedMaxMs) {
      const error = submission.kind === 'unknown' ? submission.reason : null;
      decided.push({
        claim,
        outcome: { kind: 'accepted', waitMs: pauseOf(run, claim, waitMs(claim)), error },
      });
      return [];
    }
    if (submission.kind === 'ended' && submission.refused !== null) {
      const { refusal, code, message } = submission.refused;
      decided.push({ claim, outcome: { kind: 'refused', refusal, error: `${code}: ${message}` } });
      return [];
    }
    const at = submission.kind === 'ended' ? submission.at.getTime() : run.context.now();
    const ago = Math.min(Math.max(0, run.context.now() - at), onItsWayMs);
    workedOff.push({ id: listingId, ago });
    return [{ ...claim, sentForMs: ago }];
  });
  if (workedOff.length > 0) {
    const values = [run.owner, JSON.stringify(workedOff)];
    await withRetry(() => run.options.db.query({ name: 'prices-worked-off', text: workedOffSql, values }));
  }
  return { decided, toRead };
}

/** By listing, what the channel says of those of which it still has to say something. */
async function ask(run: Run, claims: readonly PriceClaim[]): Promise<ReadonlyMap<string, Submission>> {
  const { connector } = run.channel;
  const now = run.context.now();
  const queued = claims.flatMap(({ listingId, unitId, variantId, reference, sentForMs }) => {
    const sentAt = new Date(now - (sentForMs ?? 0));
    return reference === null ? [] : [{ listingId, address: { unitId, variantId }, reference, sentAt }];
  });
  if (queued.length === 0 || connector.submitted === undefined) return new Map();
  const said = await connector.submitted(
    queued.map(({ address, reference, sentAt }) => ({ address, reference, sentAt })),
  );
  run.errors.push(...connectionErrors(said));
  return new Map(
    queued.map(({ listingId }, index) => [
      listingId,
      said[index] ?? { kind: 'unknown', reason: 'the connector gave no answer' },
    ]),
  );
}
