/** Proves that the statement that sorts work sees the same number as the code that decides what is written, for every rule of every level. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { automaticBuffer, type TargetRule, targetOf } from '../../src/sync/core/targets.ts';
import type { StoredRule } from '../../src/sync/targets.ts';
import * as fixtures from '../support/fixtures.ts';

let open: fixtures.TestPool;

beforeAll(async () => {
  open = await fixtures.openTestPool(1);
});
afterAll(() => open[Symbol.asyncDispose]());

const units = fc.integer({ min: 0, max: 30 });
const rules = fc.record(
  {
    buffer: units,
    cutOff: units,
    quantityMax: units,
    quantityMin: units,
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    fixed: units,
    paused: fc.boolean(),
    automaticBuffer: fc.constantFrom(0.5, 0.1, 0.01, 0.0001),
  },
  { requiredKeys: [] },
);
const cases = fc.record({
  sellable: fc.integer({ min: -20, max: 60 }),
  mean: fc.oneof(
    fc.constant(0),
    fc.double({ min: 0, max: 20, noNaN: true }),
    fc.constantFrom(499, 501, 5_000),
  ),
  rule: rules,
});

type Case = { readonly sellable: number; readonly mean: number; readonly rule: StoredRule };

function decided({ sellable, mean, rule }: Case): number {
  const { automaticBuffer: epsilon, ...listing } = rule;
  const input = {
    available: sellable,
    holds: 0,
    conflictDelta: 0,
    rules: { listing: listing as TargetRule },
  };
  const automatic = epsilon === undefined ? {} : { automaticBuffer: automaticBuffer(mean, 1, epsilon) };
  return targetOf({ ...input, ...automatic, channelMax: 1_000_000 }).target;
}

test('a merged rule gives the same number in the database as where the number is decided', async () => {
  const sampled = fc.sample(cases, 3_000);
  const { rows } = await open.pool.query<{ target: number }>(
    `SELECT rule_target((given->>'sellable')::int, (given->>'mean')::float8, given->'rule') AS target
       FROM jsonb_array_elements($1) WITH ORDINALITY AS sampled (given, position) ORDER BY position`,
    [JSON.stringify(sampled)],
  );
  expect(rows.map(({ target }) => target)).toEqual(sampled.map(decided));
});
