/** Proves that a mailbox stays bounded, keeps the order of the log, and says so when it had to let go. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMailbox, type Mailbox } from '../../src/sync/eventMailbox.ts';
import type { LogEvent } from '../../src/sync/eventStream.ts';
import { noon } from '../support/fixtures.ts';

function event(subject: number, n: number): LogEvent {
  const subjectId = `subject ${subject}`;
  return {
    topic: 'stock',
    accountId: 'a',
    subjectId,
    itemSeq: n,
    payload: { n },
    createdAt: noon,
    xid: 1n,
    cursor: `${n}`,
  };
}

function takeAll(mailbox: Mailbox): LogEvent[] {
  const taken: LogEvent[] = [];
  for (let next = mailbox.take(); next !== undefined; next = mailbox.take()) taken.push(next);
  return taken;
}

/** What happens to a mailbox: an event of a subject comes in, or one is taken out. */
const happenings = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.nat({ max: 5 }) },
    { weight: 1, arbitrary: fc.constant('take' as const) },
  ),
  {
    maxLength: 60,
  },
);

test('EVERY keeps each event in order until the bound, then lets go of all and says so until it is reset', () => {
  fc.assert(
    fc.property(happenings, fc.integer({ min: 1, max: 12 }), (list, max) => {
      const mailbox = createMailbox({ delivery: 'EVERY', accepts: () => true }, max);
      const model: LogEvent[] = [];
      let behind = false;
      const steps = list.map((happening, n) => {
        if (happening === 'take') return [mailbox.take(), model.shift()];
        mailbox.offer(event(happening, n));
        if (!behind) model.push(event(happening, n));
        behind ||= model.length > max;
        if (behind) model.length = 0;
        return [mailbox.isBehind(), behind];
      });
      expect(steps.map(([was]) => was)).toEqual(steps.map(([, expected]) => expected));
      expect(takeAll(mailbox)).toEqual(model);
      mailbox.reset();
      mailbox.offer(event(1, 1));
      expect([mailbox.isBehind(), mailbox.take()]).toEqual([false, event(1, 1)]);
    }),
  );
});

test('LATEST keeps the newest event of each subject, in the order of the log, and counts subjects', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 5 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 8 }),
      (subjects, max) => {
        const mailbox = createMailbox({ delivery: 'LATEST', accepts: () => true }, max);
        for (const [n, subject] of subjects.entries()) mailbox.offer(event(subject, n));
        const fits = new Set(subjects).size <= max;
        expect(mailbox.isBehind()).toBe(!fits);
        const newest = subjects
          .map((subject, n) => [subject, n] as const)
          .filter(([subject, n]) => subjects.lastIndexOf(subject) === n);
        expect(takeAll(mailbox)).toEqual(fits ? newest.map(([subject, n]) => event(subject, n)) : []);
      },
    ),
  );
});

test('a thousand events of one subject fit a LATEST mailbox of one', () => {
  const mailbox = createMailbox({ delivery: 'LATEST', accepts: () => true }, 1);
  for (let n = 0; n < 1_000; n += 1) mailbox.offer(event(1, n));
  expect(mailbox.isBehind()).toBe(false);
  expect(takeAll(mailbox).map(({ itemSeq }) => itemSeq)).toEqual([999]);
});

test('news is told for every event that was accepted and once for falling behind', () => {
  const mailbox = createMailbox({ delivery: 'EVERY', accepts: ({ itemSeq }) => itemSeq !== 1 }, 2);
  let news = 0;
  mailbox.onNews = () => (news += 1);
  for (let n = 0; n < 5; n += 1) mailbox.offer(event(n, n));
  expect(mailbox.isBehind()).toBe(true);
  expect(news).toBe(3);
});
