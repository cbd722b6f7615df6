/** Proves over random schedules that writes are recorded in the order of the ledger and that quiet leaves every listing at its target. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StockWrite, StockWriteResult } from '../../src/connectors/connector.ts';
import type { Connections } from '../../src/sync/connections.ts';
import { pushConnection } from '../../src/sync/push.ts';
import { readConnection } from '../../src/sync/reads.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { readStock } from '../support/ledgerState.ts';
import { waitFor } from '../support/waiting.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
  // Taken under the listing's lock, so it numbers the writes of a listing in the order in which they were recorded.
  await open.pool.query('ALTER TABLE listing_writes ADD COLUMN recorded bigserial');
});
afterAll(() => open[Symbol.asyncDispose]());

const answers = [
  'lands',
  'lands late',
  'accepted',
  'lost but lands',
  'lost',
  'lost and lands late',
  'deferred',
  'rejected',
] as const;

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('move' as const),
      listing: fc.nat(3),
      delta: fc.integer({ min: -3, max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('run' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      which: fc.nat(7),
      how: fc.constantFrom(...answers),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1_000, 10_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('land' as const), which: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('verify' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

type Pending = { readonly write: StockWrite; readonly call: number; answer(result: StockWriteResult): void };

/** One shop with four listings, two of them variants of one unit, whose channel answers only when a step says so. */
class Schedule {
  readonly channel = support.createChannel();
  readonly listings: support.Listed[] = [];
  readonly pending: Pending[] = [];
  readonly landing: StockWrite[] = [];
  readonly failures: unknown[] = [];
  running = 0;
  private readonly connection: fixtures.TestConnection;
  private readonly connections: Connections;

  constructor(connection: fixtures.TestConnection) {
    this.connection = connection;
    this.connections = support.connectTo(open.pool, { shopify: this.channel });
  }

  async open(): Promise<void> {
    const { connection, channel } = this;
    this.channel.onWrite = (write) =>
      new Promise((resolve) => {
        this.pending.push({ write, call: this.channel.writeCalls.length, answer: resolve });
      });
    for (const address of [{}, {}, { unitId: fixtures.unique('unit'), variantId: 'a' }] as const) {
      this.listings.push(await support.insertListed(open.pool, { connection, channel }, 5, 7, address));
    }
    const { unitId = '' } = this.listings.at(-1) ?? {};
    this.listings.push(
      await support.insertListed(open.pool, { connection, channel }, 5, 7, { unitId, variantId: 'b' }),
    );
  }

  async take(each: Step): Promise<void> {
    if (each.kind === 'move' && each.delta !== 0) await this.move(each.listing, each.delta);
    if (each.kind === 'run') this.run();
    if (each.kind === 'answer') this.answer(each.which, each.how);
    if (each.kind === 'time') await support.letTimePass(open.pool, this.connection.id, each.ms);
    if (each.kind === 'land') this.land(each.which);
    if (each.kind === 'verify') await this.verify();
    await this.idle();
  }

  private async move(index: number, delta: number): Promise<void> {
    const item = this.listings[index]?.item;
    if (item !== undefined) await support.moveStock(open.pool, item, delta);
  }

  run(): void {
    if (this.running >= 3) return;
    this.running += 1;
    // A lease outlives the longest call.
    pushConnection(
      support.pushOptions(open.pool, this.connections, { leaseMs: 3_600_000 }),
      this.connection.id,
    )
      .catch((error: unknown) => this.failures.push(error))
      .finally(() => {
        this.running -= 1;
      });
  }

  async verify(): Promise<void> {
    await readConnection(support.readOptions(open.pool, this.connections), this.connection.id);
  }

  /** Until every run has ended or waits for an answer; one may have several calls under way. */
  private async idle(): Promise<void> {
    await waitFor(() => new Set(this.pending.map(({ call }) => call)).size >= this.running, {
      intervalMs: 1,
      timeoutMs: 20_000,
      what: 'the runs to wait',
    });
  }

  answer(which: number, how: (typeof answers)[number]): void {
    const [one] = this.pending.splice(which % Math.max(this.pending.length, 1), 1);
    if (one === undefined) return;
    const { write } = one;
    if (how.endsWith('late') || how === 'accepted') this.landing.push(write);
    if (how === 'lands' || how === 'lost but lands') support.takeEffect(this.channel, write);
    one.answer(resultOf(how, write));
  }

  land(which: number): void {
    const [write] = this.landing.splice(which % Math.max(this.landing.length, 1), 1);
    if (write !== undefined) support.takeEffect(this.channel, write);
  }

  /** Everything lands within the settling time; then only what the product does by itself. */
  async quiet(newestLast: boolean): Promise<void> {
    for (let answered = 0; this.pending.length > 0; answered += 1) {
      if (answered > 200) throw new Error('the runs never come to an end');
      this.answer(newestLast ? 0 : this.pending.length - 1, 'lands');
      await this.idle();
    }
    while (this.landing.length > 0) this.land(0);
    this.channel.onWrite = (write) => support.takeEffect(this.channel, write);
    for (let round = 0; round < 4; round += 1) {
      await support.letTimePass(open.pool, this.connection.id, 400_000);
      this.run();
      await this.idle();
      await this.verify();
    }
  }
}

function resultOf(how: (typeof answers)[number], write: StockWrite): StockWriteResult {
  switch (how) {
    case 'lands':
      return { kind: 'effective', quantity: write.quantity };
    case 'accepted':
    case 'lands late':
      return { kind: 'accepted', reference: null };
    case 'lost':
    case 'lost but lands':
    case 'lost and lands late':
      return { kind: 'unknown', reason: 'no answer in time' };
    case 'deferred':
      return { kind: 'deferred', reason: 'quota', retryAfterMs: 1_000 };
    case 'rejected':
      return { kind: 'rejected', code: 'NO', message: 'not today', raw: null };
  }
}

async function newestFirst(listingId: string): Promise<readonly number[]> {
  const { rows } = await open.pool.query<{ target_seq: number }>(
    'SELECT target_seq::int FROM listing_writes WHERE listing_id = $1 ORDER BY recorded',
    [listingId],
  );
  return rows.map((row) => row.target_seq);
}

test('no write is recorded for older stock after one for newer stock, and quiet leaves every listing at its target', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 24 }),
      fc.boolean(),
      async (steps, newestLast) => {
        const accountId = await fixtures.insertAccount(open.pool);
        const schedule = new Schedule(await fixtures.insertConnection(open.pool, accountId));
        await schedule.open();
        for (const each of steps) await schedule.take(each);
        await schedule.quiet(newestLast);
        expect(schedule.failures).toEqual([]);
        for (const listing of schedule.listings) {
          const { available } = await readStock(open.pool, listing.item.id);
          const rejected = (await support.readWrites(open.pool, listing.listingId)).some(
            ({ state }) => state === 'rejected',
          );
          const sequence = await newestFirst(listing.listingId);
          expect(sequence).toEqual(sequence.toSorted((a, b) => a - b));
          expect(await support.readDirty(open.pool, listing.listingId)).toBeNull();
          // What the channel refuses for good waits for a person, or for the next change of stock.
          const target = Math.max(available, 0);
          expect(rejected ? target : support.shownOn(schedule.channel, listing)).toBe(target);
        }
      },
    ),
    { numRuns: 60, endOnFailure: true },
  );
}, 120_000);
