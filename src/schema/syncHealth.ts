/** How well synchronising works: measured numbers per marketplace account, and in plain words for the whole account. */

import type { BoundInForce, MeasuredBound } from '../sync/bounds.ts';
import type {
  ConnectionHealth as ConnectionHealthShape,
  SyncHealth as SyncHealthShape,
} from '../sync/health.ts';
import type { Measure, MeasureName } from '../sync/measures.ts';
import { batched } from './batches.ts';
import { builder } from './builder.ts';
import { AlertKind, ConflictType } from './enums.ts';
import { PlatformConnection, readConnection } from './platformConnection.ts';

const scoped = { scope: 'stock:read' };

const HealthStatus = builder.enumType('HealthStatus', {
  description: 'How well synchronising works.',
  values: {
    OK: { value: 'ok', description: 'All is well.' },
    DEGRADED: {
      value: 'degraded',
      description: 'It works, and something needs a look; the reasons say what.',
    },
    BROKEN: { value: 'broken', description: 'A marketplace account cannot be used; the reasons say why.' },
  } as const,
});

const Latency = builder.objectRef<Measure>('Latency').implement({
  description: 'How long something takes, from the newest 200 samples.',
  extensions: scoped,
  fields: (t) => ({
    p50Ms: t.exposeFloat('p50', { description: 'Half of them took at most so many milliseconds.' }),
    p90Ms: t.exposeFloat('p90', { description: 'Nine of ten took at most so many milliseconds.' }),
    p95Ms: t.exposeFloat('p95', { description: 'Nineteen of twenty took at most so many milliseconds.' }),
    maxMs: t.exposeFloat('max', { description: 'The longest took so many milliseconds.' }),
    count: t.int({
      description: 'How many were ever measured, 1 or more.',
      resolve: ({ count }) => Math.min(count, 2_147_483_647),
    }),
  }),
});

const Drift = builder.objectRef<ConnectionHealthShape['drift'][number]>('Drift').implement({
  description: 'Conflicts of one type that were found within the last 24 hours.',
  extensions: scoped,
  fields: (t) => ({
    conflictType: t.expose('type', { type: ConflictType, description: 'What did not agree.' }),
    count: t.exposeInt('count', { description: 'How many, 1 or more.' }),
  }),
});

const latencies: Readonly<Record<MeasureName, string>> = {
  saleToKnown: 'From a sale there, by its own clock, until it is in the ledger; null before the first.',
  writeToEffective: 'From sending a number until it is in force there; null before the first.',
  saleToEffective: 'From a sale anywhere until the lowered number is in force there; null before the first.',
  saleToEverywhere: 'From a sale there until every listing of the item is in step; null before the first.',
};

const BoundSource = builder.enumType('BoundSource', {
  description: 'Where a bound comes from.',
  values: {
    DEFAULT: { value: 'default', description: "The marketplace's safe default." },
    SET: { value: 'set', description: 'Set when the account was connected.' },
    MEASURED: {
      value: 'measured',
      description:
        'The channel was later, or its clock further off, than its bound once: measured, with a margin of a quarter, an hour at most.',
    },
  } as const,
});

const ChannelBound = builder.objectRef<BoundInForce>('ChannelBound').implement({
  description:
    'How late a marketplace is at worst, or how far its clock is off; everything that is decided reckons with it.',
  extensions: scoped,
  fields: (t) => ({
    ms: t.exposeInt('ms', { description: 'Milliseconds, 0 or more.' }),
    source: t.expose('source', { type: BoundSource, description: 'Where it comes from.' }),
  }),
});

export const ConnectionHealth = builder.objectRef<ConnectionHealthShape>('ConnectionHealth').implement({
  description: 'How well one marketplace account works.',
  extensions: scoped,
  fields: (t) => ({
    status: t.expose('health', { type: HealthStatus, description: 'All of it in one word.' }),
    reasons: t.exposeStringList('reasons', { description: 'Why it is not OK, in plain words. May change.' }),
    connection: t.prismaField({
      type: PlatformConnection,
      nullable: true,
      description: 'The marketplace account; null when it was removed meanwhile.',
      resolve: (query, health, _args, context) => readConnection(query, context, health.connectionId),
    }),
    saleToKnown: t.field({
      type: Latency,
      nullable: true,
      description: latencies.saleToKnown,
      resolve: ({ measures }) => measures.saleToKnown,
    }),
    writeToEffective: t.field({
      type: Latency,
      nullable: true,
      description: latencies.writeToEffective,
      resolve: ({ measures }) => measures.writeToEffective,
    }),
    saleToEffective: t.field({
      type: Latency,
      nullable: true,
      description: latencies.saleToEffective,
      resolve: ({ measures }) => measures.saleToEffective,
    }),
    saleToEverywhere: t.field({
      type: Latency,
      nullable: true,
      description: latencies.saleToEverywhere,
      resolve: ({ measures }) => measures.saleToEverywhere,
    }),
  }),
});

const bounds: Readonly<Record<MeasuredBound, string>> = {
  staleMaxMs: 'How old what it shows may be when it is read; null before it was first used.',
  settleMaxMs:
    'How long a number may take to be in force once the request has left; null before it was first used.',
  indexLagMs: 'How long after a sale its order may be missing; null before it was first used.',
  clockSkewMaxMs: 'How far its clock may be from ours; null before it was first used.',
};

builder.objectFields(ConnectionHealth, (t) => ({
  staleMax: t.field({
    type: ChannelBound,
    nullable: true,
    description: bounds.staleMaxMs,
    resolve: (health) => health.bounds.staleMaxMs,
  }),
  settleMax: t.field({
    type: ChannelBound,
    nullable: true,
    description: bounds.settleMaxMs,
    resolve: (health) => health.bounds.settleMaxMs,
  }),
  indexLag: t.field({
    type: ChannelBound,
    nullable: true,
    description: bounds.indexLagMs,
    resolve: (health) => health.bounds.indexLagMs,
  }),
  clockSkew: t.field({
    type: ChannelBound,
    nullable: true,
    description: bounds.clockSkewMaxMs,
    resolve: (health) => health.bounds.clockSkewMaxMs,
  }),
}));

// What is counted, and since when.
builder.objectFields(ConnectionHealth, (t) => ({
  resurrectedUnits: t.exposeInt('resurrectedUnits', {
    description: 'Units that a write of ours may have offered a second time, ever; 0 or more.',
  }),
  unknownWrites: t.exposeInt('unknownWrites', {
    description: 'Writes without an answer that are not read back yet, 0 or more.',
  }),
  unknownWritesLastDay: t.exposeInt('unknownWritesLastDay', {
    description: 'Writes of the last 24 hours that got no answer at first, 0 or more.',
  }),
  driftFound: t.expose('drift', {
    type: [Drift],
    description:
      'Conflicts found within the last 24 hours, by type; those that came to nothing are left out.',
  }),
  waitingListings: t.exposeInt('waitingListings', {
    description: 'Listings that wait to be brought in step, 0 or more.',
  }),
  waitingSince: t.expose('waitingSince', {
    type: 'DateTime',
    nullable: true,
    description: 'Since when the first of them waits; null when none does.',
  }),
  lastPolledAt: t.expose('lastPolledAt', {
    type: 'DateTime',
    nullable: true,
    description: 'When its orders were last asked for; null before the first time.',
  }),
  ordersKnownUntil: t.expose('ordersKnownUntil', {
    type: 'DateTime',
    nullable: true,
    description: "The channel's time up to which every order is known; null before the first poll.",
  }),
  failingSince: t.expose('failingSince', {
    type: 'DateTime',
    nullable: true,
    description: 'Since when it has answered with nothing but errors; null when the last answer was good.',
  }),
  failedDeliveries: t.exposeInt('failedDeliveries', {
    description: 'Webhooks of it that could not be applied and were set aside, 0 or more.',
  }),
}));

const AlertCount = builder.objectRef<SyncHealthShape['openAlerts'][number]>('AlertCount').implement({
  description: 'Alerts of one kind that are not resolved.',
  extensions: scoped,
  fields: (t) => ({
    kind: t.expose('kind', { type: AlertKind, description: 'What they are about.' }),
    count: t.exposeInt('count', { description: 'How many, 1 or more.' }),
  }),
});

const SyncHealth = builder.objectRef<SyncHealthShape>('SyncHealth').implement({
  description: 'How well synchronising works for the account.',
  extensions: scoped,
  fields: (t) => ({
    status: t.expose('health', { type: HealthStatus, description: 'All of it in one word.' }),
    summary: t.exposeString('summary', { description: 'All of it in plain words. May change.' }),
    reasons: t.exposeStringList('reasons', { description: 'Why it is not OK, in plain words. May change.' }),
    openAlerts: t.expose('openAlerts', {
      type: [AlertCount],
      description: 'Alerts that are not resolved, by kind; kinds without any are left out.',
    }),
    connections: t.expose('connections', {
      type: [ConnectionHealth],
      description: 'Every marketplace account, oldest first.',
    }),
  }),
});

const healthOf = batched<ConnectionHealthShape>(({ accountId, sync }, ids) =>
  sync.connectionHealth(accountId, ids),
);

builder.prismaObjectField(PlatformConnection, 'health', (t) =>
  t.field({
    type: ConnectionHealth,
    nullable: true,
    description: 'How well it works. Null when it was removed meanwhile.',
    select: { id: true },
    resolve: (connection, _args, context) => healthOf(context, connection.id),
  }),
);

builder.queryField('syncHealth', (t) =>
  t.field({
    type: SyncHealth,
    description: 'How well synchronising works, in plain words.',
    resolve: (_root, _args, { accountId, sync }) => sync.syncHealth(accountId),
  }),
);
