/** Random orders, their histories and the orders of arrival that a channel, a network and several workers can make of them. */
import * as fc from 'fast-check';
import type { Order, OrderLine, OrderStatus } from '../../src/connectors/connector.ts';
import { after, euros, noon, order, orderLine } from './fixtures.ts';

/** What one line of one version of an order asks for. `item` is an index into the test's items. */
type LineLevels = { readonly item: number; readonly reserved: number; readonly shipped: number };

/** One version of an order; null where an edit has taken the line out. */
export type OrderVersion = {
  readonly status: OrderStatus;
  /** Seconds of channel time since the version before; 0 leaves the tie to the time of observation. */
  readonly later: number;
  readonly lines: readonly (LineLevels | null)[];
};

export type OrderHistory = { readonly items: readonly number[]; readonly versions: readonly OrderVersion[] };

const status = fc.constantFrom<OrderStatus>('pending', 'processing', 'shipped', 'delivered', 'cancelled');

const lineLevels = (item: number): fc.Arbitrary<LineLevels> =>
  fc.record({ item: fc.constant(item), reserved: fc.nat({ max: 4 }), shipped: fc.nat({ max: 4 }) });

function version(items: readonly number[]): fc.Arbitrary<OrderVersion> {
  return fc.record({
    status,
    later: fc.constantFrom(0, 1, 1, 60),
    lines: fc.tuple(...items.map((item) => fc.option(lineLevels(item), { freq: 5 }))),
  });
}

/** An order of one to four lines over `itemCount` items (several lines may sell the same one), edited up to seven times. */
export function orderHistory(itemCount: number): fc.Arbitrary<OrderHistory> {
  return fc.array(fc.nat({ max: itemCount - 1 }), { minLength: 1, maxLength: 4 }).chain((items) =>
    fc.record({
      items: fc.constant(items),
      versions: fc.array(version(items), { minLength: 1, maxLength: 8 }),
    }),
  );
}

/** A snapshot as it arrives, with the moment at which it was taken from the channel. */
export type Snapshot = { readonly order: Order; readonly observedAt: Date };

/** The snapshots of a history, oldest first. A version is observed before the next one exists. */
export function snapshots(
  history: OrderHistory,
  orderId: string,
  skus: readonly string[],
): readonly Snapshot[] {
  let seconds = 0;
  return history.versions.map((each, index) => {
    seconds += each.later;
    const lines = each.lines.flatMap((levels, line) => (levels === null ? [] : [lineOf(levels, line, skus)]));
    // No two versions look the same, so that a tie in channel time is always one between different contents.
    const total = euros(index);
    return {
      order: order({
        orderId,
        status: each.status,
        total,
        createdAt: noon,
        updatedAt: after(seconds),
        lines,
      }),
      observedAt: after(seconds + index / 1_000),
    };
  });
}

function lineOf(levels: LineLevels, line: number, skus: readonly string[]): OrderLine {
  const { item, reserved, shipped } = levels;
  return orderLine({ lineId: `line ${line}`, sku: skus[item] ?? null, reserved, shipped });
}

/** Every snapshot at least once, some several times, in any order. Indexes into the snapshots. */
export function arrivals(count: number): fc.Arbitrary<readonly number[]> {
  const once = Array.from({ length: count }, (_, index) => index);
  return fc.array(fc.nat({ max: count - 1 }), { maxLength: count }).chain((again) => {
    const all = [...once, ...again];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });
}

/** What the newest snapshot of a history leaves on each item: the specification that the ledger is compared with. */
export function finalLevels(
  history: OrderHistory,
  itemCount: number,
): { reserved: number; shipped: number }[] {
  const totals = Array.from({ length: itemCount }, () => ({ reserved: 0, shipped: 0 }));
  for (const line of history.versions.at(-1)?.lines ?? []) {
    const total = line === null ? undefined : totals[line.item];
    if (total === undefined || line === null) continue;
    total.reserved += line.reserved;
    total.shipped += line.shipped;
  }
  return totals;
}

/** Texts that channels and buyers have really sent, and worse. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '\0',
    'a\0b',
    '\uD800',
    'x\uDFFFy',
    "Robert'); DROP TABLE orders;--",
    '"quoted" \\ back\\u0000slash',
    '\u202E\u0007\u001B[31m',
    '👩‍👩‍👧‍👦'.repeat(20),
    '$1 $2::jsonb {} []',
    ' ',
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code)), maxLength: 60 }),
);
