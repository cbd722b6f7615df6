/** The live mode drives the real product to rest with every promise kept, and says so when one is not. */
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { tinyCatalogue } from '../../src/sandbox/demoShop.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import { UsageError } from '../../src/simulator/commandLine.ts';
import type { ItemSeen } from '../../src/simulator/liveApi.ts';
import { buyersOf } from '../../src/simulator/liveBuyers.ts';
import { readLiveCommand } from '../../src/simulator/liveCommandLine.ts';
import { editFacts, editOnceSeen, editOutside } from '../../src/simulator/liveEdits.ts';
import type { LiveFacts } from '../../src/simulator/liveFacts.ts';
import { breachesOf } from '../../src/simulator/liveInvariants.ts';
import { channelOf, livePace } from '../../src/simulator/livePace.ts';
import { type LiveOptions, type LiveResult, liveRun } from '../../src/simulator/liveRun.ts';
import { shownBreaches, startWatch } from '../../src/simulator/liveWatch.ts';
import { startWorkerProcess } from '../../src/simulator/liveWorker.ts';
import { createLiveWorld, type LiveWorld } from '../../src/simulator/liveWorld.ts';
import { demands, minute, pageWorld, second } from '../../src/simulator/parameters.ts';
import { createDatabase } from '../support/database.ts';
import { waitFor } from '../support/waiting.ts';

/** The hour takes four seconds. */
const compress = 900;

async function run(
  options: Pick<LiveOptions, 'protection' | 'meanwhile'> & Partial<LiveOptions>,
  sql = '',
): Promise<LiveResult & { readonly facts: LiveFacts }> {
  await using database = await createDatabase();
  if (sql !== '') await execute(database.url, sql);
  const result = await liveRun({
    databaseUrl: database.url,
    seed: 1,
    world: pageWorld,
    compress,
    ...options,
  });
  if (result.facts === null) throw new Error(result.breaches.join('\n'));
  return { ...result, facts: result.facts };
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The database refuses the first conflict that it is given. */
const refusal = `
CREATE SEQUENCE conflicts_given;
CREATE FUNCTION refuse_conflict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF nextval('conflicts_given') = 1 THEN RAISE EXCEPTION 'no room for conflicts'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refusal BEFORE INSERT ON sync_conflicts FOR EACH ROW EXECUTE FUNCTION refuse_conflict()`;

function brokenPromises(facts: LiveFacts): readonly string[] {
  return [...new Set(breachesOf(facts).map((breach) => breach.slice(0, breach.indexOf(':'))))];
}

test.concurrent('an hour of a shared pool on the real product ends with every promise kept, and each promise can be seen to break', async () => {
  const { totals, breaches, errors, timeline, facts } = await run({ protection: 'shared' });
  expect(breaches.length > 0 ? [...timeline, ...breaches] : []).toEqual([]);
  expect(errors).toEqual([]);
  expect(totals.buyers).toBe(buyersOf(pageWorld, 1).length);
  expect(totals.sold).toBeGreaterThan(10);
  expect(brokenPromises(facts)).toEqual([]);

  const [item] = facts.items;
  const [write] = facts.writes;
  const [movement] = facts.movements;
  const newest = facts.movements.at(-1);
  if (item === undefined || write === undefined || movement === undefined || newest === undefined)
    throw new Error('nothing happened');
  const broken: readonly (readonly [string, LiveFacts])[] = [
    ['I1', { ...facts, items: [{ ...item, reserved: item.reserved + 1, available: item.available - 1 }] }],
    ['I1', { ...facts, movements: [...facts.movements.slice(0, -1), { ...newest, seq: newest.seq + 1 }] }],
    ['I2', { ...facts, ordered: facts.ordered.slice(1) }],
    ['I2', { ...facts, held: facts.held.slice(1) }],
    ['S2', { ...facts, conflicts: [{ platform: 'etsy', sku: 'ITEM-1', words: 'one' }] }],
    ['S5', { ...facts, shown: facts.shown.map((one) => ({ ...one, units: one.units + 1 })) }],
    ['S5', { ...facts, restless: true }],
    ['S5', { ...facts, waiting: ['etsy ITEM-1'] }],
    ['S6', { ...facts, writes: [...facts.writes, { ...write, targetSeq: 0 }] }],
    ['S10', { ...facts, movements: [{ ...movement, kind: 'resolution' }, ...facts.movements.slice(1)] }],
  ];
  for (const [promise, changed] of broken) expect(brokenPromises(changed)).toContain(promise);
}, 120_000);

test.concurrent('an hour of escrow on the real product sells nothing that is not there', async () => {
  const { totals, breaches, errors, timeline, facts } = await run({ protection: 'escrow' });
  expect(breaches.length > 0 ? [...timeline, ...breaches] : []).toEqual([]);
  expect(errors).toEqual([]);
  // How much depends on how fast the machine hands units on.
  expect(totals.sold).toBeGreaterThan(0);
  expect(totals.oversold).toBe(0);

  const [item] = facts.items;
  if (!item?.escrow) throw new Error('there is no escrow');
  const { escrow } = item;
  const { available, free, rights } = escrow;
  const under = (changed: Partial<typeof escrow>): LiveFacts => ({
    ...facts,
    items: [{ ...item, escrow: { ...escrow, ...changed } }],
  });
  const showing = (units: number) => facts.shown.map(({ platform, sku }) => ({ platform, sku, units }));
  const idle = { ...item, available: 3, escrow: { available: 3, free: 3, shortfall: 0, rights: [] } };
  const broken: readonly (readonly [string, LiveFacts])[] = [
    ['E1', under({ free: free + 1 })],
    // It adds up, and not to what the ledger has.
    ['E1', under({ available: available + 1, free: free + 1 })],
    ['E2', { ...facts, oversold: 1 }],
    ['E2', { ...facts, shown: showing(item.available + 1) }],
    ['E3', { ...facts, items: [idle], shown: showing(0) }],
    ['E4', under({ rights: rights.map((right) => Object.assign({}, right, { paused: 'A4' })) })],
  ];
  for (const [promise, changed] of broken) expect(brokenPromises(changed)).toContain(promise);
}, 120_000);

/** The worker is a process that is killed without a word, and a seller changes a number in a marketplace's own pages. */
const rough = {
  ...pageWorld,
  faults: {
    ...pageWorld.faults,
    crashesPerHour: 2,
    crashTime: [second, 2 * minute] as const,
    outsideEdit: true,
  },
};

/**
 * In an hour of 15 seconds the clocks' bounds are wider than the time between a sale and an edit: what became of the one number that was edited cannot be
 * told for certain then, and where it went unnoticed that channel shows it to the end. The core's own tests say it at full length; everything else holds
 * here too.
 */
function beyondTheEdit(breaches: readonly string[], { edits }: LiveFacts): readonly string[] {
  const delta = edits.reduce((sum, edit) => sum + edit.delta, 0);
  return breaches.filter((breach) => {
    const [, shows, right] = /^S5: ebay shows (\d+) of ITEM-1 after the quiet, not (\d+)$/.exec(breach) ?? [];
    const off = Number(shows) - Number(right);
    const isTheEdit = off * delta > 0 && Math.abs(off) <= Math.abs(delta);
    return !isTheEdit && !/^(?:S2|S3|S10|I1):/.test(breach);
  });
}

test.concurrent('a worker that is killed and a cut by the seller break nothing beyond the number that was cut, and each promise about it can be seen to break', async () => {
  const { breaches, errors, timeline, facts } = await run({
    protection: 'shared',
    world: rough,
    seed: 2,
    compress: 240,
  });
  const broken = beyondTheEdit(breaches, facts);
  expect(broken.length > 0 ? [...timeline, ...broken] : []).toEqual([]);
  expect(errors).toEqual([]);
  const story = timeline.join('\n');
  expect(story).toMatch(/the worker is killed[^]*the worker is back/);
  expect(facts.edits).toMatchObject([{ platform: 'ebay', sku: 'ITEM-1' }]);

  const [edit] = facts.edits;
  expect(edit?.delta).toBeLessThan(0);
  const [item] = facts.items;
  if (edit === undefined || item === undefined) throw new Error('nothing was changed');
  const unseen = { ...facts, edits: [{ ...edit, overwritten: false }], conflicts: [] };
  expect(brokenPromises(unseen)).toContain('S3');
  expect(
    brokenPromises({ ...unseen, conflicts: [{ platform: 'ebay', sku: 'ITEM-1', words: '' }] }),
  ).not.toContain('S3');
  const elsewhere = [{ platform: 'etsy', sku: 'ITEM-1', words: '' } as const];
  expect(brokenPromises({ ...facts, conflicts: elsewhere })).toContain('S2');
  const [movement] = facts.movements;
  if (movement === undefined) throw new Error('nothing moved');
  // More than was cut may not be believed, and nothing of a raise.
  const believed = { ...movement, kind: 'resolution', onHandDelta: edit.delta - 1 };
  expect(brokenPromises({ ...facts, movements: [...facts.movements, believed] })).toContain('I1');
  const movements = [{ ...movement, kind: 'resolution' }];
  expect(brokenPromises({ ...facts, movements, edits: [{ ...edit, delta: 2 }] })).toContain('S10');
}, 120_000);

test.concurrent('under escrow a number that the seller raises costs no more than the raise, and breaks nothing beyond it', async () => {
  const { breaches, errors, timeline, facts } = await run({
    protection: 'escrow',
    world: rough,
    seed: 6,
    compress: 240,
  });
  const broken = beyondTheEdit(breaches, facts);
  expect(broken.length > 0 ? [...timeline, ...broken] : []).toEqual([]);
  expect(errors).toEqual([]);
  expect(facts.edits).toMatchObject([{ platform: 'ebay' }]);

  const [edit] = facts.edits;
  const [item] = facts.items;
  if (!item?.escrow || edit === undefined) throw new Error('there is no escrow, or nothing was changed');
  expect(edit.delta).toBeGreaterThan(0);
  expect(brokenPromises({ ...facts, oversold: edit.delta })).not.toContain('E2');
  expect(brokenPromises({ ...facts, oversold: edit.delta + 1 })).toContain('E2');
  const paused = (platform: 'ebay' | 'etsy') => {
    const rights = [{ platform, inForce: 0, replaced: 0, pending: 0, paused: 'A4' }];
    const escrow = { available: item.available, free: item.available, shortfall: 0, rights };
    return { ...facts, items: [{ ...item, escrow }] };
  };
  expect(brokenPromises(paused('ebay'))).not.toContain('E4');
  expect(brokenPromises(paused('etsy'))).toContain('E4');
}, 120_000);

/** Two units on sale everywhere, on marketplaces whose pages a seller can open. */
async function withTwoOnSale(work: (world: LiveWorld) => Promise<void>): Promise<void> {
  const sandbox = createSandbox({ seed: 1, catalogue: tinyCatalogue({ 'ITEM-1': 2 }) });
  await sandbox.start();
  try {
    await work(createLiveWorld(sandbox, 2));
  } finally {
    await sandbox.stop();
  }
}

test('an edit of a listing that is taken down, or that the marketplace refuses, is none', async () => {
  await withTwoOnSale(async (world) => {
    const { etsy } = world.sandbox.shops;
    etsy.setListingState(etsy.variantBySku('ITEM-1')?.listingId ?? '', 'inactive');
    expect(await editOutside(world, { at: 0, item: 0, platform: 'etsy', delta: 3 })).toBe(false);
    expect(await editOutside(world, { at: 0, item: 0, platform: 'ebay', delta: -5 })).toBe(true);
    await expect(editOutside(world, { at: 0, item: 1, platform: 'ebay', delta: 1 })).rejects.toThrow('404');
    expect(editFacts(world)).toEqual([{ platform: 'ebay', sku: 'ITEM-1', delta: -2, overwritten: false }]);
  });
});

test('an edit of a number that changes between the look at it and the change is none', async () => {
  await withTwoOnSale(async (world) => {
    const { ebay } = world.sandbox.shops;
    const edited = editOutside(world, { at: 0, item: 0, platform: 'ebay', delta: -1 });
    ebay.editOutside(ebay.variantBySku('ITEM-1')?.id ?? '', 0);
    expect(await edited).toBe(false);
    expect([world.sandbox.displayed('ebay'), editFacts(world)]).toEqual([{ 'ITEM-1': 0 }, []]);
  });
});

test('a seller who finds nothing to change looks again until there is something', async () => {
  await withTwoOnSale(async (world) => {
    const { etsy } = world.sandbox.shops;
    const listing = etsy.variantBySku('ITEM-1')?.listingId ?? '';
    etsy.setListingState(listing, 'inactive');
    const edited = editOnceSeen(world, { at: 0, item: 0, platform: 'etsy', delta: 3 });
    await waitFor(() => world.edits.length > 1);
    etsy.setListingState(listing, 'active');
    await edited;
    expect(editFacts(world)).toMatchObject([{ platform: 'etsy', sku: 'ITEM-1', overwritten: false }]);
  });
});

test('a worker process that cannot start is told as such', async () => {
  const environment = { DATABASE_URL: 'postgresql://127.0.0.1:1/none', SECRETS_KEY: 'short' };
  await expect(startWorkerProcess(environment, () => undefined)).rejects.toThrow(
    'the worker ended before it was ready',
  );
});

test.concurrent('a number that somebody else changes in the middle of the hour is told as a broken promise with its story, and so is what the product logs as an error', async () => {
  const options = {
    protection: 'shared' as const,
    // Nobody buys: a write of ours could cover the edit up before anybody has read it.
    world: { ...pageWorld, buyersPerHour: 0, restock: 0 },
    meanwhile({ sandbox }: LiveWorld) {
      const variant = sandbox.shops.ebay.variantBySku('ITEM-1');
      sandbox.shops.ebay.editOutside(variant?.id ?? '', 500);
      throw new Error('a lorry broke down');
    },
  };
  const { breaches, errors, timeline } = await run(options, refusal);
  expect(breaches).toContain('what should have happened failed: Error: a lorry broke down');
  expect(errors.join('\n')).toContain('no room for conflicts');
  for (const line of errors) expect(breaches).toContain(`the product logged an error: ${line}`);
  expect(breaches.join('\n')).toMatch(/^S2: a conflict without an outside edit: QUANTITY_MISMATCH/m);
  expect(timeline.join('\n')).toMatch(/\d s {2}ebay ITEM-1: outsideEdit \d+ -> 500\b/m);
}, 120_000);

test.concurrent('a run that cannot even begin is a breach with its story, and not an error', async () => {
  await using database = await createDatabase({ empty: true });
  const result = await liveRun({
    databaseUrl: `${database.url}_gone`,
    seed: 1,
    world: pageWorld,
    protection: 'shared',
    compress,
  });
  expect(result.breaches.join('\n')).toMatch(/^the run failed: /m);
  expect(result.timeline.join('\n')).toContain('the run failed: ');
  expect([result.facts, result.writes]).toEqual([null, null]);
});

/** Four marketplaces that show one unit each, and four units. */
function openWorld(): LiveWorld {
  const catalogue = tinyCatalogue({ 'ITEM-1': 1 });
  return createLiveWorld(createSandbox({ seed: 1, catalogue, ports: { control: null } }), 4);
}

test('what is shown is compared with what is left when a listing comes back on sale with more, and when units are bought, given back or delivered', () => {
  const world = openWorld();
  const told: string[] = [];
  const end = world.watch(() => void told.push(...shownBreaches(world), ''));
  const { etsy } = world.sandbox.shops;
  const variant = etsy.variantBySku('ITEM-1');
  if (variant === undefined) throw new Error('Etsy sells nothing');
  etsy.setListingState(variant.listingId, 'inactive');
  etsy.editOutside(variant.id, 3);
  expect(told.splice(0).join('')).toBe('');
  etsy.setListingState(variant.listingId, 'active');
  expect(told.splice(0)).toEqual(['E2: 6 of ITEM-1 were shown while 4 were left', '']);
  const wishes = [{ item: 0, units: 1 }];
  const order = world.buy({ number: 1, at: 0, platform: 'ebay', wishes, later: null });
  expect(told.splice(0).slice(-2)).toEqual(['E2: 5 of ITEM-1 were shown while 3 were left', '']);
  if (order === null) throw new Error('nothing was sold');
  world.deliver('ITEM-1', 1);
  expect(told.splice(0)).toEqual(['E2: 5 of ITEM-1 were shown while 4 were left', '']);
  world.regret('ebay', order, 'cancel');
  expect(told.splice(0).slice(-1)).toEqual(['']);
  end();
  world.deliver('ITEM-1', 1);
  expect(told).toEqual([]);
});

test('from the hour to the end of the quiet every breach of escrow is told, and a product that gives no answer is one', async () => {
  const world = openWorld();
  const rights = [{ platform: 'etsy', inForce: 4, replaced: 0, pending: 0, paused: 'A2' }] as const;
  const escrow = { available: 4, free: 0, shortfall: 0, rights };
  const counts = { quantity: 4, reserved: 0, available: 4, seq: 1 };
  const answers: (ItemSeen | null)[] = [null, { id: '1', sku: 'ITEM-1', ...counts, escrow, listings: [] }];
  const api = {
    async item() {
      const answer = answers.shift();
      if (!answer) throw new Error('no answer');
      return answer;
    },
  };
  const told = new Set<string>();
  const watch = startWatch({ api, world, protection: 'escrow', tell: (breach) => void told.add(breach) });
  world.sandbox.shops.ebay.editOutside(world.sandbox.shops.ebay.variantBySku('ITEM-1')?.id ?? '', 2);
  await waitFor(() => told.size >= 3);
  await watch.end();
  expect([...told]).toEqual([
    'E2: 5 of ITEM-1 were shown while 4 were left',
    'the product could not be asked for ITEM-1: Error: no answer',
    'E4: ITEM-1 is paused although all assumptions hold: A2',
  ]);
});

test('the same seed brings the same buyers, and another one others', () => {
  const rush = { ...pageWorld, buyersPerHour: demands.rush };
  expect(buyersOf(rush, 3)).toEqual(buyersOf(rush, 3));
  expect(buyersOf(rush, 3)).not.toEqual(buyersOf(rush, 4));
  expect(buyersOf(rush, 3).length).toBeGreaterThan(150);
});

test('bounds are the compressed durations and what a real machine cannot make shorter', () => {
  const amazon = channelOf(pageWorld, 'amazon');
  expect(livePace(pageWorld, 60).shop(amazon).writeEffectMs).toEqual({ min: 1_000, max: 7_000 });
  expect(livePace(pageWorld, 60).bounds(amazon).settleMaxMs).toBeGreaterThan(7_000 + 1_000);
  expect(livePace(pageWorld, 60).bounds(amazon).clockSkewMaxMs).toBe(1_000);
});

test('words that mean nothing are refused', () => {
  expect(readLiveCommand(['--live', '--protection', 'escrow', '--demand', 'rush']).world.buyersPerHour).toBe(
    240,
  );
  expect(readLiveCommand(['--live', '--edits', '--storms']).world.faults).toMatchObject({
    outsideEdit: true,
    crashesPerHour: 2,
  });
  expect(() => readLiveCommand(['--live', '--compress', '0'])).toThrow(UsageError);
  expect(() => readLiveCommand(['--live', '--protection', 'none'])).toThrow(UsageError);
  expect(() => readLiveCommand(['--live', '--policy', 'shadow'])).toThrow(UsageError);
  expect(() => readLiveCommand(['--live', '--workers', '6'])).toThrow('from 1 to 5');
});
