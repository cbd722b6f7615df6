/** Holds units for partners: granted only while they are available, all or none, and given back or taken off the shelf exactly once. */
import type pg from 'pg';
import type { Queryable } from '../db.ts';
import { withRetry } from '../dbErrors.ts';
import { once } from './idempotency.ts';
import { type EffectRow, type StockEffect, stockEffect } from './ledger.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import { createSql, endSql, expireSql, extendSql } from './reservationSql.ts';
import type { ItemUnits, ReservationAction, ReservationInput } from './sync.ts';

export type ReservationOptions = {
  readonly pool: pg.Pool;
  readonly onMoved: (effect: StockEffect) => void;
  /** How long a reservation holds when the caller does not say. */
  readonly reservationDefaultMs: number;
  /** The longest that one may hold, counted from its creation or its last extension. */
  readonly reservationMaxMs: number;
};

type Reserved = { readonly reservationId: string };

export const reservationLinesMax = 100;
const unitsMax = 1_000_000;
const secondMs = 1_000;

export async function createReservation(
  options: ReservationOptions,
  caller: Caller,
  input: ReservationInput,
): Promise<Outcome<Reserved>> {
  const seconds = input.expiresInSeconds ?? Math.max(1, Math.floor(options.reservationDefaultMs / secondMs));
  const problem = linesProblem(input.lines) ?? lifetimeProblem(options, seconds);
  if (problem !== null) return refused(problem);
  return keyed(options, caller, 'reservationCreate', input, (client) =>
    grant(client, caller, { ...input, seconds }),
  );
}

export async function extendReservation(
  options: ReservationOptions,
  caller: Caller,
  input: ReservationAction & { readonly expiresInSeconds: number },
): Promise<Outcome<Reserved>> {
  const problem = lifetimeProblem(options, input.expiresInSeconds);
  if (problem !== null) return refused(problem);
  return keyed(options, caller, 'reservationExtend', input, async (client) => {
    const values = [caller.accountId, input.reservationId, input.expiresInSeconds];
    const { rowCount } = await client.query(extendSql, values);
    return rowCount === 1 ? done(null) : refused(await endedProblem(client, caller, input));
  });
}

export function commitReservation(
  options: ReservationOptions,
  caller: Caller,
  input: ReservationAction,
): Promise<Outcome<Reserved>> {
  return end(options, caller, input, 'committed');
}

export function releaseReservation(
  options: ReservationOptions,
  caller: Caller,
  input: ReservationAction,
): Promise<Outcome<Reserved>> {
  return end(options, caller, input, 'released');
}

const expiredAtOnce = 100;

/** Gives back what expired reservations hold. Any number of processes may do so at once; answers how many it ended. */
export async function expireReservations(
  options: Pick<ReservationOptions, 'pool' | 'onMoved'>,
): Promise<number> {
  for (let total = 0; ; ) {
    const { rows } = await withRetry(() =>
      options.pool.query<EffectRow & { ended: number }>({
        name: 'reservations-expire',
        text: expireSql,
        values: [expiredAtOnce],
      }),
    );
    const ended = rows[0]?.ended ?? 0;
    if (ended > 0) options.onMoved(stockEffect(rows[0]));
    total += ended;
    if (ended < expiredAtOnce) return total;
  }
}

/** Does it once under the key and tells what moved; `work` answers null when nothing did. */
async function keyed(
  options: ReservationOptions,
  caller: Caller,
  operation: string,
  input: { readonly idempotencyKey: string; readonly reservationId?: string },
  work: (client: pg.PoolClient) => Promise<Outcome<(Reserved & StockEffect) | null>>,
): Promise<Outcome<Reserved>> {
  let effect: StockEffect | null = null;
  const request = { operation, key: input.idempotencyKey, input };
  const outcome = await once<Reserved>(options.pool, caller, request, async (client) => {
    const worked = await work(client);
    if (!worked.ok) return worked;
    effect = worked.value;
    return done({ reservationId: worked.value?.reservationId ?? input.reservationId ?? '' });
  });
  if (effect !== null && outcome.ok) options.onMoved(effect);
  return outcome;
}

type Shortage = {
  readonly position: number;
  readonly itemId: string;
  readonly available: number;
  readonly protected: boolean;
};
type GrantRow = EffectRow & {
  reservation_id: string | null;
  known: number[] | null;
  shortages: Shortage[] | null;
};

async function grant(
  client: pg.PoolClient,
  caller: Caller,
  input: ReservationInput & { readonly seconds: number },
): Promise<Outcome<Reserved & StockEffect>> {
  const lines = input.lines.map((line, position) => ({ ...line, position }));
  const { accountId, actor } = caller;
  const values = [accountId, JSON.stringify(lines), input.reference, input.seconds, actor.kind, actor.id];
  const { rows } = await client.query<GrantRow>({ name: 'reservation-create', text: createSql, values });
  const [row] = rows;
  if (typeof row?.reservation_id === 'string')
    return done({ reservationId: row.reservation_id, ...stockEffect(row) });
  const unknown = lines.filter(({ position }) => !row?.known?.includes(position));
  if (unknown.length > 0) {
    return refused(
      ...unknown.map(({ position }) => problemAt(position, 'itemId', 'NOT_FOUND', 'There is no such item.')),
    );
  }
  const shortages = row?.shortages ?? [];
  return refused(
    ...shortages.map(({ position, itemId, available, protected: granted }) => {
      const most = Math.max(available, 0);
      const message = granted
        ? `Only ${most} are free: under escrow the others are granted to listings.`
        : `Only ${most} are available.`;
      return problemAt(position, 'quantity', 'INSUFFICIENT_STOCK', message, { current: available, itemId });
    }),
  );
}

function end(
  options: ReservationOptions,
  caller: Caller,
  input: ReservationAction,
  status: 'committed' | 'released',
): Promise<Outcome<Reserved>> {
  const operation = status === 'committed' ? 'reservationCommit' : 'reservationRelease';
  return keyed(options, caller, operation, input, async (client) => {
    const { rows } = await client.query<EffectRow & { ended: number }>({
      name: 'reservation-end',
      text: endSql,
      values: [caller.accountId, input.reservationId, status, caller.actor.kind, caller.actor.id],
    });
    const [row] = rows;
    if (row?.ended !== 1) return refused(await endedProblem(client, caller, input));
    return done({ reservationId: input.reservationId, ...stockEffect(row) });
  });
}

/** Why nothing could be done with a reservation. One past its expiry has ended, swept or not. */
async function endedProblem(db: Queryable, caller: Caller, input: ReservationAction): Promise<Problem> {
  const { rows } = await db.query<{ status: string }>(
    `SELECT CASE status WHEN 'active' THEN 'expired' ELSE status END AS status FROM reservations WHERE id = $1 AND account_id = $2`,
    [input.reservationId, caller.accountId],
  );
  const field = ['input', 'reservationId'];
  const [row] = rows;
  if (row === undefined) return { code: 'NOT_FOUND', message: 'There is no such reservation.', field };
  const message = `The reservation is ${row.status}: it holds nothing any more.`;
  return { code: 'RESERVATION_ENDED', message, field, current: row.status };
}

function linesProblem(lines: readonly ItemUnits[]): Problem | null {
  if (lines.length === 0 || lines.length > reservationLinesMax) {
    const message = `A reservation has 1 to ${reservationLinesMax} lines.`;
    return { code: 'INVALID_INPUT', message, field: ['input', 'lines'] };
  }
  for (const [index, { itemId, quantity }] of lines.entries()) {
    if (!Number.isSafeInteger(quantity) || quantity < 1 || quantity > unitsMax) {
      const message = `A quantity is a whole number from 1 to ${unitsMax}.`;
      return problemAt(index, 'quantity', 'INVALID_INPUT', message);
    }
    if (lines.findIndex((line) => line.itemId === itemId) < index)
      return problemAt(index, 'itemId', 'INVALID_INPUT', 'Each item is named once.');
  }
  return null;
}

function lifetimeProblem(options: ReservationOptions, seconds: number): Problem | null {
  const secondsMax = Math.floor(options.reservationMaxMs / secondMs);
  if (Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= secondsMax) return null;
  const message = `A reservation expires in 1 to ${secondsMax} seconds.`;
  return { code: 'INVALID_INPUT', message, field: ['input', 'expiresInSeconds'] };
}

function problemAt(
  position: number,
  name: string,
  code: Problem['code'],
  message: string,
  more: Pick<Problem, 'current' | 'itemId'> = {},
): Problem {
  return { code, message, field: ['input', 'lines', String(position), name], ...more };
}
