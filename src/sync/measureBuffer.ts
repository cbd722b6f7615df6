/** Collects how long things take in memory, so that no single sale or write rewrites its connection's row; what was collected is written together now and then. */
import type { Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import type { KeptListing } from './keptListing.ts';
import { type MeasureName, recordSamples } from './measures.ts';
import type { OrderEffect } from './orders.ts';

/** A lower number that has come into force because of the movement `seq` of its item. */
export type LoweredInForce = {
  readonly connectionId: string;
  readonly itemId: string;
  readonly seq: number;
  /** When it was in force at the latest, in milliseconds. */
  readonly at: number;
};

export type MeasureBuffer = {
  add(connectionId: string, name: MeasureName, ms: number): void;
  /** Whether a sale was behind it, and when that was, is asked when it is written. */
  addLowered(lowered: LoweredInForce): void;
  /** What cannot be written is kept for the next time. */
  flush(db: Queryable): Promise<void>;
};

/** A row keeps the newest 200 samples of a measure. */
const samplesMax = 200;
const loweredMax = 2_000;

type Samples = { readonly connectionId: string; readonly name: MeasureName; readonly ms: number[] };

export function createMeasureBuffer(): MeasureBuffer {
  let collected = new Map<string, Samples>();
  let lowered: LoweredInForce[] = [];

  function add(connectionId: string, name: MeasureName, ms: number): void {
    const key = `${connectionId} ${name}`;
    const samples = collected.get(key) ?? { connectionId, name, ms: [] };
    samples.ms.push(ms);
    if (samples.ms.length > samplesMax) samples.ms.shift();
    collected.set(key, samples);
  }

  async function measureLowered(db: Queryable): Promise<void> {
    const asked = lowered;
    lowered = [];
    try {
      for (const { connectionId, ms } of await sinceSales(db, asked))
        add(connectionId, 'saleToEffective', ms);
    } catch (error) {
      lowered = [...asked, ...lowered].slice(-loweredMax);
      throw error;
    }
  }

  return {
    add,
    addLowered(one) {
      lowered.push(one);
      if (lowered.length > loweredMax) lowered.shift();
    },
    async flush(db) {
      await measureLowered(db);
      const writing = collected;
      collected = new Map();
      for (const [key, { connectionId, name, ms }] of writing) {
        try {
          await recordSamples(db, connectionId, name, ms);
          writing.delete(key);
        } catch (error) {
          for (const { connectionId: id, name: what, ms: kept } of writing.values())
            for (const each of kept) add(id, what, each);
          throw error;
        }
      }
    },
  };
}

/** The channel's own word on when it sold: of the first snapshot when the order was placed, of a later one when it was changed. */
const sinceSql = `
SELECT lowered."connectionId", lowered.at - extract(epoch FROM CASE WHEN movement.idempotency_key LIKE '%:1'
         THEN orders.channel_created_at ELSE orders.channel_updated_at END)::float8 * 1000 AS ms
  FROM jsonb_to_recordset($1::jsonb) AS lowered ("connectionId" uuid, "itemId" uuid, seq bigint, at float8)
  JOIN stock_movements movement ON movement.item_id = lowered."itemId" AND movement.seq = lowered.seq
   AND movement.kind = 'order' AND movement.on_hand_delta < movement.reserved_delta
  JOIN orders ON orders.id = movement.order_id`;

async function sinceSales(
  db: Queryable,
  lowered: readonly LoweredInForce[],
): Promise<readonly { readonly connectionId: string; readonly ms: number }[]> {
  if (lowered.length === 0) return [];
  const { rows } = await db.query<{ connectionId: string; ms: number }>({
    name: 'measures-since-sales',
    text: sinceSql,
    values: [JSON.stringify(lowered)],
  });
  return rows;
}

/** Called for every order that was applied. One that takes nothing off, as it was counted before the channel was connected, tells nothing. */
export function measureOrder(
  buffer: MeasureBuffer | undefined,
  connectionId: string,
  order: Pick<Order, 'createdAt'>,
  effect: Pick<OrderEffect, 'created' | 'movementIds'>,
  now: number,
): void {
  if (!effect.created || effect.movementIds.length === 0) return;
  buffer?.add(connectionId, 'saleToKnown', now - order.createdAt.getTime());
}

/**
 * Called with every listing that was saved: its writes that have just come into force. One that time alone has settled took as long as its bound. How long
 * one stood in a queue says nothing of the others.
 */
export function measureWrites(
  buffer: MeasureBuffer,
  { stored, shadow, connectionId, itemId }: KeptListing,
): void {
  const before = stored.state?.shadow.candidates ?? [];
  for (const candidate of shadow?.candidates ?? []) {
    const { key, state, settledAt, lastSentAt, value, targetSeq, queuedUntil } = candidate;
    const index = before.findIndex((older) => older.key === key);
    const known = before[index];
    const underWay = known?.state === 'SENT' || known?.state === 'ACCEPTED';
    if (!underWay || state !== 'EFFECTIVE' || settledAt === null || queuedUntil !== undefined) continue;
    buffer.add(connectionId, 'writeToEffective', settledAt - lastSentAt);
    const lowers = value < (before[index - 1]?.value ?? value);
    if (lowers && itemId !== null) buffer.addLowered({ connectionId, itemId, seq: targetSeq, at: settledAt });
  }
}
