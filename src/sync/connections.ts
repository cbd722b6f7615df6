/** The connected channels: one connector per connection, its credentials sealed in its row, its tokens refreshed by one process at a time. */
import type { Clock } from '../clock.ts';
import {
  ChannelError,
  type Connector,
  type ConnectorFactory,
  type CredentialStore,
  type Credentials,
  type HttpClient,
  type Platform,
} from '../connectors/connector.ts';
import type { Queryable } from '../db.ts';
import type { SecretBox } from '../secrets.ts';

export type Connection = {
  readonly id: string;
  readonly accountId: string;
  readonly platform: Platform;
  readonly externalAccountId: string;
};

export type ConnectedChannel = { readonly connection: Connection; readonly connector: Connector };

export type NewConnection = {
  readonly accountId: string;
  readonly platform: Platform;
  readonly name: string;
  readonly externalAccountId: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly credentials: Credentials;
  /** True to only look at a new connection until a plan of it is applied. Says nothing about one that was connected before. */
  readonly awaitPlan?: boolean;
  /** Where they are known better than the marketplace's defaults, in milliseconds. */
  readonly bounds?: ChannelBounds;
};

export type ChannelBounds = {
  readonly staleMaxMs: number;
  /** What the channel takes once a request has left; our own call is added to it. */
  readonly settleMaxMs: number;
  readonly indexLagMs: number;
  readonly clockSkewMaxMs: number;
};

export interface Connections {
  /** The channel of one connection; null when it does not exist, is paused or was disconnected. */
  open(connectionId: string): Promise<ConnectedChannel | null>;
  /** Asks the channel whose account these credentials open, and answers the connection complete, with tokens as fresh as they are now. */
  identify(connection: Omit<NewConnection, 'externalAccountId'>): Promise<NewConnection>;
  /** Connects a channel, or replaces the settings and credentials of one connected before. Answers its id. */
  connect(connection: NewConnection): Promise<string>;
  /** Remembers what is wrong with a channel; an `unauthorized` one waits for the seller. Null clears it. */
  report(connectionId: string, error: ChannelError | null): Promise<void>;
}

export type ConnectionsOptions = {
  readonly db: Queryable;
  readonly secretBox: SecretBox;
  readonly clock: Clock;
  readonly factories: Readonly<Record<Platform, ConnectorFactory>>;
  /** One client per connection, so that a connection's budget and logs are its own. */
  readonly httpClient: (connection: Connection) => HttpClient;
  /** Longest time one token refresh may take before another process may try. */
  readonly refreshLeaseMs: number;
};

type ConnectionRow = {
  id: string;
  account_id: string;
  platform: Platform;
  external_account_id: string;
  settings: Record<string, unknown>;
} & SecretsRow;

/** Of a connection that is only tried. */
export const unsavedId = 'new';

/** How long credentials that were read are believed; a token refreshed elsewhere meanwhile is found at the refusal. */
const credentialsMs = 1_000;

export function createConnections(options: ConnectionsOptions): Connections {
  const { db, secretBox } = options;
  const built = new Map<string, BuiltChannel>();

  return {
    async open(connectionId) {
      const { rows } = await db.query<ConnectionRow>({
        name: 'connection-open',
        text: `SELECT id, account_id, platform, external_account_id, settings, secrets, secrets_version FROM connections
                WHERE id = $1 AND status IN ('active', 'needs_authorization')`,
        values: [connectionId],
      });
      const [row] = rows;
      if (row === undefined) {
        built.delete(connectionId);
        return null;
      }
      const settings = JSON.stringify(row.settings);
      let known = built.get(connectionId);
      if (known?.settings !== settings) {
        known = { settings, ...buildChannel(options, row) };
        built.set(connectionId, known);
      }
      known.credentials.remember(row);
      return known.channel;
    },

    async identify(connection) {
      let { credentials } = connection;
      const connector = options.factories[connection.platform]({
        settings: connection.settings,
        credentials: {
          read: () => Promise.resolve(credentials),
          // Kept, since a rotated refresh token is the only one that still works.
          refresh: async (_stale, refresh) => {
            credentials = await refresh(credentials);
            return credentials;
          },
        },
        http: options.httpClient({ id: unsavedId, externalAccountId: '', ...connection }),
        now: options.clock.now,
      });
      const { externalAccountId } = await connector.check();
      return { ...connection, externalAccountId, credentials };
    },

    async connect(connection) {
      const { accountId, platform, name, externalAccountId, settings, credentials, bounds } = connection;
      const sealed = secretBox.seal(JSON.stringify(credentials), sealedFor(connection));
      const { rows } = await db.query<{ id: string }>(
        `INSERT INTO connections AS current (account_id, platform, name, external_account_id, settings, secrets, stale_max_ms, settle_max_ms,
                                             index_lag_ms, clock_skew_max_ms, awaiting_plan)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (account_id, platform, external_account_id) DO UPDATE
            SET name = excluded.name, settings = excluded.settings, secrets = excluded.secrets,
                secrets_version = current.secrets_version + 1, refresh_lease_until = NULL,
                stale_max_ms = excluded.stale_max_ms, settle_max_ms = excluded.settle_max_ms, index_lag_ms = excluded.index_lag_ms,
                clock_skew_max_ms = excluded.clock_skew_max_ms,
                stale_measured_ms = NULL, settle_measured_ms = NULL, index_lag_measured_ms = NULL, clock_skew_measured_ms = NULL,
                status = 'active', last_error = NULL, last_error_at = NULL, failing_since = NULL, updated_at = now()
         RETURNING id`,
        [
          accountId,
          platform,
          name,
          externalAccountId,
          JSON.stringify(settings),
          sealed,
          bounds?.staleMaxMs ?? null,
          bounds?.settleMaxMs ?? null,
          bounds?.indexLagMs ?? null,
          bounds?.clockSkewMaxMs ?? null,
          connection.awaitPlan ?? false,
        ],
      );
      const [row] = rows;
      if (row === undefined) throw new Error('a connection was neither inserted nor updated');
      return row.id;
    },

    async report(connectionId, error) {
      await db.query(
        `UPDATE connections SET last_error = $2, last_error_at = CASE WHEN $2::text IS NULL THEN NULL ELSE now() END, updated_at = now(),
                failing_since = CASE WHEN $2::text IS NOT NULL THEN coalesce(failing_since, now()) END,
                status = CASE WHEN $3 AND status = 'active' THEN 'needs_authorization'
                              WHEN $2::text IS NULL AND status = 'needs_authorization' THEN 'active' ELSE status END
          WHERE id = $1 AND (last_error IS DISTINCT FROM $2 OR $3)`,
        [
          connectionId,
          error === null ? null : `${error.code}: ${error.message}`,
          error?.code === 'unauthorized',
        ],
      );
    },
  };
}

type BuiltChannel = {
  readonly settings: string;
  readonly channel: ConnectedChannel;
  readonly credentials: RememberingStore;
};

function buildChannel(options: ConnectionsOptions, row: ConnectionRow): Omit<BuiltChannel, 'settings'> {
  const connection: Connection = {
    id: row.id,
    accountId: row.account_id,
    platform: row.platform,
    externalAccountId: row.external_account_id,
  };
  const credentials = createCredentialStore(options, connection);
  const connector = options.factories[row.platform]({
    settings: row.settings,
    credentials,
    http: options.httpClient(connection),
    now: options.clock.now,
  });
  return { channel: { connection, connector }, credentials };
}

type SecretsRow = { secrets: Buffer; secrets_version: number };

/** Spares reading and opening the credentials again for what follows within moments. */
type RememberingStore = CredentialStore & { remember(row: SecretsRow): void };
type Opened = { readonly credentials: Credentials; readonly version: number };

function createCredentialStore(options: ConnectionsOptions, connection: Connection): RememberingStore {
  const { db, secretBox, clock } = options;
  const waitMs = 50;
  let opened: { readonly sealed: Buffer; readonly credentials: Credentials } | undefined;
  let believedUntil = Number.NEGATIVE_INFINITY;
  let remembered: SecretsRow | undefined;

  function open(row: SecretsRow): Opened {
    if (opened === undefined || !opened.sealed.equals(row.secrets)) {
      const plain = secretBox.open(row.secrets, sealedFor(connection));
      opened = { sealed: row.secrets, credentials: JSON.parse(plain) as Credentials };
    }
    return { credentials: opened.credentials, version: row.secrets_version };
  }

  function remember(row: SecretsRow): void {
    remembered = row;
    believedUntil = clock.now() + credentialsMs;
  }

  async function load(): Promise<Opened> {
    const { rows } = await db.query<SecretsRow>({
      name: 'connection-secrets',
      text: 'SELECT secrets, secrets_version FROM connections WHERE id = $1',
      values: [connection.id],
    });
    const [row] = rows;
    if (row === undefined) throw new ChannelError('misconfigured', 'the connection was removed');
    remember(row);
    return open(row);
  }

  async function lease(version: number): Promise<boolean> {
    const { rowCount } = await db.query(
      `UPDATE connections SET refresh_lease_until = now() + $3 * interval '1 ms'
        WHERE id = $1 AND secrets_version = $2 AND (refresh_lease_until IS NULL OR refresh_lease_until < now())`,
      [connection.id, version, options.refreshLeaseMs],
    );
    return rowCount === 1;
  }

  async function store(credentials: Credentials, version: number): Promise<boolean> {
    remembered = undefined;
    const { rowCount } = await db.query(
      `UPDATE connections SET secrets = $3, secrets_version = secrets_version + 1, refresh_lease_until = NULL
        WHERE id = $1 AND secrets_version = $2`,
      [connection.id, version, secretBox.seal(JSON.stringify(credentials), sealedFor(connection))],
    );
    return rowCount === 1;
  }

  const release = (version: number) =>
    db.query('UPDATE connections SET refresh_lease_until = NULL WHERE id = $1 AND secrets_version = $2', [
      connection.id,
      version,
    ]);

  return {
    remember,
    async read() {
      if (remembered === undefined || clock.now() >= believedUntil) return (await load()).credentials;
      return open(remembered).credentials;
    },
    async refresh(staleAccessToken, refresh) {
      const deadline = clock.now() + options.refreshLeaseMs * 2;
      for (;;) {
        const { credentials, version } = await load();
        if ((credentials['accessToken'] ?? '') !== staleAccessToken) return credentials;
        if (await lease(version)) {
          try {
            const fresh = await refresh(credentials);
            // Stored before use: a rotated refresh token that is lost locks the seller out.
            if (await store(fresh, version)) return fresh;
          } catch (error) {
            await release(version);
            throw error;
          }
        } else if (clock.now() > deadline) {
          throw new ChannelError(
            'unavailable',
            'another process is refreshing the token and does not finish',
          );
        } else {
          await clock.sleep(waitMs);
        }
      }
    },
  };
}

/** Sealed credentials open only in the row they were made for. */
function sealedFor(connection: Pick<Connection, 'accountId' | 'platform' | 'externalAccountId'>): string {
  return `${connection.accountId} ${connection.platform} ${connection.externalAccountId}`;
}
