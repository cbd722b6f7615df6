/** The HTTP client: deadlines, retries, budgets, and no secret in any log or error. */
import { describe, expect, test } from 'vitest';
import { createMemoryRateBudget, type RateBudget } from '../../src/connectors/rateBudget.ts';
import { redactHeaders, redactText, redactUrl } from '../../src/connectors/redaction.ts';
import { freePort } from '../support/network.ts';
import { createClient, failureOf, get, inTurn } from './httpCalls.ts';
import { startLocalChannel } from './localChannel.ts';

describe('what is an answer', () => {
  test.each([200, 204, 302, 400, 401, 404, 499])('%i is an answer and is not tried again', async (status) => {
    await using channel = await startLocalChannel(() => ({
      status,
      headers: { location: 'http://127.0.0.1:1/' },
    }));
    const { client } = createClient();
    expect((await client.send(get(channel.url))).status).toBe(status);
    expect(channel.requests).toHaveLength(1);
  });

  test('is told with its time by the channel’s clock and by ours, whatever it says', async () => {
    const date = 'Sun, 22 Nov 2026 08:00:07 GMT';
    await using channel = await startLocalChannel(
      inTurn({ status: 503, headers: { date } }, { headers: { date, age: '3' } }),
    );
    const told: unknown[] = [];
    const at = Date.parse('2026-11-22T08:00:00Z');
    await createClient({ onAnswer: (answer) => told.push(answer) }).client.send(get(channel.url));
    expect(told).toMatchObject([
      { date, age: null, from: at, until: at },
      { date, age: '3' },
    ]);
  });

  test('sends method, headers and body as given, with a user agent', async () => {
    await using channel = await startLocalChannel(() => ({ json: { ok: true } }));
    const { client } = createClient({ userAgent: 'tester/1' });
    const response = await client.send({
      ...get(`${channel.url}/path?x=1`),
      method: 'POST',
      headers: { 'x-custom': 'yes' },
      body: '{"größe":1}',
    });
    expect(response.text).toBe('{"ok":true}');
    const [request] = channel.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/path', body: '{"größe":1}' });
    expect(request?.headers).toMatchObject({ 'x-custom': 'yes', 'user-agent': 'tester/1' });
  });

  test('an answer larger than the limit is refused', async () => {
    await using channel = await startLocalChannel(() => ({ text: 'x'.repeat(5_000) }));
    const { client } = createClient({ responseBytesMax: 4_999 });
    expect(await failureOf(client.send(get(channel.url)))).toMatchObject({ code: 'invalid_response' });
    expect((await createClient({ responseBytesMax: 5_000 }).client.send(get(channel.url))).text).toHaveLength(
      5_000,
    );
  });

  test('a URL that is not http(s) is a wrong setting', async () => {
    const { client } = createClient();
    expect(await failureOf(client.send(get('file:///etc/passwd')))).toMatchObject({ code: 'misconfigured' });
    expect(await failureOf(client.send(get('nonsense')))).toMatchObject({ code: 'misconfigured' });
  });
});

describe('retries', () => {
  test('a safe request is tried again after 5xx, with a random delay that doubles', async () => {
    await using channel = await startLocalChannel(
      inTurn({ status: 500 }, { status: 503 }, { status: 502 }, { json: 1 }),
    );
    const { client, slept } = createClient({ backoffBaseMs: 100, backoffMaxMs: 300 });
    expect((await client.send(get(channel.url))).text).toBe('1');
    expect(slept).toEqual([50, 100, 150]);
  });

  test('gives up after the last retry and says what the channel said', async () => {
    await using channel = await startLocalChannel(() => ({ status: 503, text: 'down' }));
    const { client } = createClient({ retriesMax: 2 });
    const error = await failureOf(client.send(get(channel.url)));
    expect(error).toMatchObject({ code: 'unavailable', status: 503, raw: 'down', maybeApplied: false });
    expect(channel.requests).toHaveLength(3);
  });

  test('a request that must not be repeated is sent once, and a 5xx leaves its effect open', async () => {
    await using channel = await startLocalChannel(() => ({ status: 500 }));
    const { client } = createClient();
    const error = await failureOf(client.send(get(channel.url, { method: 'POST', retry: 'never' })));
    expect(error).toMatchObject({ code: 'unavailable', maybeApplied: true });
    expect(channel.requests).toHaveLength(1);
  });

  test('a lost answer is a network error that may have been applied, and is not repeated', async () => {
    await using channel = await startLocalChannel(() => 'lost');
    const { client } = createClient();
    const error = await failureOf(client.send(get(channel.url, { method: 'POST', retry: 'never' })));
    expect(error).toMatchObject({ code: 'network', maybeApplied: true });
    expect(channel.requests).toHaveLength(1);
  });

  test('no answer in time is a timeout that may have been applied', async () => {
    await using channel = await startLocalChannel(() => 'silent');
    const { client } = createClient({ attemptTimeoutMs: 50 });
    const error = await failureOf(client.send(get(channel.url, { method: 'PUT', retry: 'never' })));
    expect(error).toMatchObject({ code: 'timeout', maybeApplied: true });
    expect(channel.requests).toHaveLength(1);
  });

  test('429 is certainly not applied, so even a request that must not be repeated is sent again', async () => {
    await using channel = await startLocalChannel(inTurn({ status: 429 }, { json: 1 }));
    const { client } = createClient();
    expect((await client.send(get(channel.url, { method: 'POST', retry: 'never' }))).status).toBe(200);
  });

  test('a refused connection is certainly unsent: it is tried again and never counts as applied', async () => {
    const port = await freePort();
    const { client, slept } = createClient({ retriesMax: 2 });
    const request = get(`http://127.0.0.1:${port}/`, { method: 'POST', retry: 'never' });
    expect(await failureOf(client.send(request))).toMatchObject({ code: 'network', maybeApplied: false });
    expect(slept).toHaveLength(2);
  });

  test('a doubt stays a doubt: a lost answer followed by a clean 429 may still have been applied', async () => {
    await using channel = await startLocalChannel(
      inTurn('lost', { status: 429, headers: { 'retry-after': '900' } }),
    );
    const { client } = createClient();
    const error = await failureOf(client.send(get(channel.url, { method: 'PUT' })));
    expect(error).toMatchObject({ code: 'rate_limited', maybeApplied: true, retryAfterMs: 900_000 });
  });
});

describe('waiting', () => {
  test.each([
    ['seconds', '3', 3_000],
    ['seconds with a fraction', '2.5', 2_500],
    ['an HTTP date', 'Sun, 22 Nov 2026 08:00:07 GMT', 7_000],
  ])('keeps to Retry-After given as %s', async (_form, value, milliseconds) => {
    await using channel = await startLocalChannel(
      inTurn({ status: 429, headers: { 'retry-after': value } }, { json: 1 }),
    );
    const { client, slept } = createClient();
    await client.send(get(channel.url));
    expect(slept).toEqual([milliseconds]);
  });

  test('gives up at once when the wait would pass the deadline, and says when to come back', async () => {
    await using channel = await startLocalChannel(() => ({ status: 429, headers: { 'retry-after': '60' } }));
    const { client, slept } = createClient();
    const error = await failureOf(client.send(get(channel.url, { deadlineMs: 10_000 })));
    expect(error).toMatchObject({ code: 'rate_limited', retryAfterMs: 60_000, maybeApplied: false });
    expect(slept).toEqual([]);
  });

  test('a 429 closes the budget for other requests of the same key', async () => {
    await using channel = await startLocalChannel(
      inTurn({ status: 429, headers: { 'retry-after': '4' } }, { json: 1 }),
    );
    let at = 0;
    const budget = createMemoryRateBudget({ now: () => at });
    const limit = { key: 'shared', perSecond: 100, burst: 100 };
    const first = createClient({
      budget,
      now: () => at,
      sleep: async (milliseconds) => {
        expect(await budget.take({ ...limit, urgency: 'lower' })).toBe(4_000);
        at += milliseconds;
      },
    });
    expect((await first.client.send(get(channel.url, { budget: limit }))).status).toBe(200);
  });

  test('waits for a spent budget before sending', async () => {
    await using channel = await startLocalChannel(() => ({ json: 1 }));
    const { client, slept } = createClient();
    const budget = { key: 'slow', perSecond: 2, burst: 1 };
    await client.send(get(channel.url, { budget }));
    await client.send(get(channel.url, { budget }));
    expect(slept).toEqual([500]);
  });

  test('does not wait for a budget beyond the deadline: nothing is sent', async () => {
    await using channel = await startLocalChannel(() => ({ json: 1 }));
    const { client } = createClient();
    const budget = { key: 'very slow', perSecond: 0.0056, burst: 1 };
    await client.send(get(channel.url, { budget }));
    const error = await failureOf(client.send(get(channel.url, { budget })));
    expect(error).toMatchObject({ code: 'rate_limited', maybeApplied: false });
    expect(error.retryAfterMs).toBeGreaterThan(178_000);
    expect(channel.requests).toHaveLength(1);
  });

  test('asks the budget as urgently as it is told, and like a reading when it is told nothing', async () => {
    await using channel = await startLocalChannel(() => ({ json: 1 }));
    const asked: string[] = [];
    const take: RateBudget['take'] = async ({ urgency }) => {
      asked.push(urgency);
      return 0;
    };
    const { client } = createClient({ budget: { take, penalise: async () => undefined } });
    const budget = { key: 'any', perSecond: 1, burst: 1 };
    await client.send(get(channel.url, { budget, turn: { urgency: 'import' } }));
    await client.send(get(channel.url, { budget }));
    expect(asked).toEqual(['import', 'read']);
  });

  test('an empty GraphQL cost bucket is waited for like a 429, although its status is 200', async () => {
    const throttled = {
      errors: [{ message: 'Throttled', extensions: { code: 'THROTTLED' } }],
      extensions: {
        cost: { requestedQueryCost: 752, throttleStatus: { currentlyAvailable: 52, restoreRate: 100 } },
      },
    };
    await using channel = await startLocalChannel(inTurn({ json: throttled }, { json: { data: {} } }));
    const { client, slept } = createClient();
    const response = await client.send(get(channel.url, { method: 'POST', retry: 'never' }));
    expect(response.text).toBe('{"data":{}}');
    expect(slept).toEqual([7_000]);
  });

  test('the word THROTTLED in an ordinary answer means nothing', async () => {
    await using channel = await startLocalChannel(() => ({ json: { data: { title: 'THROTTLED' } } }));
    expect((await createClient().client.send(get(channel.url))).status).toBe(200);
  });

  test('shutdown ends a running request and a waiting one', async () => {
    const stop = new AbortController();
    await using channel = await startLocalChannel(() => {
      stop.abort();
      return 'silent';
    });
    const { client } = createClient({ signal: stop.signal });
    expect(await failureOf(client.send(get(channel.url)))).toMatchObject({ code: 'network' });
    expect(channel.requests).toHaveLength(1);
  });
});

describe('secrets', () => {
  const secrets = ['Atza|SECRET', 'shpat_SECRET', 'client-SECRET', 'code-SECRET', 'refresh-SECRET'];
  const leaky =
    '{"access_token":"Atza|SECRET","refresh_token":"refresh-SECRET","client_id":"a","client_secret":"client-SECRET","code":"code-SECRET"}';

  test('no log line and no error holds a token, wherever it stood', async () => {
    await using channel = await startLocalChannel(() => ({ status: 500, text: leaky }));
    const { client, logs } = createClient({ retriesMax: 1 });
    const error = await failureOf(
      client.send({
        ...get(`${channel.url}/cb?code=code-SECRET&access_token=shpat_SECRET&shop=x`),
        method: 'POST',
        headers: { 'x-shopify-access-token': 'shpat_SECRET', authorization: 'Bearer Atza|SECRET' },
        body: 'grant_type=refresh_token&refresh_token=refresh-SECRET&client_secret=client-SECRET',
      }),
    );
    const everything = JSON.stringify([logs, error.message, error.raw, String(error.cause)]);
    expect(logs).toHaveLength(2);
    for (const secret of secrets) expect(everything).not.toContain(secret);
    expect(everything).toContain('shop=x');
  });

  test('log lines say operation, status, attempt and duration', async () => {
    await using channel = await startLocalChannel(inTurn({ status: 500 }, { json: 1 }));
    const { client, logs } = createClient();
    await client.send(get(channel.url));
    expect(logs.map((entry) => entry.fields)).toMatchObject([
      { operation: 'test.get', status: 500, attempt: 1, durationMs: 0 },
      { operation: 'test.get', status: 200, attempt: 2, durationMs: 0 },
    ]);
  });

  test('hides members, query values, headers and tokens that stand alone', () => {
    for (const secret of secrets) expect(redactText(leaky)).not.toContain(secret);
    expect(redactUrl('https://user:pass@host/x?refresh_token=abc&a=1')).toBe(
      'https://[redacted]@host/x?refresh_token=[redacted]&a=1',
    );
    expect(redactUrl('https://store/x?X-Amz-Expires=300&X-Amz-Signature=abc')).toBe(
      'https://store/x?X-Amz-Expires=300&X-Amz-Signature=[redacted]',
    );
    expect(redactHeaders({ 'X-Api-Key': 'k:s', 'X-Amz-Access-Token': 'Atza|x', Accept: 'a/b' })).toEqual({
      'x-api-key': '[redacted]',
      'x-amz-access-token': '[redacted]',
      accept: 'a/b',
    });
    expect(redactText('failed for shpat_0123456789 with Bearer abcdefgh12345')).toBe(
      'failed for [redacted] with [redacted]',
    );
  });

  test('keeps an error code, which people need, and shortens long text', () => {
    expect(redactText('{"errors":[{"code":"QuotaExceeded"}]}')).toContain('QuotaExceeded');
    expect(redactText('y'.repeat(9_000))).toHaveLength(2_001);
  });

  test('a secret cut off at the end of the text is hidden too', () => {
    expect(redactText(`{"access_token":"abcdefghij`, 30)).not.toContain('abc');
  });
});
