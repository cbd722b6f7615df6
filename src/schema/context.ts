/** What every resolver is given: who asks, and the doors to the data. A context serves one request or one event and is then dropped. */
import type { PrismaClient } from '../../.generated/prisma/client.ts';
import type { Queryable } from '../db.ts';
import type { Caller } from '../sync/outcome.ts';
import type { Sync } from '../sync/sync.ts';
import type { Scope } from './scopes.ts';

/** Who a valid key stands for. */
export type Session = {
  readonly accountId: string;
  readonly keyId: string;
  readonly keyName: string;
  readonly scopes: ReadonlySet<Scope>;
};

export type Services = {
  readonly prisma: PrismaClient;
  readonly database: Queryable;
  readonly sync: Sync;
};

export type Context = Services & {
  readonly session: Session | null;
  /** Every read is narrowed to this account. */
  readonly accountId: string;
  readonly caller: Caller;
  /** Ends when the consumer leaves or its key is revoked. */
  readonly signal: AbortSignal;
  /** Where a reconnecting SSE client says it stopped. */
  readonly lastEventId: string | null;
};

export type ContextOptions = {
  readonly session: Session | null;
  readonly correlationId: string;
  readonly signal: AbortSignal;
  readonly lastEventId: string | null;
};

// Without a key only `__typename` and introspection run; should a resolver run all the same, it reads an account that owns nothing.
const nobody = '00000000-0000-0000-0000-000000000000';

export function createContext(services: Services, options: ContextOptions): Context {
  const { session, correlationId, signal, lastEventId } = options;
  const accountId = session?.accountId ?? nobody;
  const actor = { kind: 'api_key', id: session?.keyId ?? null } as const;
  // Not spread from `services`: Pothos keeps its caches by context object, so each context must be an object of its own.
  return {
    prisma: services.prisma,
    database: services.database,
    sync: services.sync,
    session,
    accountId,
    caller: { accountId, actor, correlationId },
    signal,
    lastEventId,
  };
}
