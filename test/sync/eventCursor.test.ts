/** Proves that cursors survive the way to a client and back, that wrong ones are refused by type, and that we read snapshots as PostgreSQL does. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sqlState } from '../../src/dbErrors.ts';
import {
  decodeCursor,
  encodeCursor,
  includes,
  isVisible,
  type Position,
  parseSnapshot,
} from '../../src/sync/eventCursor.ts';
import { readLog } from '../../src/sync/eventLog.ts';
import { InvalidCursorError } from '../../src/sync/eventStream.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(2);
});
afterAll(() => open[Symbol.asyncDispose]());

/**
 * The text of a snapshot as PostgreSQL writes it (the transaction before `xmax` is always finished), over few transactions so that two of
 * them often differ by one.
 */
const snapshotText = fc
  .record({
    xmin: fc.integer({ min: 3, max: 12 }),
    span: fc.nat({ max: 8 }),
    running: fc.array(fc.boolean(), { maxLength: 8 }),
  })
  .map(({ xmin, span, running }) => {
    const under = running.flatMap((is, index) => (is && index < span - 1 ? [xmin + index] : []));
    return `${under[0] ?? xmin + span}:${xmin + span}:${under.join(',')}`;
  });

const anyPosition: fc.Arbitrary<Position> = fc
  .record({
    epoch: fc.integer({ min: 1, max: 99 }),
    base: snapshotText,
    upTo: fc.option(snapshotText),
    id: fc.bigInt({ min: 0n, max: 10n ** 17n }),
  })
  .map(({ epoch, base, upTo, id }) => ({
    epoch,
    base: parseSnapshot(base),
    upTo: upTo === null ? null : parseSnapshot(upTo),
    id: upTo === null ? 0n : id,
  }));

test('a cursor comes back as the position it was made from', () => {
  fc.assert(
    fc.property(anyPosition, (made) => {
      expect(decodeCursor(encodeCursor(made))).toEqual(made);
    }),
  );
});

test('visibility is what PostgreSQL says it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(snapshotText, { minLength: 1, maxLength: 20 }), async (texts) => {
      const { rows } = await open.pool.query<{ snapshot: string; xid: string; visible: boolean }>(
        `SELECT snapshot, xid::text, pg_visible_in_snapshot(xid::text::xid8, snapshot::pg_snapshot) AS visible
           FROM unnest($1::text[]) AS snapshot, generate_series(1, 24) AS xid`,
        [texts],
      );
      for (const { snapshot, xid, visible } of rows) {
        expect(isVisible(parseSnapshot(snapshot), BigInt(xid)), `${xid} in ${snapshot}`).toBe(visible);
      }
    }),
    { numRuns: 30 },
  );
});

test('a snapshot includes another when it sees everything that the other sees', () => {
  const xids = Array.from({ length: 24 }, (_, index) => BigInt(index + 1));
  fc.assert(
    fc.property(snapshotText, snapshotText, (first, second) => {
      const [newer, older] = [parseSnapshot(first), parseSnapshot(second)];
      const sees = xids.every((xid) => isVisible(newer, xid) || !isVisible(older, xid));
      expect(includes(newer, older), `${first} includes ${second}`).toBe(sees);
    }),
    { numRuns: 2_000 },
  );
});

const number = fc.oneof(
  fc.nat({ max: 20 }).map(String),
  fc.bigInt({ min: 0n, max: 2n ** 70n }).map(String),
  fc.constantFrom('', '-1', '1e3', ' 7', '0x1'),
);
const nearlySnapshot = fc
  .tuple(number, number, fc.array(number, { maxLength: 3 }))
  .map(([a, b, rest]) => `${a}:${b}:${rest.join(',')}`);
const nearlyCursor = fc
  .tuple(
    number,
    fc.oneof(nearlySnapshot, snapshotText),
    fc.option(fc.oneof(nearlySnapshot, snapshotText)),
    fc.option(number),
  )
  .map((parts) => Buffer.from(parts.filter((part) => part !== null).join(' ')).toString('base64url'));

/** What comes of a cursor: an event page, a refusal by type, or the error that got out. */
async function readFrom(cursor: string): Promise<unknown> {
  let position: Position;
  try {
    position = decodeCursor(cursor);
  } catch (error) {
    return error instanceof InvalidCursorError ? 'refused' : error;
  }
  return readLog(open.pool, position, null, 1).then(() => 'read', sqlState);
}

test('whatever a client sends is either refused by type or a position that PostgreSQL can read from', async () => {
  let read = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(nearlyCursor, fc.string(), fc.base64String()), async (cursor) => {
      const answer = await readFrom(cursor);
      read += answer === 'read' ? 1 : 0;
      expect(['read', 'refused']).toContain(answer);
    }),
    { numRuns: 1_500 },
  );
  expect(read).toBeGreaterThan(0);
});

test.each([
  '',
  'no cursor',
  '💣',
  ...[
    '1',
    '1 ',
    '1 5',
    '1 5:4:',
    '1 0:5:',
    '1 3:9:9',
    '1 3:9:2',
    '1 3:9:5,4',
    '0 3:9:',
    '1 3:9: 3:9:',
    '1 3:9: 3:9: 5 5',
  ].map((text) => Buffer.from(text).toString('base64url')),
])('%j is refused as no cursor of ours', (cursor) => {
  expect(() => decodeCursor(cursor)).toThrow(InvalidCursorError);
});
