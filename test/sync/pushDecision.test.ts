/** Proves the decision about one listing: write or not, in which direction, and under which key. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decidePush,
  type OpenWrite,
  type PushDecision,
  type PushState,
} from '../../src/sync/pushDecision.ts';

const rule = { buffer: 0, quantityMax: null, channelMax: 1_000 };

function decide(
  state: Partial<PushState> & { readonly available?: number; readonly seq?: number },
): PushDecision {
  const { available = 5, seq = 7, ...more } = state;
  return decidePush({ enabled: true, item: { available, seq }, shown: 5, openWrites: [], rule, ...more });
}

const open = (write: Partial<OpenWrite> = {}): OpenWrite => ({
  id: 'write',
  quantity: 5,
  expected: 9,
  targetSeq: 7,
  state: 'unknown',
  ...write,
});

describe('nothing is written', () => {
  test('for a listing that is switched off or sells no known item', () => {
    expect(decide({ enabled: false, shown: 9 })).toEqual({ kind: 'leave' });
    expect(decide({ item: null, shown: 9 })).toEqual({ kind: 'leave' });
  });

  test('when the channel shows the target and no other number is under way', () => {
    expect(decide({ shown: 5 })).toEqual({ kind: 'inStep' });
    expect(decide({ shown: 5, openWrites: [open({ quantity: 5 })] })).toEqual({ kind: 'inStep' });
  });

  test('when the channel has accepted this very number for this very stock', () => {
    expect(decide({ shown: null, openWrites: [open({ state: 'accepted' })] })).toEqual({ kind: 'inStep' });
  });
});

describe('a number is written', () => {
  test('although the channel shows it, while another number may still land', () => {
    expect(decide({ shown: 5, openWrites: [open({ quantity: 9 })] })).toMatchObject({
      kind: 'write',
      quantity: 5,
    });
    expect(
      decide({
        shown: 5,
        openWrites: [open({ quantity: 9, state: 'accepted' }), open({ state: 'accepted' })],
      }),
    ).toMatchObject({ kind: 'write', quantity: 5 });
  });

  test('again when the accepted one was for older stock, because what it did since is not known', () => {
    expect(decide({ shown: null, openWrites: [open({ state: 'accepted', targetSeq: 6 })] })).toMatchObject({
      kind: 'write',
      repeats: null,
    });
  });

  test('downwards when the channel shows more or nobody knows what it shows, else upwards', () => {
    expect(decide({ shown: 6 })).toMatchObject({ direction: 'lower', expected: 6 });
    expect(decide({ shown: null })).toMatchObject({ direction: 'lower', expected: null });
    expect(decide({ shown: 4 })).toMatchObject({ direction: 'raise', expected: 4 });
  });

  test('as a lowering while a higher number may still land, whatever is shown', () => {
    expect(decide({ shown: 4, openWrites: [open({ quantity: 9 })] })).toMatchObject({ direction: 'lower' });
  });

  test('with the seq of the stock it was computed from', () => {
    expect(decide({ available: 3, seq: 12 })).toMatchObject({ quantity: 3, targetSeq: 12 });
  });
});

describe('the key of an unanswered write is kept', () => {
  test.each(['unknown', 'sent'] as const)(
    'by a retry of the same number for the same stock after %s, with what it expected',
    (state) => {
      const before = open({ state });
      expect(decide({ shown: null, openWrites: [before] })).toMatchObject({ repeats: before, expected: 9 });
    },
  );

  test('but not for another number, not for newer stock with the same number, and not past a newer write', () => {
    expect(decide({ available: 4, shown: 9, openWrites: [open()] })).toMatchObject({
      repeats: null,
      expected: 9,
    });
    expect(decide({ seq: 8, shown: 9, openWrites: [open()] })).toMatchObject({ repeats: null });
    expect(decide({ shown: 9, openWrites: [open(), open({ id: 'newer', quantity: 3 })] })).toMatchObject({
      repeats: null,
    });
  });
});

test('whatever is under way, the number is the target and only a write that says the same keeps its key', () => {
  const openWrite = fc.record({
    id: fc.uuid(),
    quantity: fc.nat(6),
    expected: fc.option(fc.nat(6)),
    targetSeq: fc.nat(4),
    state: fc.constantFrom('sent' as const, 'accepted' as const, 'unknown' as const),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: -2, max: 6 }),
      fc.option(fc.nat(6)),
      fc.array(openWrite, { maxLength: 4 }),
      (available, shown, openWrites) => {
        const target = Math.max(0, available);
        const decision = decide({ available, seq: 4, shown, openWrites });
        const landing = new Set(openWrites.map(({ quantity }) => quantity));
        // Whatever lands, the channel ends up at the target.
        const endsThere =
          [...landing].every((quantity) => quantity === target) && (shown === target || landing.has(target));
        const nothingHigher = shown !== null && shown <= target && Math.max(...landing, 0) <= target;
        const direction = nothingHigher ? 'raise' : 'lower';
        const write = { kind: 'write', quantity: target, targetSeq: 4, direction };
        expect(decision).toMatchObject(decision.kind === 'inStep' && endsThere ? { kind: 'inStep' } : write);
        const repeats = decision.kind === 'write' ? decision.repeats : null;
        const kept = repeats ?? { quantity: target, targetSeq: 4, state: 'unknown' };
        expect(kept).toMatchObject({ quantity: target, targetSeq: 4 });
        expect(kept.state).not.toBe('accepted');
      },
    ),
  );
});
