/** Proves that an undo takes back exactly what a plan has done, never offers a sold unit again, and ends whatever a channel answers. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StockWrite, StockWriteResult } from '../../src/connectors/connector.ts';
import { undoPlan } from '../../src/sync/plans.ts';
import { setProtection } from '../../src/sync/protection.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { ledgerBreaches, readStock } from '../support/ledgerState.ts';
import { entryOf, openPlanShop, type PlanShop, readPlan } from '../support/planShop.ts';

let open: fixtures.TestPool;
let shop: PlanShop;

beforeAll(async () => {
  open = await fixtures.openTestPool(8);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  shop = await openPlanShop(open.pool);
});

/** A mug of which there are 9 while the channel shows 3, with the plan applied and pushed. */
async function applied(winner: 'ledger' | 'channel' = 'ledger'): Promise<Applied> {
  const item = await shop.item('MUG', 9);
  const elsewhere = await shop.elsewhere(item, 9);
  const mug = shop.offer('MUG', 3);
  const planId = await shop.planned({ winner });
  await shop.apply(planId);
  await shop.finish(planId);
  shop.later(10_000);
  await shop.push();
  shop.later(10_000);
  return { item, elsewhere, mug, planId };
}

type Applied = {
  readonly item: fixtures.TestItem;
  readonly elsewhere: string;
  readonly mug: string;
  readonly planId: string;
};

/** Two items of 9 each of which the channel showed 3. */
async function twoApplied(): Promise<{ readonly planId: string }> {
  for (const sku of ['A', 'B']) await shop.item(sku, 9);
  for (const sku of ['A', 'B']) shop.offer(sku, 3);
  const planId = await shop.planned();
  await shop.apply(planId);
  await shop.finish(planId);
  shop.later(10_000);
  await shop.push();
  shop.later(10_000);
  return { planId };
}

async function connectionWaits(): Promise<boolean | undefined> {
  const { rows } = await open.pool.query<{ awaiting_plan: boolean }>(
    'SELECT awaiting_plan FROM connections WHERE id = $1',
    [shop.connection.id],
  );
  return rows[0]?.awaiting_plan;
}

/** Writes that were sent to the waiting channel and could still take effect. */
async function openWrites(): Promise<number> {
  const { rows } = await open.pool.query(
    `SELECT 1 FROM listing_writes WHERE connection_id = $1 AND state IN ('sent', 'accepted', 'unknown')`,
    [shop.connection.id],
  );
  return rows.length;
}

/** Undoes a plan up to the answer to its first write; later ones take effect at once. */
async function undoing(planId: string, answer: (write: StockWrite) => StockWriteResult): Promise<StockWrite> {
  let first: StockWrite | undefined;
  shop.channel.onWrite = (write) => {
    if (first !== undefined) return support.takeEffect(shop.channel, write);
    first = write;
    return answer(write);
  };
  await shop.undo(planId);
  await shop.work(planId);
  await shop.poll();
  await shop.work(planId);
  if (first === undefined) throw new Error('nothing was written');
  return first;
}

describe('an undo', () => {
  test('sends by the clock of the product: lowering first and as urgent as a push, and not later than it was decided for', async () => {
    const { planId } = await applied();
    const before = shop.channel.turns.length;
    shop.later(3_600_000);
    await shop.undo(planId);
    await shop.finish(planId);
    const now = shop.options().clock.now();
    const turns = shop.channel.turns.slice(before);
    expect(turns).toMatchObject([{ urgency: 'lower', leaveBy: expect.any(Number) as number }]);
    expect(now + support.sendWithinMs - (turns[0]?.leaveBy ?? 0)).toBeLessThan(60_000);
    const { rows } = await open.pool.query<{ sent_at: Date }>(
      'SELECT sent_at FROM listing_writes WHERE connection_id = $1 ORDER BY sent_at DESC LIMIT 1',
      [shop.connection.id],
    );
    expect(now - (rows[0]?.sent_at.getTime() ?? 0)).toBeLessThan(60_000);
  });

  test('shows the old number again, switches sync off and lets the connection wait as before', async () => {
    const { mug, planId, elsewhere } = await applied();
    expect([shop.shows(mug), await connectionWaits()]).toEqual([9, false]);
    await shop.undo(planId);
    expect(await shop.finish(planId)).toBe('undone');
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({ state: 'undone', enabled: false });
    await shop.push();
    expect([shop.shows(mug), shop.shows(elsewhere), await connectionWaits()]).toEqual([3, 9, true]);
    const { rows } = await open.pool.query(
      'SELECT quantity, state::text FROM listing_writes WHERE connection_id = $1 ORDER BY sent_at',
      [shop.connection.id],
    );
    expect(rows).toEqual([
      { quantity: 9, state: 'effective' },
      { quantity: 3, state: 'effective' },
    ]);
    expect(await readPlan(open.pool, planId)).toMatchObject({ undone: 1, failed: 0 });
  });

  test('reverses movements by their delta, whatever came in between', async () => {
    const { item, mug, elsewhere, planId } = await applied('channel');
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 3 });
    await support.moveStock(open.pool, item, 2);
    await shop.push();
    await shop.undo(planId);
    await shop.finish(planId);
    await shop.push();
    expect(await readStock(open.pool, item.id)).toMatchObject({ quantity: 11 });
    expect([shop.shows(mug), shop.shows(elsewhere)]).toEqual([3, 11]);
    expect(await ledgerBreaches(open.pool)).toEqual([]);
  });

  test('subtracts what was sold since, never below 0, also when the orders come late', async () => {
    const { mug, planId } = await applied();
    shop.sell(mug, 'MUG', 2);
    shop.later(10_000);
    await shop.undo(planId);
    await shop.work(planId);
    // The order is not known yet, and so neither is the number to go back to.
    expect(shop.channel.writes).toHaveLength(1);
    await shop.finish(planId);
    expect(shop.shows(mug)).toBe(1);
    const again = await shop.planned();
    await shop.apply(again);
    await shop.finish(again);
    await shop.push();
    shop.later(10_000);
    shop.sell(mug, 'MUG', 4);
    shop.later(10_000);
    await shop.undo(again);
    await shop.finish(again);
    expect(shop.shows(mug)).toBe(0);
  });

  test('puts no old number back where the item is under escrow: others may hold the rights to it', async () => {
    const { item, mug, planId } = await applied('channel');
    await setProtection(open.pool, shop.caller, { itemId: item.id, protection: 'escrow' });
    await support.moveStock(open.pool, item, -2);
    await shop.push();
    const shown = shop.shows(mug);
    await shop.undo(planId);
    expect(await shop.finish(planId)).toBe('undone');
    expect(shop.shows(mug)).toBe(shown);
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({ state: 'undone', enabled: false });
  });

  test('leaves listings that were written to before in step with the ledger', async () => {
    const item = await shop.item('MUG', 9);
    const mug = shop.offer('MUG', 3);
    const first = await shop.planned();
    await shop.apply(first);
    await shop.finish(first);
    await shop.push();
    const second = await shop.planned();
    await shop.apply(second);
    await shop.finish(second);
    await shop.undo(second);
    await shop.finish(second);
    await support.moveStock(open.pool, item, -1);
    await shop.push();
    expect([shop.shows(mug), await connectionWaits()]).toEqual([8, false]);
    expect(await entryOf(open.pool, second, mug)).toMatchObject({ state: 'undone', enabled: true });
  });

  test('writes each listing by itself where the channel compares: what got no answer is asked for again under its own key', async () => {
    Object.assign(shop.channel.capabilities, { compareAndSet: true, writesPerCall: 100 });
    const { planId } = await twoApplied();
    const before = shop.channel.writeCalls.length;
    const silent = new Map<string, StockWriteResult>();
    shop.channel.onWrite = (write) => {
      const known = silent.get(write.key);
      if (known !== undefined) return known;
      silent.set(write.key, support.takeEffect(shop.channel, write));
      return { kind: 'unknown', reason: 'no answer in time' };
    };
    await shop.undo(planId);
    expect(await shop.finish(planId)).toBe('undone');
    const calls = shop.channel.writeCalls.slice(before);
    expect(calls.map((call) => call.length)).toEqual(calls.map(() => 1));
    expect(new Set(calls.flat().map(({ key }) => key)).size).toBe(2);
  });

  test('stops a plan that is being applied and takes back what it has done', async () => {
    for (const sku of ['A', 'B', 'C', 'D', 'E']) await shop.item(sku, 9);
    const units = ['A', 'B', 'C', 'D', 'E'].map((sku) => shop.offer(sku, 3));
    const planId = await shop.planned();
    await shop.apply(planId);
    const stop = new AbortController();
    const { readStock: read } = shop.channel.connector;
    let reads = 0;
    shop.channel.connector.readStock = async (addresses) => {
      reads += 1;
      if (reads === 2) await shop.undo(planId);
      return read(addresses);
    };
    await shop.work(planId, { signal: stop.signal });
    await shop.push();
    expect(await readPlan(open.pool, planId)).toMatchObject({ status: 'undoing', applied: 3 });
    await shop.finish(planId);
    await shop.push();
    expect(units.map((unit) => shop.shows(unit))).toEqual([3, 3, 3, 3, 3]);
    expect(await readPlan(open.pool, planId)).toMatchObject({ status: 'undone', undone: 3 });
  });

  test('is of the newest applied plan only, and refused where nothing was applied', async () => {
    const { planId } = await applied();
    const second = await shop.planned();
    const undo = (id: string) => undoPlan(shop.options(), shop.caller, id);
    expect(await undo(second)).toMatchObject({ problems: [{ code: 'PLAN_STATUS', current: 'ready' }] });
    await shop.apply(second);
    await shop.finish(second);
    expect(await undo(planId)).toMatchObject({ problems: [{ code: 'PLAN_STATUS', current: 'applied' }] });
    await shop.undo(second);
    await shop.finish(second);
    expect(await undo(second)).toMatchObject({ ok: true });
    expect(await undo(planId)).toMatchObject({ ok: true });
    const stranger = { ...shop.caller, accountId: await fixtures.insertAccount(open.pool) };
    expect(await undoPlan(shop.options(), stranger, planId)).toMatchObject({
      problems: [{ code: 'NOT_FOUND' }],
    });
  });
});

describe('the old number', () => {
  const answers: Readonly<Record<string, (write: StockWrite) => StockWriteResult>> = {
    'not answered and has landed': (write) => {
      support.takeEffect(shop.channel, write);
      return { kind: 'unknown', reason: 'timeout' };
    },
    'not answered and has not landed': () => ({ kind: 'unknown', reason: 'timeout' }),
    'put off': () => ({ kind: 'deferred', reason: 'slow down', retryAfterMs: 1 }),
    'refused because another number is shown': () => ({ kind: 'stale', actual: null }),
  };

  test.each(Object.entries(answers))('is shown in the end when its write is %s', async (how, answer) => {
    const { mug, planId } = await applied();
    await undoing(planId, answer);
    expect(await readPlan(open.pool, planId)).toMatchObject({ status: 'undoing', undone: 0 });
    expect(await shop.finish(planId)).toBe('undone');
    expect([shop.shows(mug), await openWrites()]).toEqual([3, 0]);
    const keys = new Set(shop.channel.writes.slice(1).map(({ key }) => key));
    // What had no answer keeps its key; what surely did nothing is a write of its own.
    expect(keys.size).toBe(how.startsWith('not answered') ? 1 : 2);
  });

  test('that is accepted and lands later is not sent again meanwhile', async () => {
    const { mug, planId } = await applied();
    const late = await undoing(planId, () => ({ kind: 'accepted', reference: null }));
    await shop.work(planId);
    expect(shop.channel.writes).toHaveLength(2);
    support.takeEffect(shop.channel, late);
    expect(await shop.finish(planId)).toBe('undone');
    expect([shop.shows(mug), await openWrites()]).toEqual([3, 0]);
  });

  test('that is accepted and never lands is written again after the settling time', async () => {
    const { mug, planId } = await applied();
    let dropped = 0;
    shop.channel.onWrite = (write) => {
      dropped += 1;
      return dropped > 1 ? support.takeEffect(shop.channel, write) : { kind: 'accepted', reference: null };
    };
    await shop.undo(planId);
    await shop.work(planId);
    await shop.poll();
    await shop.work(planId);
    shop.later(shop.channel.capabilities.settleMaxMs + 1);
    await shop.work(planId);
    // The request may have left at the end of our own call only.
    expect(dropped).toBe(1);
    shop.later(support.sendWithinMs + support.callMaxMs);
    await shop.finish(planId);
    expect([shop.shows(mug), dropped, await openWrites()]).toEqual([3, 2, 0]);
  });

  test('that is refused is told on the entry, and holds up nothing else', async () => {
    const { mug, planId } = await applied();
    shop.channel.onWrite = () => ({ kind: 'rejected', code: 'ENDED', message: 'it is over', raw: null });
    await shop.undo(planId);
    expect(await shop.finish(planId)).toBe('undone');
    expect(await entryOf(open.pool, planId, mug)).toMatchObject({
      state: 'failed',
      error: 'ENDED: it is over',
      enabled: false,
    });
    expect(await readPlan(open.pool, planId)).toMatchObject({ undone: 0, failed: 1 });
  });

  test('waits for a write of the push that may still land over it', async () => {
    const { mug, planId } = await applied();
    await open.pool.query(`UPDATE listing_writes SET state = 'accepted' WHERE connection_id = $1`, [
      shop.connection.id,
    ]);
    await shop.undo(planId);
    for (let look = 0; look < 3; look += 1) {
      await shop.work(planId);
      await shop.poll();
    }
    expect([shop.shows(mug), shop.channel.writes.length]).toEqual([9, 1]);
    await open.pool.query(`UPDATE listing_writes SET state = 'effective' WHERE connection_id = $1`, [
      shop.connection.id,
    ]);
    await shop.finish(planId);
    expect(shop.shows(mug)).toBe(3);
  });

  test('waits for a write of the push that stands in a queue, and until what that held can have landed', async () => {
    const { mug, planId } = await applied();
    const change = (to: string) =>
      open.pool.query(`UPDATE listing_writes SET ${to} WHERE connection_id = $1`, [shop.connection.id]);
    const workOn = async () => {
      for (let look = 0; look < 3; look += 1) {
        await shop.work(planId);
        await shop.poll();
      }
    };
    await change(`state = 'accepted', sent_at = sent_at - interval '1 day', queue_due_at = now()`);
    await shop.undo(planId);
    await workOn();
    expect(shop.shows(mug)).toBe(9);
    await change('queue_due_at = NULL, checked_at = now()');
    await workOn();
    expect(shop.shows(mug)).toBe(9);
    await change(`checked_at = now() - interval '1 day'`);
    await shop.finish(planId);
    expect(shop.shows(mug)).toBe(3);
  });

  test('is not written while a push is busy with a variant of the same unit', async () => {
    const { mug, planId } = await applied();
    const { rows } = await open.pool.query<{ id: string }>(
      `INSERT INTO listings (account_id, connection_id, platform, unit_id, variant_id) VALUES ($1, $2, 'shopify', $3, 'red') RETURNING id`,
      [shop.caller.accountId, shop.connection.id, mug],
    );
    await support.markDirty(open.pool, rows[0]?.id ?? '');
    await open.pool.query(
      `UPDATE dirty_listings SET leased_until = now() + interval '1 minute' WHERE listing_id = $1`,
      [rows[0]?.id],
    );
    await shop.undo(planId);
    for (let look = 0; look < 3; look += 1) {
      await shop.work(planId);
      await shop.poll();
    }
    expect(shop.shows(mug)).toBe(9);
    await shop.leasesEnd();
    await shop.finish(planId);
    expect(shop.shows(mug)).toBe(3);
  });
});
