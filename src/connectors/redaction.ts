/** Removes secrets from headers, URLs and bodies before they reach a log or an error. */

const secretHeaders = new Set([
  'authorization',
  'cookie',
  'set-cookie',
  'x-amz-access-token',
  'x-api-key',
  'x-shopify-access-token',
]);

const secretMember =
  'access_token|refresh_token|client_secret|id_token|subject_token|code_verifier|spapi_oauth_code|accessToken|refreshToken|clientSecret|X-Amz-Signature|X-Amz-Security-Token';

const jsonSecret = new RegExp(`("(?:${secretMember})"\\s*:\\s*")(?:[^"\\\\]|\\\\.)*(?:"|$)`, 'g');
const formSecret = new RegExp(`((?:^|[?&\\s])(?:${secretMember}|code)=)[^&\\s"]*`, 'g');
/** In JSON `code` is an authorisation code only beside client credentials; elsewhere it is the error code that people need. */
const jsonAuthorizationCode = /("code"\s*:\s*")(?:[^"\\]|\\.)*(?:"|$)/g;
/** Tokens recognisable by themselves: Amazon, Shopify, bearer and basic credentials. */
const bareSecret =
  /\b(Atza|Atzr)\|[\w\-+/=]+|\bshp(?:at|ua|rt|ss|ca|pa)_\w+|\b(Bearer|Basic) [\w\-.~+/|^#=]{8,}/g;

const hidden = '[redacted]';

/** `text` without token and secret members (JSON or form), cut to `lengthMax` characters. */
export function redactText(text: string, lengthMax = 2_000): string {
  // Cut generously first: a redaction over megabytes costs more than it protects.
  const start = text.slice(0, lengthMax * 4);
  const codeless = start.includes('"client_')
    ? start.replace(jsonAuthorizationCode, (_match, member: string) => `${member}${hidden}"`)
    : start;
  const redacted = codeless
    .replace(jsonSecret, (_match, member: string) => `${member}${hidden}"`)
    .replace(formSecret, (_match, member: string) => member + hidden)
    .replace(bareSecret, hidden);
  return redacted.length > lengthMax ? `${redacted.slice(0, lengthMax)}…` : redacted;
}

/** The URL with secret query values and user information hidden. */
export function redactUrl(url: string): string {
  return redactText(url.replace(/^(\w+:\/\/)[^/?#@]*@/, `$1${hidden}@`));
}

/** A copy of `headers` with the values of secret headers hidden. Names are lower case. */
export function redactHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      const key = name.toLowerCase();
      return [key, secretHeaders.has(key) ? hidden : redactText(value, 200)];
    }),
  );
}
