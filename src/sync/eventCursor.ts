/** Positions in the event log as PostgreSQL snapshots: exact under late commits, and never waiting for a long transaction. */
import { InvalidCursorError } from './eventStream.ts';

/** A `pg_snapshot`: transactions below `xmin` are finished, from `xmax` on not begun, `running` were under way. */
export type Snapshot = {
  readonly text: string;
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly running: ReadonlySet<bigint>;
};

/**
 * Everything visible in `base` has been read; of what became visible between `base` and `upTo`, everything up to `id` has.
 * `upTo` is null when the position lies exactly on `base`.
 */
export type Position = {
  readonly epoch: number;
  readonly base: Snapshot;
  readonly upTo: Snapshot | null;
  readonly id: bigint;
};

const xidMax = 2n ** 63n - 1n;
const snapshotShape = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/;

/** Throws `InvalidCursorError` for what PostgreSQL would not read as a snapshot. */
export function parseSnapshot(text: string): Snapshot {
  const match = snapshotShape.exec(text);
  if (match === null) throw notOurs();
  const [, first = '', end = '', list = ''] = match;
  const [xmin, xmax] = [BigInt(first), BigInt(end)];
  const running = list === '' ? [] : list.split(',').map(BigInt);
  const ascending = running.every(
    (xid, index) => xid >= xmin && xid < xmax && xid > (running[index - 1] ?? 0n),
  );
  if (xmin === 0n || xmax < xmin || xmax > xidMax || !ascending) throw notOurs();
  return { text, xmin, xmax, running: new Set(running) };
}

function notOurs(): InvalidCursorError {
  return new InvalidCursorError('the cursor was not made by this server');
}

/** The same answer as PostgreSQL's `pg_visible_in_snapshot`, for a transaction known to have committed. */
export function isVisible(snapshot: Snapshot, xid: bigint): boolean {
  if (xid < snapshot.xmin) return true;
  return xid < snapshot.xmax && !snapshot.running.has(xid);
}

/** True when everything visible in `older` is visible in `newer`. Of any two snapshots of one cluster this holds in one direction at least. */
export function includes(newer: Snapshot, older: Snapshot): boolean {
  if (newer.xmax < older.xmax) return false;
  return [...newer.running].every((xid) => !isVisible(older, xid));
}

export function positionAt(epoch: number, base: Snapshot): Position {
  return { epoch, base, upTo: null, id: 0n };
}

export function encodeCursor(position: Position): string {
  const { epoch, base, upTo, id } = position;
  const text = upTo === null ? `${epoch} ${base.text}` : `${epoch} ${base.text} ${upTo.text} ${id}`;
  return Buffer.from(text).toString('base64url');
}

/** Throws `InvalidCursorError` for anything this server did not make. */
export function decodeCursor(cursor: string): Position {
  const parts = Buffer.from(cursor, 'base64url').toString('latin1').split(' ');
  const [epoch = '', base = '', upTo, id] = parts;
  const shaped = /^[1-9]\d{0,8}$/.test(epoch) && (id === undefined || /^\d{1,18}$/.test(id));
  if (!shaped || (parts.length !== 2 && parts.length !== 4)) throw notOurs();
  return {
    epoch: Number(epoch),
    base: parseSnapshot(base),
    upTo: upTo === undefined ? null : parseSnapshot(upTo),
    id: BigInt(id ?? 0),
  };
}
