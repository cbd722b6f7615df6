/** Endpoints for eBay's notifications: none is registered before its owner has answered a challenge. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Call, Route } from './channel.ts';
import { type EbayAccess, ebayApis, ebayRefusal, refuse } from './ebayAccess.ts';
import { jsonBody, type Reply } from './http.ts';
import type { Random } from './random.ts';
import { uuidText } from './uuid.ts';

/** eBay wants https and refuses local addresses; a sandbox must not call strangers, so here it is the other way round. */
const loopback = /^https?:\/\/(127\.0\.0\.1|localhost)(:\d+)?(\/|$)/;

export const statusSchema = z.enum(['ENABLED', 'DISABLED']);

export type EbayDestination = {
  readonly destinationId: string;
  readonly name: string;
  readonly status: 'ENABLED' | 'DISABLED';
  readonly deliveryConfig: { readonly endpoint: string; readonly verificationToken: string };
};

/** eBay event notification SDK: hex SHA-256 of challenge code, verification token and endpoint, in this order. */
export function challengeResponse(code: string, verificationToken: string, endpoint: string): string {
  return createHash('sha256').update(code).update(verificationToken).update(endpoint).digest('hex');
}

const answerSchema = z.object({ challengeResponse: z.string() });

/** Asks the endpoint itself; false for a wrong, late or missing answer. */
async function passesChallenge(
  { deliveryConfig: { endpoint, verificationToken } }: Pick<EbayDestination, 'deliveryConfig'>,
  code: string,
  timeoutMs: number,
): Promise<boolean> {
  const url = new URL(endpoint);
  url.searchParams.set('challenge_code', code);
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'manual' });
    const read = answerSchema.safeParse(jsonBody(Buffer.from(await response.arrayBuffer())));
    const isJson = (response.headers.get('content-type') ?? '').startsWith('application/json');
    const expected = challengeResponse(code, verificationToken, endpoint);
    return response.status === 200 && isJson && read.success && read.data.challengeResponse === expected;
  } catch {
    return false;
  }
}

/** The request for a destination, or the refusal that eBay documents for what is wrong with it. */
function readDestination(call: Call): Omit<EbayDestination, 'destinationId'> {
  const body = (jsonBody(call.body) ?? {}) as Record<string, unknown>;
  const config = (body['deliveryConfig'] ?? {}) as Record<string, unknown>;
  const name = z
    .string()
    .min(1)
    .max(64)
    .regex(/^[^<>]+$/)
    .safeParse(body['name']);
  if (!name.success) refuse(195016);
  const endpoint = z.string().regex(loopback).safeParse(config['endpoint']);
  if (!endpoint.success) refuse(195017, 'The sandbox calls addresses on this machine only.');
  const read = statusSchema.safeParse(body['status']);
  if (!read.success) refuse(195018);
  const token = z
    .string()
    .regex(/^[A-Za-z0-9_-]{32,80}$/)
    .safeParse(config['verificationToken']);
  if (!token.success) refuse(195019);
  return {
    name: name.data,
    status: read.data,
    deliveryConfig: { endpoint: endpoint.data, verificationToken: token.data },
  };
}

export type EbayDestinations = {
  readonly routes: readonly Route[];
  find(destinationId: string): EbayDestination | undefined;
  /** True once an alert e-mail is set: eBay takes no destination and no subscription before. */
  isConfigured(): boolean;
  clear(): void;
};

/** The address of a created resource, on the host that was called. */
export const resourceLocation = (call: Call, kind: string, id: string) => ({
  location: `http://${call.headers.host ?? '127.0.0.1'}${ebayApis.notification.path}/${kind}/${id}`,
});

/** One page of the Notification API: `limit` from 10 to 100, by default 20. */
export function notificationPage(call: Call, name: string, rows: readonly unknown[]): Reply {
  const limit = Number(call.query.get('limit') ?? 20);
  if (!Number.isInteger(limit) || limit < 10 || limit > 100) return ebayRefusal(195004);
  const href = `http://${call.headers.host ?? '127.0.0.1'}${call.path}`;
  return { status: 200, body: { href, limit, total: rows.length, [name]: call.cut(rows.slice(0, limit)) } };
}

/** `challengeTimeoutMs`: how long an endpoint may take to answer. */
export function createEbayDestinations(
  access: EbayAccess,
  random: Random,
  challengeTimeoutMs: number,
): EbayDestinations {
  let alertEmail: string | null = null;
  const destinations = new Map<string, EbayDestination>();

  function putConfig(call: Call): Reply {
    const read = z.object({ alertEmail: z.email() }).safeParse(jsonBody(call.body));
    if (!read.success) return ebayRefusal(195025);
    alertEmail = read.data.alertEmail;
    return { status: 204 };
  }

  async function put(call: Call, known: EbayDestination | null): Promise<Reply> {
    if (alertEmail === null) return ebayRefusal(195003);
    const wanted = readDestination(call);
    const { endpoint } = wanted.deliveryConfig;
    const destinationId = known?.destinationId ?? uuidText(random);
    const isTaken = [...destinations.values()].some(
      (each) => each.deliveryConfig.endpoint === endpoint && each.destinationId !== destinationId,
    );
    if (isTaken) return ebayRefusal(195021);
    if (!(await passesChallenge(wanted, random.text(32), challengeTimeoutMs))) return ebayRefusal(195020);
    destinations.set(destinationId, { destinationId, ...wanted });
    if (known !== null) return { status: 204 };
    return { status: 201, headers: resourceLocation(call, 'destination', destinationId) };
  }

  const find = (call: Call): EbayDestination =>
    destinations.get(call.params['destinationId'] ?? '') ?? refuse(195022);
  const getConfig = (): Reply =>
    alertEmail === null ? ebayRefusal(195026) : { status: 200, body: { alertEmail } };
  const list = (call: Call): Reply => notificationPage(call, 'destinations', [...destinations.values()]);
  const get = (call: Call): Reply => ({ status: 200, body: find(call) });
  const one = '/destination/:destinationId';
  const route = (
    endpoint: Parameters<EbayAccess['route']>[1],
    operation: string,
    handle: Route['handle'],
  ): Route => access.route('notification', endpoint, operation, handle, 'application');

  return {
    find: (destinationId) => destinations.get(destinationId),
    isConfigured: () => alertEmail !== null,
    clear() {
      alertEmail = null;
      destinations.clear();
    },
    routes: [
      route('GET /config', 'getConfig', getConfig),
      route('PUT /config', 'updateConfig', putConfig),
      route('GET /destination', 'getDestinations', list),
      route('POST /destination', 'createDestination', (call) => put(call, null)),
      route(`GET ${one}`, 'getDestination', get),
      route(`PUT ${one}`, 'updateDestination', (call) => put(call, find(call))),
    ],
  };
}
