/** Proves by value that an explanation names every row that decides a number, and says it in words that a seller can read. */
import { describe, expect, test } from 'vitest';
import { writeAnswered, writeWorkedOff } from '../../src/sync/core/answers.ts';
import { newEscrow, violated } from '../../src/sync/core/escrow.ts';
import { newShadow, readingTaken, type Shadow, writeSent } from '../../src/sync/core/shadow.ts';
import { type ExplanationRows, explanationOf } from '../../src/sync/explanation.ts';

const noon = Date.parse('2026-05-04T12:00:00Z');
const at = (seconds: number) => noon + seconds * 1_000;
const bounds = {
  staleMax: 5_000,
  settleMax: 60_000,
  clockSkewMax: 1_000,
  readMax: 10_000,
  restocksOnCancel: false,
};

const shadowOf = (value: number): Shadow =>
  newShadow('listing-1', bounds, { value, at: at(-600), targetSeq: 4 });

function rows(
  more: Partial<ExplanationRows> = {},
  input: Partial<NonNullable<ExplanationRows['target']>['input']> = {},
): ExplanationRows {
  return {
    listing: {
      id: 'listing-1',
      platform: 'etsy',
      syncEnabled: true,
      writable: true,
      sellsBeyond: false,
      quantity: null,
      quantityAt: null,
      observed: false,
      waitingSince: null,
    },
    connection: { name: 'My Etsy', status: 'active', syncEnabled: true, awaitingPlan: false },
    item: { id: 'item-1', onHand: 6, reserved: 1 },
    target: {
      listingId: 'listing-1',
      itemId: 'item-1',
      input: { available: 5, holds: 0, conflictDelta: 0, rules: {}, channelMax: 999, ...input },
      targetSeq: 5,
      raisesAllowed: true,
      othersPerMs: 0,
      quietForMs: 0,
    },
    rules: { account: {}, connection: {}, listing: {} },
    shadow: shadowOf(5),
    holding: [],
    conflicts: [],
    push: null,
    ordersSince: null,
    escrow: null,
    others: [],
    parts: [],
    ...more,
  };
}

describe('the numbers', () => {
  test('are those of the ledger, each step of the rule, and what is shown', () => {
    const explained = explanationOf(
      rows({ shadow: shadowOf(3) }, { rules: { connection: { buffer: 1 }, account: { share: 0.75 } } }),
      noon,
    );
    expect(explained).toMatchObject({
      ledger: { onHand: 6, reserved: 1, available: 5, seq: 5 },
      steps: [
        { step: 'available', amount: 5, level: null, result: 5, text: '5 available' },
        { step: 'buffer', amount: 1, level: 'connection', result: 4, text: 'buffer 1 (connection rule)' },
        { step: 'share', amount: 0.75, level: 'account', result: 3, text: '75 % of it (account rule)' },
      ],
      target: 3,
      shown: { low: 3, high: 3 },
      mode: 'shared',
      modeReason: null,
      summary: 'Etsy shows 3: 5 available, buffer 1 (connection rule), 75 % of it (account rule).',
    });
  });

  test('of a bundle name what it is made of, and which component limits it', () => {
    const box = { itemId: 'box', sku: 'BOX', quantity: 2, available: 7 };
    const lid = { itemId: 'lid', sku: 'LID', quantity: 1, available: 9 };
    const explained = explanationOf(rows({ parts: [box, lid], shadow: shadowOf(3) }, { available: 3 }), noon);
    expect(explained.parts).toEqual([
      { ...box, makes: 3, limits: true },
      { ...lid, makes: 9, limits: false },
    ]);
    expect(explained.summary).toBe(
      'Etsy shows 3: 3 available. It is made of 2 of BOX (7 available, enough for 3) and 1 of LID (9 available, enough for 9): BOX limits it.',
    );
    const both = explanationOf(
      rows({ parts: [box, { ...lid, available: -3 }, { ...lid, sku: 'TAG', available: -3 }] }),
      noon,
    );
    expect(both.summary).toContain('1 of LID (-3 available, enough for 0)');
    expect(both.summary).toContain(': LID and TAG limit it.');
  });

  test('name the listing that withholds units, and since which reading', () => {
    const amazon = readingTaken(shadowOf(5), { value: 4, from: at(-40), until: at(-35) }, at(-35));
    const explained = explanationOf(
      rows(
        {
          holding: [
            {
              listingId: 'listing-2',
              platform: 'amazon',
              connectionName: 'My Amazon',
              units: 1,
              shadow: amazon,
            },
          ],
        },
        { holds: 1, rules: { connection: { buffer: 1 } } },
      ),
      noon,
    );
    expect(amazon.hold).toBe(1);
    expect(explained.holds).toEqual([
      {
        listingId: 'listing-2',
        platform: 'amazon',
        connectionName: 'My Amazon',
        units: 1,
        since: new Date(at(-35)),
      },
    ]);
    expect(explained.summary).toBe(
      'Etsy shows 5 and should show 3: 5 available, 1 held because Amazon showed fewer than expected, buffer 1 (connection rule).',
    );
  });

  test('show what an open conflict withholds', () => {
    const conflict = {
      conflictId: 'c',
      listingId: 'listing-3',
      platform: 'ebay',
      type: 'quantity_mismatch',
      delta: -2,
      since: new Date(noon),
    } as const;
    const explained = explanationOf(rows({ conflicts: [conflict] }, { conflictDelta: -2 }), noon);
    expect(explained).toMatchObject({ conflictDelta: -2, conflicts: [conflict], target: 3 });
    expect(explained.summary).toContain('2 withheld until the conflict on eBay is decided');
  });

  test('say at which level an automatic buffer was asked for', () => {
    const explained = explanationOf(
      rows(
        { rules: { account: { automaticBuffer: 0.01 }, connection: {}, listing: {} } },
        { automaticBuffer: 2 },
      ),
      noon,
    );
    expect(explained.steps[1]).toEqual({
      step: 'automaticBuffer',
      amount: 2,
      level: 'account',
      result: 3,
      text: 'automatic buffer 2 for what the other channels sell meanwhile (account rule)',
    });
  });

  test('without a shadow are what is believed, and unknown is never 0', () => {
    const { listing } = rows();
    expect(explanationOf(rows({ shadow: null, listing: { ...listing, quantity: 5 } }), noon).shown).toEqual({
      low: 5,
      high: 5,
    });
    const unknown = explanationOf(rows({ shadow: null }), noon);
    expect([unknown.shown, unknown.summary]).toEqual([
      null,
      'What Etsy shows is not known; it should show 5: 5 available.',
    ]);
  });
});

function toldOfWrites(shadow: Shadow) {
  const { candidates, summary } = explanationOf(rows({ shadow }, { available: 9 }), noon);
  return { queued: candidates.map((one) => one.queued), words: summary.split(': 9 available. ')[1] };
}

describe('what is unconfirmed', () => {
  const sent = writeSent(shadowOf(5), { key: 'w1', value: 2, targetSeq: 5, expected: null }, at(-10));

  test('is every number that may be in force, with what is known of it', () => {
    const explained = explanationOf(
      rows({ shadow: writeAnswered(sent, 'w1', { kind: 'unknown' }, at(-5)) }, { available: 2 }),
      noon,
    );
    expect(explained.candidates).toEqual([
      {
        key: 'reading',
        value: 5,
        state: 'EFFECTIVE',
        sentAt: new Date(at(-600)),
        settledAt: new Date(at(-600)),
        queued: false,
      },
      { key: 'w1', value: 2, state: 'UNKNOWN', sentAt: new Date(at(-10)), settledAt: null, queued: false },
    ]);
    expect(explained.shown).toEqual({ low: 2, high: 5 });
    expect(explained.summary).toBe(
      'Etsy shows 2 to 5 and should show 2: 2 available. A write of 2 at 11:59:50 UTC is not confirmed: it got no answer.',
    );
  });

  test('is told as standing in a queue until that was worked off, and as perhaps standing there without an answer', () => {
    const write = { key: 'w1', value: 9, targetSeq: 5, expected: null, queuedUntil: at(86_400) };
    const queued = writeSent(shadowOf(5), write, at(-10));
    expect(toldOfWrites(writeAnswered(queued, 'w1', { kind: 'accepted' }, at(-5)))).toEqual({
      queued: [false, true],
      words:
        'A write of 9 at 11:59:50 UTC went together with others into a queue that the channel has not worked off yet.',
    });
    expect(toldOfWrites(writeAnswered(queued, 'w1', { kind: 'unknown' }, at(-5)))).toEqual({
      queued: [false, true],
      words:
        'A write of 9 at 11:59:50 UTC is not confirmed: it got no answer, and may stand in a queue of the channel.',
    });
    expect(toldOfWrites(writeWorkedOff(queued, 'w1', at(-2), at(-1)))).toEqual({
      queued: [false, false],
      words: 'A write of 9 at 11:59:50 UTC is not confirmed yet.',
    });
  });

  test('is nothing once a write is proved', () => {
    const proved = explanationOf(
      rows({ shadow: writeAnswered(sent, 'w1', { kind: 'effective' }, at(-5)) }, { available: 2 }),
      noon,
    );
    expect(proved.candidates.map(({ key, settledAt }) => [key, settledAt !== null])).toEqual([['w1', true]]);
    expect(proved.summary).toBe('Etsy shows 2: 2 available.');
  });

  test('comes with the push, the orders since then, and since when it waits', () => {
    const { listing } = rows();
    const push = {
      key: 'w1',
      quantity: 2,
      state: 'rejected',
      targetSeq: 4,
      error: 'not_found: no such listing',
      sentAt: new Date(at(-30)),
      settledAt: new Date(at(-29)),
    } as const;
    const explained = explanationOf(
      rows({
        push,
        ordersSince: { orders: 1, units: 2 },
        listing: { ...listing, waitingSince: new Date(at(-3)) },
      }),
      noon,
    );
    expect(explained.push).toEqual(push);
    expect(explained.summary).toBe(
      'Etsy shows 5: 5 available. The last write, 2, was refused: not_found: no such listing. Since the last write 1 order of 2 units came in there. It waits since 11:59:57 UTC to be written.',
    );
  });
});

describe('the mode', () => {
  const { listing, connection } = rows();

  test.each<[string, Partial<ExplanationRows>]>([
    ['It is not known which item it sells.', { item: null, target: null }],
    ['Etsy owns this number.', { listing: { ...listing, writable: false } }],
    ['Sync is switched off for this listing.', { listing: { ...listing, syncEnabled: false } }],
    [
      'The first plan of My Etsy is not applied yet.',
      { listing: { ...listing, syncEnabled: false }, connection: { ...connection, awaitingPlan: true } },
    ],
    ['Sync is switched off for My Etsy.', { connection: { ...connection, syncEnabled: false } }],
    ['My Etsy must be authorised again.', { connection: { ...connection, status: 'needs_authorization' } }],
    ['Numbers are computed and not written.', { shadow: { ...shadowOf(5), mode: 'observe' } }],
  ])('is observe-only, and says why: %s', (reason, more) => {
    const explained = explanationOf(rows(more), noon);
    expect([explained.mode, explained.modeReason]).toEqual(['observe_only', reason]);
    expect(explained.summary).toContain(`Nothing is written to it: ${reason}`);
  });

  test('is observe-only with the number that was read, when, and what sync would show, whatever is left of a shadow', () => {
    const observed = { syncEnabled: false, observed: true, quantity: 3, quantityAt: new Date(at(-60)) };
    const more = { listing: { ...listing, ...observed }, shadow: shadowOf(9) };
    const explained = explanationOf(rows(more, { rules: { account: { buffer: 1 } } }), noon);
    expect(explained).toMatchObject({ shown: { low: 3, high: 3 }, observedAt: new Date(at(-60)), target: 4 });
    expect(explained.summary).toBe(
      'Etsy shows 3 and would show 4: 5 available, buffer 1 (account rule). It was read at 2026-05-04 11:59:00 UTC. Nothing is written to it: Sync is switched off for this listing.',
    );
  });

  test('is observe-only without a number of ours where the channel owns it', () => {
    const observed = { writable: false, observed: true, quantity: 3, quantityAt: new Date(at(-60)) };
    const explained = explanationOf(rows({ listing: { ...listing, ...observed }, shadow: null }), noon);
    expect(explained.summary).toBe(
      'Etsy shows 3. It was read at 2026-05-04 11:59:00 UTC. Nothing is written to it: Etsy owns this number.',
    );
  });

  test('under escrow comes with the rights, and where the others are', () => {
    const escrow = newEscrow(5, { 'listing-1': 2, 'listing-2': 1 });
    const other = { listingId: 'listing-2', platform: 'ebay', connectionName: 'My eBay' } as const;
    const stranger = { ...other, listingId: 'listing-3' };
    const explained = explanationOf(rows({ escrow, shadow: shadowOf(2), others: [other, stranger] }), noon);
    expect([explained.mode, explained.rights]).toEqual([
      'escrow',
      { cur: 2, old: 0, new: 0, free: 2, elsewhere: [{ ...other, units: 1 }] },
    ]);
    expect(explained.summary).toBe(
      'Etsy shows 2: 5 available. Under escrow it holds 2 rights to sell, eBay (My eBay) 1; 2 are free.',
    );
  });

  test('is paused where the channel would sell beyond its number, and says what to do; a shared pool says it too', () => {
    const beyond = { ...listing, platform: 'shopify', sellsBeyond: true } as const;
    const remedy =
      'Shopify goes on selling it beyond its number. Switch off "Continue selling when out of stock" in Shopify, then import the catalogue again.';
    const escrow = violated(newEscrow(5, { 'listing-1': 0 }), 'listing-1', 'A1');
    const paused = explanationOf(rows({ listing: beyond, escrow, shadow: shadowOf(0) }), noon);
    const reason = 'It is kept at zero: the channel has sold, or would sell, beyond its number (A1).';
    expect([paused.mode, paused.modeReason]).toEqual(['paused', reason]);
    expect(paused.summary).toContain(`${reason} ${remedy}`);
    const { summary } = explanationOf(rows({ listing: beyond }), noon);
    expect(summary).toBe(`Shopify shows 5: 5 available. ${remedy}`);
  });

  test('is paused, with the assumption that did not hold', () => {
    const whole = newEscrow(5, { 'listing-1': 0 });
    const unit = whole.units['listing-1'];
    const escrow = { ...whole, units: unit ? { 'listing-1': { ...unit, paused: 'A4' as const } } : {} };
    const explained = explanationOf(rows({ escrow, shadow: shadowOf(0) }), noon);
    expect([explained.mode, explained.modeReason]).toEqual([
      'paused',
      'It is kept at zero: somebody else has raised the number (A4).',
    ]);
  });
});
