/** Proves that a log line is whole JSON, carries its correlation and never a secret. */
import { expect, test } from 'vitest';
import { createLog, withCorrelation } from '../src/log.ts';

function recorder(readable = false) {
  const lines: string[] = [];
  const log = createLog({
    level: 'debug',
    readable,
    destination: { write: (line: string) => lines.push(line) },
  });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown> };
}

test('a line is one JSON object with level, time and message', () => {
  const { log, lines, last } = recorder();
  log.info({ units: 3 }, 'sold');

  expect(lines).toHaveLength(1);
  expect(last()).toMatchObject({
    level: 'info',
    msg: 'sold',
    units: 3,
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  });
});

test('lines below the level are not written', () => {
  const { log, lines } = recorder();
  log.trace('detail');

  expect(lines).toEqual([]);
});

test('every line of a correlated log carries its ids', () => {
  const { log, last } = recorder();
  withCorrelation(log, { orderId: 'o1', writeId: 'w1' }).warn('late');

  expect(last()).toMatchObject({ orderId: 'o1', writeId: 'w1', msg: 'late' });
});

test.each([
  { password: 'hunter2' },
  { connection: { accessToken: 'hunter2', refresh_token: 'hunter2' } },
  {
    headers: {
      authorization: 'hunter2',
      cookie: 'hunter2',
      'x-api-key': 'hunter2',
      'X-Shopify-Access-Token': 'hunter2',
    },
  },
  { list: [{ clientSecret: 'hunter2' }] },
  { apiKey: 'hunter2', 'quoted"token': 'hun"hunter2' },
  { url: 'postgresql://user:hunter2@db.example/stock' },
  { url: 'redis://:hunter2@cache.example' },
  { target: 'https://api.example/oauth?code=hunter2&state=1' },
  { note: 'sent Authorization: Bearer hunter2hunter2' },
  { err: new Error('cannot reach postgresql://user:hunter2@db.example') },
  { err: Object.assign(new Error('refused'), { config: { token: 'hunter2' } }) },
])('no secret reaches the log: %o', (fields) => {
  const { log, lines } = recorder();
  log.error(fields, 'failed');
  withCorrelation(log, fields as object).error('failed');

  expect(lines).toHaveLength(2);
  expect(lines.join('')).not.toContain('hunter2');
  expect(lines.join('')).toContain('redacted');
});

test('bytes are counted, never written', () => {
  const { log, lines } = recorder();
  log.info({ secretsKey: Buffer.from('hunter2'), body: Buffer.from('hunter2') }, 'received');

  expect(lines.join('')).toContain('"secretsKey":"[redacted]","body":"[7 bytes]"');
});

test('a message with a secret in a URL is cleaned too', () => {
  const { log, lines } = recorder();
  log.error('cannot reach amqp://user:hunter2@queue.example');

  expect(lines.join('')).toContain('queue.example');
  expect(lines.join('')).not.toContain('hunter2');
});

test('measurements whose names sound like secrets stay', () => {
  const { log, last } = recorder();
  log.info({ tokens: 350, idempotencyKey: 'k1' }, 'parsed');

  expect(last()).toMatchObject({ tokens: 350, idempotencyKey: 'k1' });
});

test('a value that contains itself is cut off instead of filling the disk', () => {
  const { log, lines } = recorder();
  const loop: Record<string, unknown> = { name: 'loop' };
  loop['self'] = loop;
  log.info({ loop }, 'odd');

  expect(lines.join('')).toContain('[deeper]');
  expect(lines.join('').length).toBeLessThan(1_000);
});

test('an error is logged with its stack', () => {
  const { log, last } = recorder();
  log.error({ err: new TypeError('no') }, 'failed');

  expect(last()['err']).toMatchObject({
    type: 'TypeError',
    message: 'no',
    stack: expect.stringContaining('log.test.ts'),
  });
});

test('a person at a terminal reads one short line, with the stack below it', () => {
  const { log, lines } = recorder(true);
  withCorrelation(log, { orderId: 'o1' }).error({ err: new Error('no'), units: 3 }, 'failed');

  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d .*error.* failed orderId="o1" units=3\nError: no\n/);
  expect(lines[0]).not.toContain('{"level"');
});
