/** Proves E3: under escrow, with demand on one channel only, every unit can in the end be bought there, and never one more. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { charges } from '../../src/sync/core/escrow.ts';
import * as support from '../support/channel.ts';
import * as escrows from '../support/escrowShop.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

const roundsMax = 60;

/** Shopify compares and sets, and knows a key again; Etsy does neither. Some answers get lost, with their write or without it. */
function loseAnswers({ offers }: escrows.EscrowShop, fates: readonly ('lands' | 'lost' | 'silent')[]): void {
  let next = 0;
  for (const offer of offers) {
    const { channel } = offer;
    const done = new Set<string>();
    channel.onWrite = (write) => {
      const fate = fates[next] ?? 'lands';
      next += 1;
      if (fate === 'lost') return { kind: 'unknown', reason: 'no answer in time' };
      const again = channel.capabilities.compareAndSet && done.has(write.key);
      const actual = escrows.shows(offer);
      if (!again && write.expected !== null && write.expected !== actual) return { kind: 'stale', actual };
      if (!again) support.takeEffect(channel, write);
      done.add(write.key);
      return fate === 'silent'
        ? { kind: 'unknown', reason: 'no answer in time' }
        : { kind: 'effective', quantity: write.quantity };
    };
  }
}

/** Where both channels come to the same pace, an absolute write that may not free a part must free all. */
const keptByTheWrongChannel = {
  onHand: 4,
  shown: [0, 4] as [number, number],
  buyersOn: 0 as const,
  delivered: [],
  fates: [],
  told: Array.from({ length: 12 }, () => true),
};

test('E3: whoever holds the rights first, and whatever is delivered or lost meanwhile, the one channel with buyers sells every unit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        onHand: fc.integer({ min: 1, max: 5 }),
        shown: fc.tuple(fc.nat(5), fc.nat(5)),
        buyersOn: fc.constantFrom(0 as const, 1 as const),
        delivered: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 4 }),
        fates: fc.array(fc.constantFrom('lands' as const, 'lost' as const, 'silent' as const), {
          maxLength: 6,
        }),
        told: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      }),
      async ({ onHand, shown, buyersOn, delivered, fates, told }) => {
        const most: [number, number] = [Math.min(shown[0], onHand), Math.min(shown[1], onHand)];
        const shop = await escrows.openEscrowShop(open.pool, onHand, most);
        await escrows.protect(shop);
        loseAnswers(shop, fates);
        const offer = shop.offers[buyersOn];
        let left = onHand;
        let sold = 0;
        const news: (() => Promise<unknown>)[] = [];
        const isOver = (round: number): boolean =>
          left === 0 && escrows.shownIn(shop.offers) === 0 && round >= delivered.length;
        for (let round = 0; round < roundsMax && !isOver(round); round += 1) {
          const more = delivered[round] ?? 0;
          if (more > 0) await support.moveStock(open.pool, shop.item, more);
          left += more;
          await escrows.pushAll(shop, shop.offers, 2);
          // Buyers leave nothing there; of some orders only the next poll tells.
          for (let tell = escrows.sell(shop, offer); tell !== null; tell = escrows.sell(shop, offer)) {
            sold += 1;
            left -= 1;
            if (told[sold % told.length] === true) await tell();
            else news.push(tell);
          }
          // Now and then what is in step is read, and found to be of more use elsewhere.
          await escrows.pass(shop, round % 3 === 2 ? 1_800_001 : 61_000);
          for (const each of shop.offers) await escrows.read(shop, each);
          for (const tell of news.splice(0)) await tell();
          await escrows.knowOrders(shop);
          const state = await escrows.escrowOf(shop);
          expect(state.available).toBe(state.free + charges(state) - state.shortfall);
        }
        expect(left).toBe(0);
        expect(sold).toBe(onHand + delivered.reduce((sum, more) => sum + more, 0));
        expect(await readStock(open.pool, shop.item.id)).toMatchObject({ available: 0 });
        expect(escrows.shownIn(shop.offers)).toBe(0);
      },
    ),
    { numRuns: 25, endOnFailure: true, examples: [[keptByTheWrongChannel]] },
  );
}, 120_000);
