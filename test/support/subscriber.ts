/** A real graphql-ws client on a real socket: keeps every envelope in the order of arrival, and goes on after the last cursor when told to. */
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { type Client, type CloseCode, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { waitFor } from './waiting.ts';

/** What every stream sends: an event, a gap or a heartbeat. */
export type AnyEnvelope = { readonly __typename?: string };

export type SubscriberOptions<Envelope extends AnyEnvelope> = {
  /** `http://127.0.0.1:port` of the server. */
  readonly url: string;
  readonly key: string;
  readonly document: TypedDocumentNode<Readonly<Record<string, Envelope>>, never>;
  readonly variables?: Readonly<Record<string, unknown>>;
  /** Where to begin; absent: from now on. */
  readonly after?: string;
};

export type SocketClose = { readonly code: number; readonly reason: string };

export type Subscriber<Envelope extends AnyEnvelope> = AsyncDisposable & {
  /** Over all sockets, in the order of arrival. */
  readonly envelopes: readonly Envelope[];
  /** Those that are neither heartbeats nor gaps. */
  events(): readonly EventOf<Envelope>[];
  /** The last position received; null before the first envelope. */
  readonly cursor: string | null;
  readonly errors: readonly unknown[];
  /** How each socket ended so far. */
  readonly closes: readonly SocketClose[];
  /** True when the server has said that the stream is over. */
  readonly completed: boolean;
  /** Resolves with the first envelope that fits, received or still to come. */
  find(
    fits: (event: EventOf<Envelope>) => boolean,
    what: string,
    timeoutMs?: number,
  ): Promise<EventOf<Envelope>>;
  /** Resolves when the server has sent something: the stream is live then. */
  live(): Promise<void>;
  /** Breaks the socket without a word. */
  cut(): void;
  /** Opens a new socket, to another server if one is named, and goes on after the last cursor. Resolves when it is live. */
  resume(url?: string): Promise<void>;
};

type EventOf<Envelope> = Exclude<Envelope, { readonly __typename?: 'Gap' | 'Heartbeat' }>;

type Socket = { readonly client: Client; readonly cut: () => void; received: number; closed: boolean };

/** Opens a subscription and resolves when it is live, so that nothing that happens afterwards can be missed. */
export async function subscribe<Envelope extends AnyEnvelope>(
  options: SubscriberOptions<Envelope>,
): Promise<Subscriber<Envelope>> {
  const envelopes: Envelope[] = [];
  const errors: unknown[] = [];
  const closes: SocketClose[] = [];
  let cursor: string | null = options.after ?? null;
  let completed = false;
  let socket: Socket | null = null;
  let url = options.url;

  function open(): Socket {
    let raw: WebSocket | null = null;
    const client = createClient({
      url: `${url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { apiKey: options.key },
      retryAttempts: 0,
      on: {
        opened: (opened) => {
          raw = opened as WebSocket;
        },
        closed: (event) => {
          const { code, reason } = event as { code: number | CloseCode; reason: string };
          closes.push({ code, reason });
          if (socket !== null && socket.client === client) socket.closed = true;
        },
      },
    });
    const opened: Socket = { client, cut: () => raw?.terminate(), received: 0, closed: false };
    client.subscribe<Record<string, Envelope>>(
      {
        query: print(options.document),
        variables: { ...options.variables, ...(cursor === null ? {} : { after: cursor }) },
      },
      {
        next: ({ data, errors: failures }) => {
          errors.push(...(failures ?? []));
          const [envelope] = Object.values(data ?? {});
          if (envelope === undefined || socket !== opened) return;
          opened.received++;
          envelopes.push(envelope);
          cursor = positionOf(envelope) ?? cursor;
        },
        error: (error) => {
          if (socket === opened && !isClose(error)) errors.push(error);
        },
        complete: () => {
          completed ||= socket === opened;
        },
      },
    );
    return opened;
  }

  const live = async (): Promise<void> => {
    await waitFor(
      () => errors.length > 0 || completed || socket?.closed === true || (socket?.received ?? 0) > 0,
      {
        timeoutMs: 10_000,
        what: 'a subscription to be live',
      },
    );
    if (errors.length > 0 || (socket?.closed === true && !completed))
      throw new Error(`the subscription failed: ${JSON.stringify([errors, closes.at(-1)])}`);
  };
  const drop = (): void => {
    const dropped = socket;
    socket = null;
    dropped?.cut();
    void dropped?.client.dispose();
  };
  const events = () => envelopes.filter(isEvent);

  socket = open();
  await live();
  return {
    envelopes,
    errors,
    closes,
    events,
    live,
    get cursor() {
      return cursor;
    },
    get completed() {
      return completed;
    },
    find: (fits, what, timeoutMs = 10_000) =>
      waitFor(() => events().find(fits), { timeoutMs, what }) as never,
    cut: drop,
    async resume(other) {
      drop();
      url = other ?? url;
      socket = open();
      await live();
    },
    async [Symbol.asyncDispose]() {
      const ending = socket;
      socket = null;
      await ending?.client.dispose();
      ending?.cut();
    },
  };
}

function isEvent<Envelope extends AnyEnvelope>(envelope: Envelope): envelope is EventOf<Envelope> {
  const kind = envelope['__typename'];
  return kind !== 'Gap' && kind !== 'Heartbeat';
}

function positionOf(envelope: AnyEnvelope): string | null {
  const { cursor, to } = envelope as { cursor?: string; to?: string };
  return cursor ?? to ?? null;
}

/** The socket's end is kept in `closes`; it is no failure of the operation. */
function isClose(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && 'reason' in error;
}
