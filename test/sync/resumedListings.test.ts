/** Proves that what was done to a listing while it was switched off is a person's to decide, and what is done once it is known again is not. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { switchSync } from '../../src/sync/rules.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { Race } from '../support/race.ts';
import { staleMaxMs } from '../support/raceSchedule.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());

/** `channel`: it takes the number over, as Amazon does for FBA, and gives it back. */
type Level = 'listing' | 'connection' | 'channel';

async function turn(race: Race, level: Level, on: boolean): Promise<void> {
  const { listingId, connection } = race.at('etsy');
  if (level === 'channel') {
    await open.pool.query('UPDATE listings SET writable = $2 WHERE id = $1', [listingId, on]);
    return support.markDirty(open.pool, listingId, on);
  }
  const place = { level, id: level === 'listing' ? listingId : connection.id };
  const caller = {
    accountId: race.item.accountId,
    actor: { kind: 'api_key', id: 'seller' },
    correlationId: 'switch',
  } as const;
  const options = { pool: open.pool, onDirty: () => undefined, onResumed: () => undefined };
  expect(await switchSync(options, caller, { place, enabled: on })).toMatchObject({ ok: true });
}

/** The marketplace tells its number, and is looked at until every order is known and nothing is open any more. */
async function lookOn(race: Race): Promise<void> {
  for (let look = 0; look < 3; look += 1) {
    await race.tell('etsy', race.shows('etsy'));
    await race.push('etsy');
    await race.pass(2 * staleMaxMs);
    await race.poll('etsy');
    await race.read('etsy');
  }
}

test.each<Level>(['listing', 'connection', 'channel'])(
  'with its %s off, a number that another tool has kept is no edit that a policy may book',
  async (level) => {
    const race = await Race.open(open.pool, 9, ['shopify', 'etsy']);
    await race.know();
    await turn(race, level, false);
    await race.hear(race.buy('shopify', 2));
    // The other tool copies the sale, and one that it has made up.
    race.edit('etsy', 6);
    await race.pass(2 * staleMaxMs);
    await turn(race, level, true);
    await lookOn(race);
    expect(race.proven.map(({ proof, whileOff }) => [proof.delta, whileOff])).toEqual([[-3, true]]);
    race.edit('etsy', race.shows('etsy') - 1);
    await lookOn(race);
    expect(race.proven.map(({ proof, whileOff }) => [proof.delta, whileOff]).slice(1)).toEqual([[-1, false]]);
  },
);

test.each<Level>(['listing', 'connection'])(
  'with its %s off, what a webhook tells of its number withholds nothing and proves nothing',
  async (level) => {
    const race = await Race.open(open.pool, 9, ['shopify', 'etsy']);
    await race.know();
    await turn(race, level, false);
    race.edit('etsy', 6);
    for (let told = 0; told < 2; told += 1) {
      await race.tell('etsy', 6);
      await race.pass(2 * staleMaxMs);
    }
    expect(await race.shadow('etsy')).toMatchObject({ hold: 0, raises_stopped: false });
    expect(race.proven).toEqual([]);
  },
);

test('a listing that shows what was known when it is switched on again is as any other from then on', async () => {
  const race = await Race.open(open.pool, 9, ['shopify', 'etsy']);
  await race.know();
  await turn(race, 'listing', false);
  await race.pass(2 * staleMaxMs);
  await turn(race, 'listing', true);
  await lookOn(race);
  expect(race.proven).toEqual([]);
  race.edit('etsy', 7);
  await lookOn(race);
  expect(race.proven.map(({ proof, whileOff }) => [proof.delta, whileOff])).toEqual([[-2, false]]);
});
