/** Settings and tokens of one shop: validated once, renewed as the shop's kind of app requires. */

import { z } from 'zod';
import { type AuthorizedSend, createAuthorizedSend, renewedCredentials } from '../accessToken.ts';
import { ChannelError, type ConnectorContext, type Credentials } from '../connector.ts';
import { redactText } from '../redaction.ts';
import { parseBody, parseSettings } from '../wire.ts';

/** Strict, because the domain becomes part of a URL that receives the client secret. */
const shopDomainPattern = /^[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com$/;
const locationPattern = /^(?:gid:\/\/shopify\/Location\/)?(\d+)$/;

const settingsSchema = z.object({
  shopDomain: z.string().regex(shopDomainPattern, 'must be like my-shop.myshopify.com'),
  apiBaseUrl: z.url({ protocol: /^https?$/ }).optional(),
  apiVersion: z
    .string()
    .regex(/^(\d{4}-\d{2}|unstable)$/, 'must be like 2026-10')
    .default('2026-10'),
  locationId: z
    .union([z.string(), z.number().int().positive().transform(String)])
    .refine((id) => locationPattern.test(id), 'must be a number or gid://shopify/Location/…')
    .transform((id) => id.replace(locationPattern, '$1')),
  authMode: z.enum(['static', 'client_credentials', 'expiring_offline']),
  /** Query cost points per second: 100 Standard, 200 Advanced, 1000 Plus, 2000 Enterprise. The bucket holds 20 times that. */
  restoreRate: z.number().positive().default(100),
  rateScale: z.number().positive().default(1),
});

export type ShopifySettings = Omit<z.output<typeof settingsSchema>, 'apiBaseUrl'> & {
  readonly apiBaseUrl: string;
};

export function readShopifySettings(settings: unknown): ShopifySettings {
  const parsed = parseSettings(settingsSchema, settings, 'shopify settings');
  const apiBaseUrl = parsed.apiBaseUrl ?? `https://${parsed.shopDomain}`;
  return { ...parsed, apiBaseUrl: apiBaseUrl.replace(/\/+$/, '') };
}

const tokenSchema = z.looseObject({
  access_token: z.string().min(1),
  expires_in: z.number().positive().optional(),
  refresh_token: z.string().min(1).optional(),
});

const tokenErrorSchema = z.looseObject({ error: z.string() });

/** Sends with the shop's access token. A `static` token is never renewed: a refusal is final. */
export function createShopifySend(context: ConnectorContext, settings: ShopifySettings): AuthorizedSend {
  return createAuthorizedSend({
    http: context.http,
    credentials: context.credentials,
    now: context.now,
    renew: settings.authMode === 'static' ? null : (current) => renewToken(context, settings, current),
    verdict: (response) => (response.status === 401 ? 'refused' : 'accepted'),
  });
}

async function renewToken(
  context: ConnectorContext,
  settings: ShopifySettings,
  current: Credentials,
): Promise<Credentials> {
  const operation = 'shopify.token';
  const response = await context.http.send({
    method: 'POST',
    url: `${settings.apiBaseUrl}/admin/oauth/access_token`,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(tokenRequest(settings, current)),
    operation,
    // A repeat is harmless: the previous refresh token keeps working until the new access token is first used.
    retry: 'safe',
  });
  if (response.status !== 200) throw tokenError(response.status, response.text);
  const token = parseBody(tokenSchema, response, operation);
  return renewedCredentials(
    current,
    {
      accessToken: token.access_token,
      expiresInSeconds: token.expires_in,
      refreshToken: token.refresh_token,
    },
    context.now(),
  );
}

function tokenRequest(settings: ShopifySettings, current: Credentials): Record<string, string> {
  const client = {
    client_id: required(current, 'clientId'),
    client_secret: required(current, 'clientSecret'),
  };
  return settings.authMode === 'client_credentials'
    ? { ...client, grant_type: 'client_credentials' }
    : { ...client, grant_type: 'refresh_token', refresh_token: required(current, 'refreshToken') };
}

function tokenError(status: number, text: string): ChannelError {
  const parsed = tokenErrorSchema.safeParse(jsonOrNull(text));
  const code = parsed.success ? parsed.data.error : `HTTP ${status}`;
  const details = { status, raw: redactText(text) };
  const message = `shopify.token: ${code}`;
  if (code === 'invalid_client') return new ChannelError('misconfigured', message, details);
  return new ChannelError(status >= 400 ? 'unauthorized' : 'invalid_response', message, details);
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function required(credentials: Credentials, name: string): string {
  const value = credentials[name] ?? '';
  if (value === '') throw new ChannelError('misconfigured', `shopify credentials: ${name} is missing`);
  return value;
}
