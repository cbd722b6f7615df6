/** Proves that a unit which a reading found missing and whose order comes later is taken off the other channels once, not twice. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as fixtures from '../support/fixtures.ts';
import { Race } from '../support/race.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

test('the order of units that are withheld already lowers nothing more, whichever channel is pushed first', async () => {
  const race = await Race.open(open.pool, 10, ['etsy', 'ebay']);
  await race.know();
  await race.pass(1_800_001);
  const sold = race.buy('etsy', 3);
  await race.read('etsy');
  expect(await race.shadow('etsy')).toMatchObject({ hold: 3 });
  await race.hear(sold);
  await race.push('ebay');
  expect(race.written('ebay')).toEqual([7]);
  expect(await race.shadow('etsy')).toMatchObject({ hold: 0 });
  await race.pushAll();
  expect([race.written('etsy'), race.written('ebay')]).toEqual([[], [7]]);
});

test('another order of that channel takes nothing from what is withheld', async () => {
  const race = await Race.open(open.pool, 10, ['etsy', 'ebay']);
  await race.know();
  await race.pass(1_800_001);
  race.buy('etsy', 3);
  await race.read('etsy');
  await race.pass(60_000);
  await race.hear(race.buy('etsy', 1));
  await race.push('ebay');
  expect(race.written('ebay')).toEqual([6]);
  expect(await race.shadow('etsy')).toMatchObject({ hold: 3 });
});
