/** What became of a price that was sent, said once, by whoever has taken it, under the item's lock. */
import type pg from 'pg';
import type { PriceRefusal } from '../connectors/connector.ts';

export type PriceOutcome =
  /** Proved: the channel shows what was sent. A reading may still be from before for `echoMs`. */
  | { readonly kind: 'shown'; readonly echoMs: number }
  /** Not decided yet: looked at again after `waitMs`. */
  | { readonly kind: 'accepted' | 'unknown'; readonly waitMs: number; readonly error: string | null }
  /** Certainly not in force: written again after `waitMs`. `found`: what a reading showed instead, in minor units. */
  | {
      readonly kind: 'again';
      readonly waitMs: number;
      readonly error: string | null;
      readonly found: number | null;
    }
  /** It waited for its turn too long, and did not leave. */
  | { readonly kind: 'late' }
  | { readonly kind: 'refused'; readonly refusal: PriceRefusal; readonly error: string }
  /** A reading shows a third price, in minor units: somebody else has changed it. */
  | { readonly kind: 'edited'; readonly found: number };

/** What people are told of an operation that was given up because of it. */
export const editedText = 'the price was changed on the channel';

type Row = { readonly overtaken: boolean; readonly sent: number };

/** In the caller's transaction, under the item's lock. False when another one has it by now. */
export async function settlePrice(
  client: pg.PoolClient,
  listingId: string,
  owner: string,
  outcome: PriceOutcome,
): Promise<boolean> {
  const { rows } = await client.query<Row>({
    name: 'prices-held',
    // Whatever became of an older wish: a newer one has not been sent.
    text: `SELECT version <> sent_version AS overtaken, sent_minor::float8 AS sent FROM dirty_prices
            WHERE listing_id = $1 AND lease_owner = $2 FOR UPDATE`,
    values: [listingId, owner],
  });
  const [row] = rows;
  if (row === undefined) return false;
  const found = foundBy(outcome, row.sent);
  if (found !== null) await show(client, listingId, found);
  await change(client, listingId, nextOf(outcome, row.overtaken));
  return true;
}

/** What the channel is known to show now; null when this says nothing of it. */
function foundBy(outcome: PriceOutcome, sent: number): number | null {
  switch (outcome.kind) {
    case 'shown':
      return sent;
    case 'again':
    case 'edited':
      return outcome.found;
    case 'accepted':
    case 'unknown':
    case 'late':
    case 'refused':
      return null;
  }
}

async function show(client: pg.PoolClient, listingId: string, minor: number): Promise<void> {
  await client.query({
    name: 'prices-show',
    text: `UPDATE listings SET price_minor = $2, price_looked_at = now(),
                  updated_at = CASE WHEN price_minor IS DISTINCT FROM $2 THEN now() ELSE updated_at END WHERE id = $1`,
    values: [listingId, minor],
  });
}

type Next = {
  readonly state: 'waiting' | 'accepted' | 'unknown' | 'refused' | 'shown' | 'edited';
  readonly waitMs: number;
  readonly error: string | null;
  readonly refusal: PriceRefusal | null;
  readonly echoMs: number | null;
  /** Added to how often the wish was attempted, and to how many of its writes were lost. */
  readonly attempts: 0 | 1;
  readonly lost: 0 | 1;
};

function nextOf(outcome: PriceOutcome, overtaken: boolean): Next {
  const next = { waitMs: 0, error: null, refusal: null, echoMs: null, attempts: 1, lost: 0 } as const;
  switch (outcome.kind) {
    case 'accepted':
    case 'unknown':
      return { ...next, state: outcome.kind, waitMs: outcome.waitMs, error: outcome.error };
    case 'again': {
      const lost = outcome.found === null ? 0 : 1;
      return {
        ...next,
        state: 'waiting',
        waitMs: overtaken ? 0 : outcome.waitMs,
        error: outcome.error,
        lost,
      };
    }
    case 'late':
      return { ...next, state: 'waiting', attempts: 0 };
    case 'shown':
      return overtaken ? { ...next, state: 'waiting' } : { ...next, state: 'shown', echoMs: outcome.echoMs };
    case 'refused':
      return overtaken
        ? { ...next, state: 'waiting', error: outcome.error }
        : { ...next, state: 'refused', error: outcome.error, refusal: outcome.refusal };
    case 'edited':
      return overtaken ? { ...next, state: 'waiting' } : { ...next, state: 'edited', error: editedText };
  }
}

/** The attempts at a wish are counted until it is shown. What was changed by somebody else is no wish any more. */
const changeSql = `
UPDATE dirty_prices
   SET state = $2::price_state, not_before = clock_timestamp() + $3 * interval '1 ms', error = $4, refusal = $5::price_refusal,
       echo_until = coalesce(clock_timestamp() + $6::float8 * interval '1 ms', echo_until), attempts = CASE WHEN version = sent_version THEN attempts + $7 ELSE 0 END,
       lost = CASE WHEN version = sent_version THEN lost + $8 ELSE 0 END,
       leased_until = NULL, lease_owner = NULL
 WHERE listing_id = $1`;

const closeSql = `
WITH ended AS (
  SELECT operation_id FROM dirty_prices WHERE listing_id = $1 AND operation_id IS NOT NULL
), freed AS (
  UPDATE dirty_prices SET operation_id = NULL WHERE listing_id = $1
)
UPDATE sync_operations SET status = CASE WHEN $2::text IS NULL THEN 'completed'::operation_status ELSE 'failed' END, error = $2,
       completed_at = now(), updated_at = now()
 WHERE id IN (SELECT operation_id FROM ended) AND status = 'processing'`;

async function change(client: pg.PoolClient, listingId: string, next: Next): Promise<void> {
  const { state, waitMs, error, refusal, echoMs, attempts, lost } = next;
  if (state === 'shown' || state === 'refused' || state === 'edited')
    await client.query({ name: 'prices-close', text: closeSql, values: [listingId, error] });
  if (state === 'edited') {
    await client.query('DELETE FROM dirty_prices WHERE listing_id = $1', [listingId]);
    return;
  }
  const values = [listingId, state, waitMs, error, refusal, echoMs, attempts, lost];
  await client.query({ name: 'prices-change', text: changeSql, values });
}
