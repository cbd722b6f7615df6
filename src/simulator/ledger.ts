/** The stock record of a simulated hub: exact in the facts received, whatever their order; every movement names its cause. */
import { strict as assert } from 'node:assert';
import { type Snapshot } from './world.ts';

export type Movement = {
  readonly item: number;
  readonly seq: number;
  readonly onHandDelta: number;
  readonly reservedDelta: number;
  readonly cause: 'order' | 'delivery' | 'resolution';
};

/** News of one line: units sold that were not known, and units given back that were not known. */
export type LineChange = {
  readonly item: number;
  readonly order: Snapshot;
  readonly sold: number;
  readonly returned: number;
};

type Line = { held: number; ordered: number; kept: number };
type Item = { quantity: number; reserved: number; seq: number };

export type Ledger = {
  readonly items: readonly Item[];
  readonly movements: readonly Movement[];
  available(item: number): number;
  seq(item: number): number;
  /** Applies a version of an order: what the lines hold is brought to its level. Known and older versions change nothing. */
  applyOrder(order: Snapshot): readonly LineChange[];
  adjust(item: number, quantity: number, cause: 'delivery' | 'resolution'): void;
  /** Units of a channel's orders that are known, ever. */
  known(item: number, channel: number): { readonly ordered: number; readonly putBack: number };
  /** I1 to I3. */
  check(): void;
};

export function createLedger(items: number, stock: number): Ledger {
  const projection: Item[] = Array.from({ length: items }, () => ({ quantity: stock, reserved: 0, seq: 0 }));
  const movements: Movement[] = [];
  const versions = new Map<string, number>();
  const lines = new Map<string, Line>();
  const knownUnits = new Map<string, { ordered: number; putBack: number }>();

  function itemOf(item: number): Item {
    const found = projection[item];
    if (found === undefined) throw new Error(`no item ${item}`);
    return found;
  }

  function move(item: number, onHandDelta: number, reservedDelta: number, cause: Movement['cause']): void {
    const projected = itemOf(item);
    projected.quantity += onHandDelta;
    projected.reserved += reservedDelta;
    projected.seq += 1;
    movements.push({ item, seq: projected.seq, onHandDelta, reservedDelta, cause });
  }

  function known(item: number, channel: number) {
    const key = `${item}/${channel}`;
    const found = knownUnits.get(key) ?? { ordered: 0, putBack: 0 };
    knownUnits.set(key, found);
    return found;
  }

  function applyLine(order: Snapshot, item: number, ordered: number, kept: number): LineChange {
    const key = `${order.orderId}/${item}`;
    const line = lines.get(key) ?? { held: 0, ordered: 0, kept: 0 };
    const sold = ordered - line.ordered;
    const returned = ordered - kept - (line.ordered - line.kept);
    if (kept !== line.held) move(item, 0, kept - line.held, 'order');
    lines.set(key, { held: kept, ordered, kept });
    const units = known(item, order.channel);
    units.ordered += sold;
    if (order.putBack) units.putBack += returned;
    return { item, order, sold, returned };
  }

  return {
    items: projection,
    movements,
    available: (item) => itemOf(item).quantity - itemOf(item).reserved,
    seq: (item) => itemOf(item).seq,
    applyOrder(order) {
      if ((versions.get(order.orderId) ?? 0) >= order.version) return [];
      versions.set(order.orderId, order.version);
      return order.lines
        .map(({ item, ordered, kept }) => applyLine(order, item, ordered, kept))
        .filter(({ sold, returned }) => sold !== 0 || returned !== 0);
    },
    adjust: (item, quantity, cause) => move(item, quantity, 0, cause),
    known,
    check() {
      projection.forEach(({ quantity, reserved, seq }, item) => {
        const own = movements.filter((movement) => movement.item === item);
        const sum = (of: (movement: Movement) => number) => own.reduce((total, one) => total + of(one), 0);
        assert.equal(stock + sum(({ onHandDelta }) => onHandDelta), quantity, 'I1: on hand');
        assert.equal(
          sum(({ reservedDelta }) => reservedDelta),
          reserved,
          'I1: reserved',
        );
        assert.ok(
          own.every(({ seq: one }, index) => one === index + 1) && seq === own.length,
          'I1: seq has a gap',
        );
      });
      let held = 0;
      for (const line of lines.values()) held += line.held;
      assert.equal(
        held,
        projection.reduce((sum, { reserved }) => sum + reserved, 0),
        'I2: lines hold what is reserved',
      );
    },
  };
}
