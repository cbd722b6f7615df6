/** Proves that one key has one effect and one answer, whatever is repeated, refused, killed or sent at the same moment. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type KeyedRequest, once } from '../../src/sync/idempotency.ts';
import { type Caller, done, type Outcome, refused, systemActor } from '../../src/sync/outcome.ts';
import * as fixtures from '../support/fixtures.ts';
import { createGate } from '../support/waiting.ts';

let open: fixtures.TestPool;
let caller: Caller;
let effects: number;

beforeAll(async () => {
  open = await fixtures.openTestPool(12);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  effects = 0;
  caller = { accountId: await fixtures.insertAccount(open.pool), actor: systemActor, correlationId: 'test' };
});

const request = (more: Partial<KeyedRequest> = {}): KeyedRequest => ({
  operation: 'paint',
  key: 'key',
  input: { colour: 'red' },
  ...more,
});

const paint = (more: Partial<KeyedRequest> = {}, by = caller): Promise<Outcome<{ effect: number }>> =>
  once(open.pool, by, request(more), async () => {
    effects += 1;
    return done({ effect: effects });
  });

const refusal = { code: 'NOT_FOUND', message: 'no', field: ['input'] } as const;
const reused = {
  ok: false,
  problems: [{ code: 'IDEMPOTENCY_KEY_REUSED', field: ['input', 'idempotencyKey'] }],
};

test('the same idempotency key gives the first result again, and has no second effect', async () => {
  expect(await paint()).toEqual({ ok: true, value: { effect: 1 } });
  expect(await paint()).toEqual({ ok: true, value: { effect: 1 } });
  expect(effects).toBe(1);
});

test('the same key with other input, or for another operation, is refused', async () => {
  await paint();
  expect(await paint({ input: { colour: 'blue' } })).toMatchObject(reused);
  expect(await paint({ operation: 'varnish' })).toMatchObject(reused);
  expect(effects).toBe(1);
});

test('keys of two accounts have nothing to do with each other', async () => {
  await paint();
  const other = { ...caller, accountId: await fixtures.insertAccount(open.pool) };
  expect(await paint({ input: { colour: 'blue' } }, other)).toEqual({ ok: true, value: { effect: 2 } });
});

test.each([
  ['', 'empty'],
  ['x'.repeat(256), 'too long'],
])('a key that is %#: %s is refused before anything is done', async (key) => {
  expect(await paint({ key })).toMatchObject({ ok: false, problems: [{ code: 'INVALID_INPUT' }] });
  expect(effects).toBe(0);
});

describe('at the same moment', () => {
  test('many requests with one key have one effect and all get its result', async () => {
    const outcomes = await Promise.all(Array.from({ length: 10 }, async () => paint()));
    expect(outcomes).toEqual(Array.from({ length: 10 }, () => ({ ok: true, value: { effect: 1 } })));
    expect(effects).toBe(1);
  });

  test('two requests with one key and different input: one is done, the other refused', async () => {
    const outcomes = await Promise.all([paint({ input: 'a' }), paint({ input: 'b' })]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(outcomes.find(({ ok }) => !ok)).toMatchObject(reused);
    expect(effects).toBe(1);
  });

  test('a request whose first one goes on for too long is told so, and may ask again', async () => {
    const gate = createGate();
    const started = createGate();
    const slow = once(open.pool, caller, request(), async () => {
      started.open();
      await gate.opened;
      return done({ effect: 7 });
    });
    await started.opened;
    expect(await paint()).toMatchObject({ ok: false, problems: [{ code: 'IN_PROGRESS' }] });
    gate.open();
    expect(await slow).toEqual({ ok: true, value: { effect: 7 } });
    expect(await paint()).toEqual({ ok: true, value: { effect: 7 } });
    expect(effects).toBe(0);
  });

  test('a request whose own work has to wait for too long is told that, and nothing of a first one', async () => {
    const item = await fixtures.insertItem(open.pool, caller.accountId);
    const busy = await open.pool.connect();
    const lock = 'SELECT FROM inventory_items WHERE id = $1 FOR UPDATE';
    const change = () =>
      once(open.pool, caller, request(), async (client) => {
        await client.query(lock, [item.id]);
        return done({ effect: 1 });
      });
    try {
      await busy.query('BEGIN');
      await busy.query(lock, [item.id]);
      const message =
        'Another change holds what this request needs. Nothing was changed: send the same request again.';
      expect(await change()).toMatchObject({ ok: false, problems: [{ code: 'IN_PROGRESS', message }] });
    } finally {
      await busy.query('ROLLBACK');
      busy.release();
    }
    expect(await change()).toEqual({ ok: true, value: { effect: 1 } });
  });

  test('a request that waited for one that was refused is carried out itself', async () => {
    const gate = createGate();
    const started = createGate();
    const first = once(open.pool, caller, request(), async () => {
      started.open();
      await gate.opened;
      return refused(refusal);
    });
    await started.opened;
    const second = paint();
    await fixtures.waitForBlocked(open.pool, 1);
    gate.open();
    expect(await first).toEqual({ ok: false, problems: [refusal] });
    expect(await second).toEqual({ ok: true, value: { effect: 1 } });
  });
});

async function aliases(): Promise<number> {
  const { rows } = await open.pool.query('SELECT 1 FROM sku_aliases WHERE account_id = $1', [
    caller.accountId,
  ]);
  return rows.length;
}

async function work(outcome: () => Outcome<string>): Promise<Outcome<string>> {
  const item = await fixtures.insertItem(open.pool, caller.accountId);
  return once(open.pool, caller, request(), async (client) => {
    await client.query('INSERT INTO sku_aliases (account_id, sku, item_id) VALUES ($1, $2, $3)', [
      caller.accountId,
      'alias',
      item.id,
    ]);
    return outcome();
  });
}

const bug = (): never => {
  throw new TypeError('a bug');
};

describe('a request that came to nothing', () => {
  test('by refusal leaves no trace and frees its key, also for other input', async () => {
    expect(await work(() => refused(refusal))).toEqual({ ok: false, problems: [refusal] });
    expect(await aliases()).toBe(0);
    expect(await paint({ input: { colour: 'blue' } })).toEqual({ ok: true, value: { effect: 1 } });
  });

  test('by an error leaves no trace and frees its key, and the error is not hidden', async () => {
    await expect(work(bug)).rejects.toThrow('a bug');
    expect(await aliases()).toBe(0);
    expect(await paint()).toMatchObject({ ok: true });
  });
});
