/** What a price takes along where it can only be written with the quantities of its unit: they enter their shadows, before and after. */
import type { Companion, PriceWriteResult } from '../connectors/connector.ts';
import { companionsOf, othersOf, takeCompanion } from './companions.ts';
import { outOfStep } from './decisions.ts';
import type { PriceClaim } from './priceClaims.ts';
import type { Run } from './pushRun.ts';
import { markOutOfStep } from './pushSql.ts';
import { withShadows } from './shadows.ts';

/** By address of a write, the most that every variant of its unit may show by what is known now. */
export async function othersIn(
  run: Run,
  call: readonly PriceClaim[],
): Promise<Awaited<ReturnType<typeof othersOf>>['others']> {
  if (!run.channel.connector.capabilities.priceWritesUnit) return () => ({});
  const { others, wake } = await othersOf(
    run.context,
    call.map(({ unitId, variantId }) => ({ unitId, variantId })),
  );
  run.reading.onConcerned(wake);
  return others;
}

type Answered = { readonly result: PriceWriteResult; readonly sentAt: number };

/** The numbers that a price took with it enter their shadows, and what has turned out to be wrong is written again. */
export async function takeAlong(run: Run, answered: readonly Answered[]): Promise<void> {
  const { db, newId } = run.options;
  const along = await companionsOf(db, run.channel.connection.id, answered, new Set());
  if (along.length === 0) return;
  const ids = along.map(({ listingId }) => listingId);
  let unexplained = false;
  const { result: wrong, wake } = await withShadows(run.context, ids, async (client, kept, now) => {
    for (const write of along) {
      const listing = kept.listings.find(({ listingId }) => listingId === write.listingId);
      if (listing !== undefined && takeCompanion(listing, write, newId(), now)) unexplained = true;
    }
    const outside = (await outOfStep(client, run.decisions, kept, now)).map(({ listingId }) => listingId);
    await markOutOfStep(
      client,
      outside.filter((listingId) => ids.includes(listingId)),
    );
    return outside.length;
  });
  run.reading.onConcerned(wrong > 0 ? [...wake, run.channel.connection.id] : wake);
  if (unexplained) await run.reading.onUnexplained();
}

/** Whoever sent these has died: the numbers that may have travelled along are those that were known then, or lower. */
export async function doubtUnits(run: Run, claims: readonly PriceClaim[]): Promise<void> {
  if (claims.length === 0) return;
  const others = await othersIn(run, claims);
  const now = run.context.now();
  const answered = claims.map((claim): Answered => {
    const sentAt = now - (claim.sentForMs ?? 0);
    const companions = (others(claim).others ?? []).map(
      ({ address, quantity }): Companion => ({ address, quantity, shown: null, readAt: sentAt }),
    );
    return { result: { kind: 'unknown', reason: 'its sender has died', companions }, sentAt };
  });
  await takeAlong(run, answered);
}
