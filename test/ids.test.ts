/** Proves that the ids the database makes are of version 7 and sort as they were made, also within a millisecond. */
import { expect, test } from 'vitest';
import { openTestPool } from './support/fixtures.ts';

test('ids carry the time at which they were made and sort by it, also those of one millisecond', async () => {
  await using open = await openTestPool(1);
  const rows: { id: string; before: number; after: number }[] = [];
  for (let made = 0; made < 200; made++) {
    const { rows: one } = await open.pool.query(
      `SELECT extract(epoch FROM before)::float8 * 1000 AS before, id, extract(epoch FROM clock_timestamp())::float8 * 1000 AS after
       FROM (SELECT clock_timestamp() AS before, uuid_v7() AS id OFFSET 0) made`,
    );
    rows.push(...one);
  }
  for (const { id, before, after } of rows) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const hex = id.replaceAll('-', '');
    const made = Number.parseInt(hex.slice(0, 12), 16) + Number.parseInt(hex.slice(13, 16), 16) / 4096;
    expect(made).toBeGreaterThan(before - 0.001);
    expect(made).toBeLessThan(after + 0.001);
  }
  const ids = rows.map(({ id }) => id);
  expect(ids).toEqual(ids.toSorted());
});
