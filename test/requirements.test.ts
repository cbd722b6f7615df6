/** Proves that suites are left out only where a program is missing and cannot be installed. */
import { expect, test } from 'vitest';
import { decide, explainLeftOut, requirements } from './support/requirements.ts';

const files = ['test/ledger.test.ts', 'test/bus.redis.test.ts'];
const names = (list: readonly { readonly name: string }[]): string[] => list.map(({ name }) => name);

test('nothing is installed or left out where everything is there', () => {
  expect(decide(files, { has: () => true, mayInstall: true })).toEqual({ install: [], leaveOut: [] });
});

test('what is missing is installed where that is allowed, and only for suites that exist', () => {
  const decision = decide(files, { has: () => false, mayInstall: true });

  expect(names(decision.install)).toEqual(['Redis']);
  expect(decision.leaveOut).toEqual([]);
});

test('what is missing and may not be installed leaves its suites out by name', () => {
  const decision = decide([...files, 'test/flow/dashboard.browser.test.ts'], {
    has: () => false,
    mayInstall: false,
  });

  expect(decision.install).toEqual([]);
  expect(names(decision.leaveOut)).toEqual(['Redis', 'Chromium']);
  expect(decision.leaveOut.map(explainLeftOut).join('\n')).toContain('apt-get install chromium');
});

test.each(requirements.flatMap(({ name, commands }) => commands.map((command) => ({ name, command }))))(
  '$command is enough for $name',
  ({ name, command }) => {
    const all = requirements.map(({ suites }) => `test/any${suites}`);
    const decision = decide(all, { has: (candidate) => candidate === command, mayInstall: false });

    expect(names(decision.leaveOut)).toEqual(names(requirements).filter((other) => other !== name));
  },
);
