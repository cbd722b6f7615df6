/** Applies orders exactly once in effect: a snapshot, its lines, the stock they hold and everything that follows are one statement. */
import { createHash } from 'node:crypto';
import type { Money, Order } from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import { type EffectRow, type StockEffect, stockEffect } from './ledger.ts';
import { applySql, lateSql, reapplySql } from './orderSql.ts';
import type { Actor } from './outcome.ts';

export type AnswerRow = EffectRow & {
  known: boolean;
  order_id: string | null;
  revision: string | null;
  unmatched: number;
};

/** `changed` is false when the snapshot was already known or is older than the one stored. */
export type OrderEffect = StockEffect & {
  readonly changed: boolean;
  /** True for the first snapshot of an order. */
  readonly created: boolean;
  /** Null only when nothing changed. */
  readonly orderId: string | null;
  /** Lines whose SKU no item is known for; they are kept and hold nothing yet. */
  readonly unmatchedLines: number;
};

export type OrderSource = {
  readonly accountId: string;
  readonly connectionId: string;
  readonly platform: string;
  /** When the snapshot was taken at the latest: decides between two snapshots with the same channel time. */
  readonly observedAt: Date;
  /** The webhook delivery that this snapshot answers; marked as processed by the same statement. */
  readonly deliveryId: string | null;
};

/**
 * Applies one snapshot of an order. A duplicate costs one read and changes nothing; one that arrives after a newer one costs a second statement and
 * changes nothing but how many units are known to have left.
 */
export async function applyOrder(db: Queryable, source: OrderSource, order: Order): Promise<OrderEffect> {
  const values = orderValues(source, order);
  const { rows } = await withRetry(() =>
    db.query<AnswerRow>({ name: 'order-apply', text: applySql, values }),
  );
  const [row] = rows;
  if (typeof row?.order_id === 'string' || row?.known === true) return orderEffect(row);
  const late = [source.accountId, source.connectionId, values[3], values[8], source.deliveryId];
  const told = await withRetry(() =>
    db.query<AnswerRow>({ name: 'order-apply-late', text: lateSql, values: late }),
  );
  return orderEffect(told.rows[0]);
}

/** The statement and its values, so that a benchmark can send the very same one without the product around it. */
export function orderStatement(
  source: OrderSource,
  order: Order,
): { name: string; text: string; values: unknown[] } {
  return { name: 'order-apply', text: applySql, values: orderValues(source, order) };
}

export type Reapplication = {
  readonly accountId: string;
  readonly orderId: string;
  /** The seller's own word; null keeps what there is. */
  readonly localStatus: 'shipped' | 'delivered' | 'cancelled' | null;
  readonly actor: Actor;
  /** Units of lines that the seller says came back, each line at most once. */
  readonly returns?: readonly {
    readonly lineId: string;
    readonly quantity: number;
    readonly restocked: number;
  }[];
  /** Kept in the history of what the returns move. */
  readonly reference?: string | null;
};

export async function reapplyOrder(db: Queryable, reapplication: Reapplication): Promise<OrderEffect> {
  const { accountId, orderId, localStatus, actor } = reapplication;
  const reference = reapplication.reference ?? null;
  const values = [
    accountId,
    orderId,
    localStatus,
    actor.kind,
    actor.id,
    JSON.stringify(reapplication.returns ?? []),
    reference,
  ];
  const { rows } = await db.query<AnswerRow>({ name: 'order-reapply', text: reapplySql, values });
  return orderEffect(rows[0]);
}

export function orderEffect(row: AnswerRow | undefined): OrderEffect {
  return {
    ...stockEffect(row),
    changed: typeof row?.order_id === 'string',
    created: row?.revision === '1',
    orderId: row?.order_id ?? null,
    unmatchedLines: row?.unmatched ?? 0,
  };
}

export function orderValues(source: OrderSource, order: Order): unknown[] {
  const customerName = order.customerName === null ? null : storableText(order.customerName);
  const lines = storableJson(
    order.lines.map((line, position) => ({
      id: line.lineId,
      position,
      unit_id: line.address?.unitId ?? null,
      variant_id: line.address?.variantId ?? null,
      sku: line.sku === '' ? null : line.sku,
      title: line.title,
      ordered: line.ordered,
      reserved: line.reserved,
      shipped: line.shipped,
      ...money('unit_price_minor', line.unitPrice),
    })),
  );
  const content = JSON.stringify([order.status, customerName, order.total, order.updatedAt, lines]);
  return [
    source.accountId,
    source.connectionId,
    source.platform,
    storableText(order.orderId),
    order.status,
    customerName,
    order.total?.minor ?? null,
    order.total?.currency ?? null,
    lines,
    storableJson(order.raw ?? null),
    order.createdAt,
    order.updatedAt,
    source.observedAt,
    createHash('sha256').update(content).digest('base64'),
    source.deliveryId,
  ];
}

function money(field: string, amount: Money | null): Record<string, unknown> {
  return { [field]: amount?.minor ?? null, currency: amount?.currency ?? null };
}

/** PostgreSQL stores neither NUL nor half a surrogate pair, and no stray byte in a buyer's name may cost an order. */
function storableText(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}

/** How JSON spells what PostgreSQL does not store; also a text about it, which then costs the longer way. */
const notStorable = /\\u(?:0000|d[89a-f])/;

function storableJson(value: unknown): string {
  const json = JSON.stringify(value);
  return notStorable.test(json) ? JSON.stringify(value, storable) : json;
}

/** For `JSON.stringify`: every text in the value, the names of fields included. */
function storable(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  if (Object.keys(value).every((name) => storableText(name) === name)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [storableText(name), field]));
}
