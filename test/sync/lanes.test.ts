/** Proves that lanes take what there is, never more of one subject than it may have, and end cleanly. */
import { expect, test } from 'vitest';
import { createLanes, type LanesOptions } from '../../src/sync/lanes.ts';
import { createGate, waitFor } from '../support/waiting.ts';

type Work = { readonly subject: string; readonly n: number };

/** Work by subject, handed out as a claim would: at most `share` of each under way. */
function createWork(counts: Readonly<Record<string, number>>, share: number) {
  const waiting = Object.entries(counts).flatMap(([subject, count]) =>
    Array.from({ length: count }, (_, n): Work => ({ subject, n })),
  );
  const done: string[] = [];
  const silence = createGate();
  let claims = 0;
  let claimsAtOnce = 0;
  const options: LanesOptions<Work> = {
    max: 10,
    subjectOf: ({ subject }) => subject,
    async claim(limit, underWay) {
      claims += 1;
      claimsAtOnce += 1;
      expect(claimsAtOnce).toBe(1);
      await Promise.resolve();
      claimsAtOnce -= 1;
      const taken: Work[] = [];
      const held = new Map(underWay);
      for (const work of waiting.slice()) {
        if (taken.length === limit || (held.get(work.subject) ?? 0) >= share) continue;
        held.set(work.subject, (held.get(work.subject) ?? 0) + 1);
        taken.push(work);
        waiting.splice(waiting.indexOf(work), 1);
      }
      return taken;
    },
    async carryOut({ subject }) {
      if (subject === 'silent') await silence.opened;
      done.push(subject);
    },
    onError: (error) => {
      throw error;
    },
  };
  return { options, waiting, done, silence, claims: () => claims };
}

test('a subject that holds up its work does not hold up the others, however much of it waits', async () => {
  const work = createWork({ silent: 50, quick: 20 }, 3);
  const lanes = createLanes(work.options);
  await lanes.look();
  await waitFor(() => work.done.length === 20);
  expect(work.done.every((subject) => subject === 'quick')).toBe(true);
  expect(work.waiting).toHaveLength(47);

  work.waiting.push({ subject: 'quick', n: 20 });
  await lanes.look();
  await waitFor(() => work.done.length === 21);
  work.silence.open();
  await lanes.idle();
  expect(work.done).toHaveLength(71);
  expect(work.waiting).toEqual([]);
});

test('a look that comes while another is under way is made up for', async () => {
  const work = createWork({ quick: 1 }, 1);
  const lanes = createLanes(work.options);
  const first = lanes.look();
  work.waiting.push({ subject: 'other', n: 0 });
  await Promise.all([first, lanes.look()]);
  await lanes.idle();
  expect(work.done.toSorted()).toEqual(['other', 'quick']);
});

test('nothing more is taken after the end, and what is under way is waited for', async () => {
  const ending = new AbortController();
  const work = createWork({ silent: 2 }, 1);
  const lanes = createLanes({ ...work.options, signal: ending.signal });
  await lanes.look();
  ending.abort();
  work.silence.open();
  await lanes.idle();
  expect(work.done).toEqual(['silent']);
  expect(work.waiting).toHaveLength(1);
});

test('work that fails is told and makes room', async () => {
  const errors: unknown[] = [];
  const work = createWork({ bad: 3 }, 1);
  const lanes = createLanes({
    ...work.options,
    carryOut: () => Promise.reject(new Error('no')),
    onError: (error) => void errors.push(error),
  });
  await lanes.look();
  await waitFor(() => errors.length === 3);
  await lanes.idle();
  expect(work.waiting).toEqual([]);
});
