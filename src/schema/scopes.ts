/** What a key may be allowed to do. Types and fields name the scope they need; the pipeline checks it before anything runs. */

export const scopes = [
  'stock:read',
  'stock:write',
  'orders:read',
  'orders:write',
  'conflicts:resolve',
  'listings:write',
  'connections:admin',
  'keys:admin',
] as const;
export type Scope = (typeof scopes)[number];

export function isScope(value: unknown): value is Scope {
  return scopes.some((scope) => scope === value);
}

/** The scope that a type or field declares in its `extensions.scope`; null when any key will do. */
export function declaredScope(extensions: Readonly<Record<string, unknown>>): Scope | null {
  return isScope(extensions['scope']) ? extensions['scope'] : null;
}
