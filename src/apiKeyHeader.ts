/** Where a key may be in a request's headers. */
import type { IncomingHttpHeaders } from 'node:http';

/** `Authorization: Bearer <key>` or `x-api-key: <key>`; null when there is neither. */
export function bearerKey(headers: IncomingHttpHeaders): string | null {
  const [, bearer] = /^bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  if (bearer !== undefined) return bearer;
  const key = headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? key : null;
}
