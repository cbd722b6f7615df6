/** What many subscribers ask alike is worked out once, and never shared between different rights. */
import type { ExecutionResult } from 'graphql';
import { Kind, parse } from 'graphql';
import { expect, test } from 'vitest';
import { createShare, questionOf } from '../../src/schema/sharedExecution.ts';
import { type Api, openApi, sessionOf } from './apiFixture.ts';
import { stockPayload } from './fakeSync.ts';
import { stockEvents } from './operations.ts';
import { insertItem } from './rows.ts';

test('100 subscribers that ask the same of an event cost one execution', async () => {
  await using api = await openApi();
  const item = await insertItem(api.database.pool, api.shop, 'a');
  // Each began somewhere else, which decides what it gets but not what the answer is.
  const streams = await Promise.all(
    Array.from({ length: 100 }, (_, index) => api.open(stockEvents, index % 2 === 0 ? {} : { after: '0' })),
  );
  await Promise.all(streams.map((stream) => stream.next()));
  const before = api.statements.length;
  publish(api, item);
  const results = await Promise.all(streams.map((stream) => stream.next()));
  expect(new Set(results.map(({ value }) => value as ExecutionResult)).size).toBe(1);
  expect(JSON.stringify(results[0])).toContain('Title of a');
  // Reading the item is what an execution costs here.
  expect(api.statements.length - before).toBe(1);
  await Promise.all(streams.map((stream) => stream.return()));
});

test('subscribers with other rights never share a result', async () => {
  await using api = await openApi();
  const item = await insertItem(api.database.pool, api.shop, 'a');
  const sessions = [
    api.session,
    sessionOf(api.shop, ['stock:read']),
    sessionOf(api.shop, ['stock:read', 'orders:read']),
  ];
  const streams = await Promise.all(sessions.map((session) => api.open(stockEvents, {}, { session })));
  await Promise.all(streams.map((stream) => stream.next()));
  publish(api, item);
  const results = await Promise.all(streams.map((stream) => stream.next()));
  expect(new Set(results.map(({ value }) => value)).size).toBe(3);
  await Promise.all(streams.map((stream) => stream.return()));
});

test('an answer lives as long as its event, and a later event is asked anew', async () => {
  const share = createShare();
  let executions = 0;
  const execute = async () => {
    executions += 1;
    return { data: { executions } };
  };
  const [one, two] = [{}, {}];
  expect(await share(one, 'q', execute)).toBe(await share(one, 'q', execute));
  expect(await share(two, 'q', execute)).not.toBe(await share(one, 'q', execute));
  expect(await share(one, 'other', execute)).not.toBe(await share(one, 'q', execute));
  expect(executions).toBe(3);
});

test('arguments of the subscription field do not tell questions apart, variables below it do', () => {
  const text = `subscription S($after: Cursor, $n: Int!) { stockEvents(after: $after) { ... on StockEvent { item { listings(first: $n) { nodes { id } } } } } }`;
  const question = ask(text);
  expect(question({ after: '1', n: 2 }, 'a', ['x', 'y'])).toBe(
    question({ after: '9', n: 2 }, 'a', ['y', 'x']),
  );
  expect(question({ after: '1', n: 2 }, 'a', [])).not.toBe(question({ after: '1', n: 3 }, 'a', []));
  expect(question({ n: 2 }, 'a', [])).not.toBe(question({ n: 2 }, 'b', []));
  expect(question({ n: 2 }, 'a', [])).not.toBe(ask(text.replace('{ id }', '{ sku }'))({ n: 2 }, 'a', []));
});

function ask(text: string) {
  const document = parse(text);
  const [operation] = document.definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('no operation');
  return questionOf(document, operation);
}

function publish(api: Api, item: string): void {
  api.sync.publish({
    accountId: api.shop.accountId,
    topic: 'stock',
    subjectId: item,
    payload: stockPayload(item, 7),
  });
}
