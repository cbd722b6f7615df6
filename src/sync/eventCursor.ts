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

const snapshotShape = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/;

export function parseSnapshot(text: string): Snapshot {
  const match = snapshotShape.exec(text);
  if (match === null) throw new InvalidCursorError('the cursor was not made by this server');
  const [, xmin = '', xmax = '', running = ''] = match;
  return {
    text,
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    running: new Set(running === '' ? [] : running.split(',').map(BigInt)),
  };
}

/** The same answer as PostgreSQL's `pg_visible_in_snapshot`, for a transaction known to have committed. */
export function isVisible(snapshot: Snapshot, xid: bigint): boolean {
  if (xid < snapshot.xmin) return true;
  return xid < snapshot.xmax && !snapshot.running.has(xid);
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
  const [epoch = '', base = '', upTo, id] = Buffer.from(cursor, 'base64url').toString('latin1').split(' ');
  if (!/^\d{1,9}$/.test(epoch) || (id !== undefined && !/^\d{1,18}$/.test(id))) {
    throw new InvalidCursorError('the cursor was not made by this server');
  }
  return {
    epoch: Number(epoch),
    base: parseSnapshot(base),
    upTo: upTo === undefined ? null : parseSnapshot(upTo),
    id: BigInt(id ?? 0),
  };
}
