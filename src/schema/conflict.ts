/** Conflicts: readings that nothing we know explains, with what to do about them. */
import { type Platform as PlatformName, platforms } from '../connectors/connector.ts';
import { readEvidence } from '../sync/conflictEvidence.ts';
import { Actor, actorOf } from './actor.ts';
import { builder } from './builder.ts';
import { ConflictEvidence, PriceEvidence } from './conflictEvidence.ts';
import { byCreation, connectionOf, listField, orderOf, readOne, relatedPage } from './connections.ts';
import { ConflictResolution, ConflictStatus, ConflictType, Platform } from './enums.ts';
import { InventoryItem } from './inventoryItem.ts';
import { Listing } from './listing.ts';
import { Money } from './money.ts';
import { StockMovement } from './movement.ts';
import { enumFilter, instant, member, reference, where } from './where.ts';

export const SyncConflict = builder.prismaNode('SyncConflict', {
  id: { field: 'id' },
  findUnique: (id, context) => ({ id, accountId: context.accountId }),
  nullable: true,
  select: { id: true },
  extensions: { scope: 'stock:read' },
  description: 'A channel shows something that neither our writes nor the known orders explain.',
  fields: (t) => ({
    item: t.relation('item', { description: 'The item concerned.' }),
    listing: t.relation('listing', {
      nullable: true,
      description: 'The listing concerned; null when it is about the item on several channels.',
    }),
    conflictType: t.expose('conflictType', { type: ConflictType, description: 'What does not agree.' }),
    platforms: t.field({
      type: [Platform],
      description: 'The marketplaces concerned.',
      select: { conflictData: true, listing: { select: { platform: true } } },
      resolve: (conflict) =>
        conflict.listing ? [conflict.listing.platform] : platformsOf(conflict.conflictData),
    }),
    suggestedResolution: t.expose('suggestedResolution', {
      type: ConflictResolution,
      description: 'The way out that the evidence supports.',
    }),
    autoResolvable: t.exposeBoolean('autoResolvable', {
      description:
        'Whether the server may decide by itself. False of an edit that may have been made while its listing was switched off: whoever kept the number then may have counted what was sold elsewhere.',
    }),
    status: t.expose('status', { type: ConflictStatus, description: 'Whether it still needs a decision.' }),
    resolution: t.expose('resolution', {
      type: ConflictResolution,
      nullable: true,
      description: 'What was decided; null unless resolved.',
    }),
    version: t.exposeInt('version', {
      description: 'Grows with new evidence. A decision names the version it was made on.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was found.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
    resolvedAt: t.expose('resolvedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was closed; null while open.',
    }),
  }),
});

// The proof, and what became of it.
builder.prismaObjectFields(SyncConflict, (t) => ({
  delta: t.int({
    nullable: true,
    description:
      'Units by which the channel was changed from outside, below 0 for a cut: what USE_LOWEST and USE_HIGHEST choose from. Null for a price.',
    select: { delta: true, conflictType: true },
    resolve: ({ delta, conflictType }) => (conflictType === 'price_mismatch' ? null : Number(delta)),
  }),
  priceDelta: t.field({
    type: Money,
    nullable: true,
    description:
      'By how much the shown price is above the intended one, below 0 for less. Null for a number.',
    select: { delta: true, conflictData: true },
    resolve: ({ delta, conflictData }) => {
      const evidence = readEvidence(conflictData);
      return evidence?.kind === 'price' ? { minor: delta, currency: evidence.shown.currency } : null;
    },
  }),
  provenAt: t.field({
    type: 'DateTime',
    description: 'When the evidence was complete.',
    select: { conflictData: true, createdAt: true },
    resolve: ({ conflictData, createdAt }) => {
      const evidence = readEvidence(conflictData);
      return evidence === null ? createdAt : new Date(evidence.provenAt);
    },
  }),
  evidence: t.field({
    type: ConflictEvidence,
    nullable: true,
    description:
      'What proved it; null for a price, and when it was kept in a form that this version does not know.',
    select: { conflictData: true },
    resolve: ({ conflictData }) => {
      const evidence = readEvidence(conflictData);
      return evidence?.kind === 'quantity' ? evidence : null;
    },
  }),
  priceEvidence: t.field({
    type: PriceEvidence,
    nullable: true,
    description: 'What proved it; null for a number.',
    select: { conflictData: true },
    resolve: ({ conflictData }) => {
      const evidence = readEvidence(conflictData);
      return evidence?.kind === 'price' ? evidence : null;
    },
  }),
  awaitsReview: t.exposeBoolean('awaitsReview', {
    description:
      'Whether somebody said that a person decides (MANUAL_REVIEW): then the policy of the account never does.',
  }),
  resolvedBy: t.field({
    type: Actor,
    nullable: true,
    description: "Who decided; SYSTEM for the account's own policy. Null unless resolved.",
    select: { status: true, resolvedBy: true },
    resolve: ({ status, resolvedBy }) => (status === 'resolved' ? actorOf(resolvedBy) : null),
  }),
  movement: t.relation('movement', {
    type: StockMovement,
    nullable: true,
    description: 'What the decision booked; null when it booked nothing.',
  }),
  supersededBy: t.relation('supersededBy', {
    nullable: true,
    description:
      'The newer conflict that took its place; null when none did: the edits cancel out, or the channel shows what it should.',
  }),
}));

const SyncConflictConnection = connectionOf('SyncConflict', 'conflicts', SyncConflict, 'stock:read');

builder.prismaObjectField(InventoryItem, 'conflicts', (t) =>
  t.field({
    type: SyncConflictConnection,
    description: 'Its conflicts, newest first.',
    ...relatedPage<typeof SyncConflict.$inferType>('conflicts', 'SyncConflict', byCreation(true)),
  }),
);

builder.prismaObjectField(Listing, 'conflicts', (t) =>
  t.field({
    type: SyncConflictConnection,
    description: 'Its conflicts, newest first.',
    ...relatedPage<typeof SyncConflict.$inferType>('conflicts', 'SyncConflict', byCreation(true)),
  }),
);

const order = orderOf('SyncConflictOrderBy', 'conflicts', {
  CREATED_AT: { column: null, kind: 'text', description: 'when it was found' },
  UPDATED_AT: { column: 'updatedAt', kind: 'date', description: 'the last change' },
});

const conflictWhere = where('SyncConflictWhere', 'conflicts', {
  itemId: reference('itemId', 'InventoryItem', 'The item concerned.'),
  listingId: reference('listingId', 'Listing', 'The listing concerned.'),
  conflictType: member(
    'conflictType',
    enumFilter('ConflictTypeFilter', ConflictType),
    'What does not agree.',
  ),
  status: member(
    'status',
    enumFilter('ConflictStatusFilter', ConflictStatus),
    'Whether it still needs a decision.',
  ),
  updatedAt: instant('updatedAt', 'The last change.'),
});

listField('conflicts', {
  type: SyncConflictConnection,
  model: 'syncConflict',
  node: SyncConflict,
  description: 'The conflicts of the account.',
  where: conflictWhere,
  order,
  initial: 'CREATED_AT_DESC',
});

/** One conflict of the caller's account. A null id is answered with null. */
export const readConflict = readOne('syncConflict');

function platformsOf(data: unknown): PlatformName[] {
  const named = (data as { platforms?: unknown } | null)?.platforms;
  return Array.isArray(named) ? platforms.filter((platform) => named.includes(platform)) : [];
}
