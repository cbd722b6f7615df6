/** The HTTP client keeps to the turn of a call: what has to leave soon leaves in time or not at all, and what it takes has ended a deadline later. */
import { expect, test } from 'vitest';
import { createClient, failureOf, get, inTurn } from './httpCalls.ts';
import { startLocalChannel } from './localChannel.ts';

test('whoever is to leave soon does not wait longer than that: nothing is sent, and it is said when to come back', async () => {
  await using channel = await startLocalChannel(() => ({ json: 1 }));
  const { client, slept } = createClient();
  const budget = { key: 'soon', perSecond: 0.5, burst: 1 };
  const leaveBy = Date.parse('2026-11-22T08:00:01Z');
  await client.send(get(channel.url, { budget }));
  const late = client.send(get(channel.url, { budget, turn: { urgency: 'lower', leaveBy } }));
  expect(await failureOf(late)).toMatchObject({
    code: 'rate_limited',
    maybeApplied: false,
    retryAfterMs: 2_000,
  });
  expect(slept).toEqual([]);
  expect(channel.requests).toHaveLength(1);
});

test('nor does it wait for another attempt', async () => {
  await using channel = await startLocalChannel(
    inTurn({ status: 429, headers: { 'retry-after': '3' } }, { json: 1 }),
  );
  const { client } = createClient();
  const leaveBy = Date.parse('2026-11-22T08:00:02Z');
  const late = client.send(get(channel.url, { turn: { urgency: 'lower', leaveBy } }));
  expect(await failureOf(late)).toMatchObject({ code: 'rate_limited', retryAfterMs: 3_000 });
  expect(channel.requests).toHaveLength(1);
});

test('what needs no wait leaves also when it is late: a slow reading before it may not keep it for ever', async () => {
  await using channel = await startLocalChannel(() => ({ json: 1 }));
  const budget = { key: 'free', perSecond: 1, burst: 1 };
  const turn = { urgency: 'raise', leaveBy: Date.parse('2026-11-22T08:00:00Z') - 20_000 } as const;
  await createClient().client.send(get(channel.url, { budget, turn }));
  expect(channel.requests).toHaveLength(1);
});

test('but never a deadline after it was to leave, or it could land when nobody reckons with it any more: nothing is sent', async () => {
  await using channel = await startLocalChannel(() => ({ json: 1 }));
  const turn = { urgency: 'raise', leaveBy: Date.parse('2026-11-22T08:00:00Z') - 30_000 } as const;
  expect(await failureOf(createClient().client.send(get(channel.url, { turn })))).toMatchObject({
    code: 'rate_limited',
    maybeApplied: false,
    retryAfterMs: 0,
  });
  expect(channel.requests).toHaveLength(0);
});

test('what is sent once does not leave for the last second of it: it would only end as not known', async () => {
  await using channel = await startLocalChannel(() => ({ json: 1 }));
  const { client } = createClient();
  const put = (leftMs: number) => {
    const turn = {
      urgency: 'raise',
      leaveBy: Date.parse('2026-11-22T08:00:00Z') - 30_000 + leftMs,
    } as const;
    return client.send(get(channel.url, { method: 'PUT', retry: 'never', turn }));
  };
  expect(await failureOf(put(999))).toMatchObject({ code: 'rate_limited', maybeApplied: false });
  expect(channel.requests).toHaveLength(0);
  await put(10_000);
  expect(channel.requests).toHaveLength(1);
});

test('a retry that comes too late after all tells what went wrong before it', async () => {
  await using channel = await startLocalChannel(() => ({ status: 503 }));
  let at = 0;
  const { client } = createClient({
    now: () => at,
    sleep: async () => {
      at += 60_000;
    },
  });
  expect(await failureOf(client.send(get(channel.url, { retry: 'safe' })))).toMatchObject({
    code: 'unavailable',
    status: 503,
  });
  expect(channel.requests).toHaveLength(1);
});

test('what leaves late has only what is left of that deadline', async () => {
  await using channel = await startLocalChannel(() => 'silent');
  const turn = { urgency: 'raise', leaveBy: Date.parse('2026-11-22T08:00:00Z') - 28_900 } as const;
  const { client } = createClient({ attemptTimeoutMs: 60_000 });
  const write = client.send(get(channel.url, { method: 'PUT', retry: 'never', turn }));
  expect(await failureOf(write)).toMatchObject({ code: 'timeout', maybeApplied: true });
});
