/** Proves that credentials are sealed into their row, that a token is refreshed once over all processes, and that nothing is used before it is stored. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChannelError, type ConnectorContext, type Credentials } from '../../src/connectors/connector.ts';
import { createSecretBox } from '../../src/secrets.ts';
import type { Connections } from '../../src/sync/connections.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { createManualClock } from '../support/manualClock.ts';
import { createGate, waitFor } from '../support/waiting.ts';

const key = Buffer.alloc(32, 7);
const refreshLeaseMs = 60_000;

let open: fixtures.TestPool;
let accountId: string;

beforeAll(async () => {
  open = await fixtures.openTestPool(10);
});
afterAll(() => open[Symbol.asyncDispose]());
beforeEach(async () => {
  accountId = await fixtures.insertAccount(open.pool);
});

type Process = { readonly connections: Connections; readonly channel: support.ScriptedChannel };

/** Another process on the same database. */
function startProcess(clock = createManualClock()): Process {
  const channel = support.createChannel();
  return {
    channel,
    connections: support.connectTo(open.pool, { shopify: channel }, { clock, refreshLeaseMs, key }),
  };
}

const first: Credentials = { accessToken: 'access-1', refreshToken: 'refresh-1' };

const connect = (
  { connections }: Process,
  externalAccountId = fixtures.unique('shop'),
  credentials = first,
): Promise<string> =>
  connections.connect({
    accountId,
    platform: 'shopify',
    name: 'My shop',
    externalAccountId,
    settings: { url: 'https://a' },
    credentials,
  });

/** What the connector of this connection is given in this process. */
async function contextOf({ connections, channel }: Process, id: string): Promise<ConnectorContext> {
  await connections.open(id);
  const context = channel.contexts.at(-1);
  if (context === undefined) throw new Error('no connector was built');
  return context;
}

async function row(
  id: string,
): Promise<{ status: string; last_error: string | null; secrets: Buffer; version: number; leased: boolean }> {
  const { rows } = await open.pool.query(
    `SELECT status::text, last_error, secrets, secrets_version AS version, coalesce(refresh_lease_until >= now(), false) AS leased
       FROM connections WHERE id = $1`,
    [id],
  );
  return rows[0] as never;
}

describe('credentials', () => {
  test('are sealed in the table and open for their connection', async () => {
    const process = startProcess();
    const id = await connect(process);
    const { secrets } = await row(id);
    expect(secrets.includes('access-1')).toBe(false);
    expect(await (await contextOf(process, id)).credentials.read()).toEqual(first);
  });

  test('that were sealed for another row do not open', async () => {
    const process = startProcess();
    const [own, other] = await Promise.all([connect(process), connect(process)]);
    await open.pool.query(
      'UPDATE connections SET secrets = (SELECT secrets FROM connections WHERE id = $2) WHERE id = $1',
      [own, other],
    );
    await expect((async () => (await contextOf(startProcess(), own)).credentials.read())()).rejects.toThrow(
      'authenticate',
    );
  });

  test('do not open under another server key', async () => {
    const id = await connect(startProcess());
    const channel = support.createChannel();
    const connections = support.connectTo(open.pool, { shopify: channel }, { key: Buffer.alloc(32, 8) });
    await expect(
      (async () => (await contextOf({ connections, channel }, id)).credentials.read())(),
    ).rejects.toThrow('authenticate');
  });

  test('of a connection that was removed are an error of the channel, not a crash', async () => {
    const clock = createManualClock();
    const process = startProcess(clock);
    const id = await connect(process);
    const { credentials } = await contextOf(process, id);
    await open.pool.query('DELETE FROM connections WHERE id = $1', [id]);
    clock.advance(10_000);
    await expect(credentials.read()).rejects.toMatchObject({ name: 'ChannelError', code: 'misconfigured' });
    expect(await process.connections.open(id)).toBeNull();
  });

  test('given anew when the seller connects again replace the old ones and clear what was wrong', async () => {
    const process = startProcess();
    const id = await connect(process, 'the shop');
    await process.connections.report(id, new ChannelError('unauthorized', 'refused'));
    expect(await connect(process, 'the shop', { accessToken: 'access-9' })).toBe(id);
    expect(await row(id)).toMatchObject({ status: 'active', last_error: null, version: 2 });
    expect(await (await contextOf(process, id)).credentials.read()).toEqual({ accessToken: 'access-9' });
  });
});

/** An authorization server that rotates refresh tokens: each works once. */
function authorizationServer() {
  const used: string[] = [];
  let issued = 1;
  return {
    used,
    async refresh(current: Credentials): Promise<Credentials> {
      const { refreshToken = '' } = current;
      if (used.includes(refreshToken))
        throw new ChannelError('unauthorized', `${refreshToken} was used before`);
      used.push(refreshToken);
      issued += 1;
      return { accessToken: `access-${issued}`, refreshToken: `refresh-${issued}` };
    },
  };
}

async function refuse(): Promise<Credentials> {
  throw new ChannelError('unauthorized', 'no');
}

test('a new connection waits for its first plan where that is asked for, and one that is there stays as it is', async () => {
  const { connections } = startProcess();
  const waiting = async (awaitPlan: boolean, externalAccountId: string): Promise<boolean | undefined> => {
    const id = await connections.connect({
      accountId,
      platform: 'shopify',
      name: 'My shop',
      externalAccountId,
      settings: {},
      credentials: {},
      awaitPlan,
    });
    const { rows } = await open.pool.query<{ awaiting_plan: boolean }>(
      'SELECT awaiting_plan FROM connections WHERE id = $1',
      [id],
    );
    return rows[0]?.awaiting_plan;
  };
  const [careful, old] = [fixtures.unique('shop'), fixtures.unique('shop')];
  expect([await waiting(true, careful), await waiting(false, careful)]).toEqual([true, true]);
  expect([await waiting(false, old), await waiting(true, old)]).toEqual([false, false]);
});

describe('a refresh', () => {
  test('happens once, although many callers in two processes find the token stale at the same moment', async () => {
    const clock = createManualClock();
    const processes = [startProcess(clock), startProcess(clock)] as const;
    const id = await connect(processes[0]);
    const server = authorizationServer();
    const contexts = await Promise.all(processes.map(async (process) => contextOf(process, id)));
    const callers = contexts.flatMap((context) => Array.from({ length: 5 }, () => context.credentials));
    const refreshing = Promise.all(
      callers.map(async (store) => store.refresh('access-1', (current) => server.refresh(current))),
    );
    const ended = refreshing.then(() => true);
    // Whoever waits looks again every now and then.
    await waitFor(async () => {
      clock.advance(50);
      return Promise.race([ended, Promise.resolve(false)]);
    });
    expect(new Set((await refreshing).map(({ accessToken }) => accessToken))).toEqual(new Set(['access-2']));
    expect(server.used).toEqual(['refresh-1']);
    expect(await row(id)).toMatchObject({ version: 2, leased: false });
  });

  test('that another process has done already is found, without asking the channel', async () => {
    const one = startProcess();
    const two = startProcess();
    const id = await connect(one);
    const server = authorizationServer();
    const stale = await contextOf(two, id);
    await (await contextOf(one, id)).credentials.refresh('access-1', server.refresh);
    expect(await stale.credentials.refresh('access-1', server.refresh)).toMatchObject({
      accessToken: 'access-2',
    });
    expect(server.used).toHaveLength(1);
  });

  test('is stored before anybody uses it: what every process reads is what was answered', async () => {
    const one = startProcess();
    const id = await connect(one);
    const fresh = await (await contextOf(one, id)).credentials.refresh(
      'access-1',
      authorizationServer().refresh,
    );
    const stored = createSecretBox(key).open(
      (await row(id)).secrets,
      `${accountId} shopify ${await externalId(id)}`,
    );
    expect(JSON.parse(stored)).toEqual(fresh);
    expect(await (await contextOf(startProcess(), id)).credentials.read()).toEqual(fresh);
    expect(await (await contextOf(one, id)).credentials.read()).toEqual(fresh);
  });

  test('that cannot be stored is not answered', async () => {
    const one = startProcess();
    const id = await connect(one);
    const { credentials } = await contextOf(one, id);
    await open.pool.query(
      'ALTER TABLE connections ADD CONSTRAINT full_disk CHECK (secrets_version < 2) NOT VALID',
    );
    try {
      await expect(credentials.refresh('access-1', authorizationServer().refresh)).rejects.toThrow(
        'full_disk',
      );
    } finally {
      await open.pool.query('ALTER TABLE connections DROP CONSTRAINT full_disk');
    }
  });

  test('that the channel refuses frees the lease at once and keeps the old credentials', async () => {
    const one = startProcess();
    const id = await connect(one);
    const { credentials } = await contextOf(one, id);
    await expect(credentials.refresh('access-1', refuse)).rejects.toMatchObject({ code: 'unauthorized' });
    expect(await row(id)).toMatchObject({ version: 1, leased: false });
    expect(await credentials.read()).toEqual(first);
  });

  test('of a process that died can be taken over when its lease ends', async () => {
    const clock = createManualClock();
    const one = startProcess(clock);
    const id = await connect(one);
    await open.pool.query(
      `UPDATE connections SET refresh_lease_until = now() + interval '60 s' WHERE id = $1`,
      [id],
    );
    const { credentials } = await contextOf(one, id);
    const server = authorizationServer();
    const refreshing = credentials.refresh('access-1', server.refresh);
    await waitFor(() => clock.waiting() === 1, { what: 'the caller to wait for the lease' });
    expect(server.used).toEqual([]);
    await support.letTimePass(open.pool, id, 60_001);
    clock.advance(50);
    expect(await refreshing).toMatchObject({ accessToken: 'access-2' });
  });

  test('of another process that never ends is not waited for without end', async () => {
    const clock = createManualClock();
    const one = startProcess(clock);
    const id = await connect(one);
    await open.pool.query(
      `UPDATE connections SET refresh_lease_until = now() + interval '1 day' WHERE id = $1`,
      [id],
    );
    const refreshing = (await contextOf(one, id)).credentials.refresh(
      'access-1',
      authorizationServer().refresh,
    );
    await waitFor(() => clock.waiting() === 1);
    clock.advance(refreshLeaseMs * 2 + 1);
    await expect(refreshing).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('that was slow does not overwrite what the seller has connected meanwhile', async () => {
    const one = startProcess();
    const id = await connect(one, 'the shop');
    const gate = createGate<Credentials>();
    const asked = createGate();
    const { credentials } = await contextOf(one, id);
    const refreshing = credentials.refresh('access-1', () => {
      asked.open();
      return gate.opened;
    });
    await asked.opened;
    await connect(one, 'the shop', { accessToken: 'by hand' });
    gate.open({ accessToken: 'late' });
    expect(await refreshing).toEqual({ accessToken: 'by hand' });
    expect(await (await contextOf(one, id)).credentials.read()).toEqual({ accessToken: 'by hand' });
  });
});

async function externalId(id: string): Promise<string> {
  const { rows } = await open.pool.query<{ external_account_id: string }>(
    'SELECT external_account_id FROM connections WHERE id = $1',
    [id],
  );
  return rows[0]?.external_account_id ?? '';
}

describe('opening', () => {
  test('builds one connector per connection and again only when its settings change', async () => {
    const process = startProcess();
    const id = await connect(process);
    const channel = await process.connections.open(id);
    expect((await process.connections.open(id))?.connector).toBe(channel?.connector);
    expect(process.channel.contexts).toHaveLength(1);
    await open.pool.query(`UPDATE connections SET settings = '{"url": "https://b"}' WHERE id = $1`, [id]);
    await process.connections.open(id);
    expect(process.channel.contexts.map(({ settings }) => settings)).toEqual([
      { url: 'https://a' },
      { url: 'https://b' },
    ]);
  });

  test.each(['paused', 'disconnected'] as const)('a %s connection answers null', async (status) => {
    const process = startProcess();
    const id = await connect(process);
    await open.pool.query('UPDATE connections SET status = $2 WHERE id = $1', [id, status]);
    expect(await process.connections.open(id)).toBeNull();
  });
});

describe('reporting', () => {
  test('remembers the newest problem, and that only the seller can mend an authorization', async () => {
    const process = startProcess();
    const id = await connect(process);
    await process.connections.report(id, new ChannelError('unavailable', 'maintenance'));
    expect(await row(id)).toMatchObject({ status: 'active', last_error: 'unavailable: maintenance' });
    await process.connections.report(id, new ChannelError('unauthorized', 'refused'));
    expect(await row(id)).toMatchObject({
      status: 'needs_authorization',
      last_error: 'unauthorized: refused',
    });
    await process.connections.report(id, new ChannelError('timeout', 'slow'));
    expect(await row(id)).toMatchObject({ status: 'needs_authorization' });
    await process.connections.report(id, null);
    expect(await row(id)).toMatchObject({ status: 'active', last_error: null });
  });

  test('remembers since when nothing but errors came, whatever they say, until one answer is good', async () => {
    const process = startProcess();
    const id = await connect(process);
    const failing = async () => {
      const { rows } = await open.pool.query<{ since: Date | null }>(
        'SELECT failing_since AS since FROM connections WHERE id = $1',
        [id],
      );
      return rows[0]?.since ?? null;
    };
    expect(await failing()).toBeNull();
    await process.connections.report(id, new ChannelError('unavailable', 'maintenance'));
    const since = await failing();
    expect(since).toBeInstanceOf(Date);
    await process.connections.report(id, new ChannelError('timeout', 'slow'));
    expect(await failing()).toEqual(since);
    await process.connections.report(id, null);
    expect(await failing()).toBeNull();
  });

  test.each(['paused', 'disconnected'] as const)(
    'never changes what the seller decided: %s',
    async (status) => {
      const process = startProcess();
      const id = await connect(process);
      await open.pool.query('UPDATE connections SET status = $2 WHERE id = $1', [id, status]);
      await process.connections.report(id, new ChannelError('unauthorized', 'refused'));
      await process.connections.report(id, null);
      expect(await row(id)).toMatchObject({ status });
    },
  );

  test('that all is well writes nothing when nothing was wrong', async () => {
    const process = startProcess();
    const id = await connect(process);
    const { rows: before } = await open.pool.query('SELECT xmin FROM connections WHERE id = $1', [id]);
    await process.connections.report(id, null);
    expect((await open.pool.query('SELECT xmin FROM connections WHERE id = $1', [id])).rows).toEqual(before);
  });
});
