/** Opaque global ids: a type name and a UUID. An id says nothing about its account, and reading by it is always narrowed to the caller's. */
import { apiError } from './apiError.ts';
import type { Scope } from './scopes.ts';

/** Every type with a global id that `node` answers, and the scope that reading it needs (null: any key). */
export const nodeTypes = {
  Alert: 'stock:read',
  InventoryItem: 'stock:read',
  Job: 'stock:read',
  Listing: 'stock:read',
  Order: 'orders:read',
  OrderLine: 'orders:read',
  PlatformConnection: null,
  SettingChange: 'stock:read',
  Reservation: 'stock:read',
  StockMovement: 'stock:read',
  SyncConflict: 'stock:read',
  SyncOperation: 'stock:read',
  SyncPlan: 'stock:read',
  SyncPlanEntry: 'stock:read',
} as const satisfies Record<string, Scope | null>;
export type NodeType = keyof typeof nodeTypes;

const pattern = /^(\w+):([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;
const encodedLengthMax = 128;

export function encodeId(type: string, id: string): string {
  return Buffer.from(`${type}:${id}`, 'utf8').toString('base64url');
}

/** The parts of a global id, or null when it is none of ours. */
export function parseId(globalId: string): { readonly type: NodeType; readonly id: string } | null {
  if (globalId.length > encodedLengthMax) return null;
  const parts = pattern.exec(Buffer.from(globalId, 'base64url').toString('utf8'));
  const [, type, id] = parts ?? [];
  if (type === undefined || id === undefined || !isNodeType(type)) return null;
  return { type, id };
}

/** The UUID in a global id of `type`, or null. */
export function idOf(type: NodeType, globalId: string): string | null {
  const parsed = parseId(globalId);
  return parsed?.type === type ? parsed.id : null;
}

/** Throws BAD_USER_INPUT unless it is a global id of `type`. */
export function requireId(type: NodeType, globalId: string): string {
  const id = idOf(type, globalId);
  if (id === null) throw apiError('BAD_USER_INPUT', `"${globalId.slice(0, 60)}" is not the id of a ${type}.`);
  return id;
}

function isNodeType(type: string): type is NodeType {
  return Object.hasOwn(nodeTypes, type);
}
