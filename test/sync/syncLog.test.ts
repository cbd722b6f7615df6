/** Proves that whatever somebody has changed is one line of the log that names the change, who made it, by which request, and what it was about. */
import { expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import type { Caller, Outcome } from '../../src/sync/outcome.ts';
import { loggedSync } from '../../src/sync/syncLog.ts';
import { createFakeSync } from '../schema/fakeSync.ts';

const caller: Caller = {
  accountId: 'account',
  actor: { kind: 'user', id: 'ada' },
  correlationId: 'request-1',
};
const missing = '00000000-0000-7000-8000-000000000000';

/** Each verb with what it is asked, and what of that its line names. */
const verbs: Readonly<Record<string, readonly [input: unknown, message: string, ids: object]>> = {
  adjustStock: [{ itemId: 'item' }, 'stock adjusted', { itemId: 'item' }],
  setStock: [{ itemId: 'item' }, 'stock set', { itemId: 'item' }],
  syncItem: [{ itemId: 'item' }, 'operation queued', { itemId: 'item', operationId: missing }],
  syncAll: [{}, 'job queued', { jobId: missing }],
  createPlan: [{ connectionId: 'place' }, 'plan begun', { planId: missing, connectionId: 'place' }],
  setPlanEntries: [{ planId: 'plan' }, 'plan entries set', { planId: 'plan' }],
  applyPlan: [{ planId: 'plan' }, 'plan applied', { planId: 'plan' }],
  undoPlan: ['plan', 'plan undone', { planId: 'plan' }],
  updateOrderStatus: [{ orderId: 'order' }, 'order status set', { orderId: 'order' }],
  acknowledgeAlert: ['alert', 'alert acknowledged', { alertId: 'alert' }],
  resolveConflicts: [
    { conflicts: [{ conflictId: 'conflict' }] },
    'conflicts decided',
    { itemId: missing, conflictIds: ['conflict'], movementId: null },
  ],
  setConflictPolicy: [{}, 'conflict policy set', {}],
  setItemPrice: [{ itemId: 'item' }, 'price set', { itemId: 'item' }],
  setProtection: [{ itemId: 'item' }, 'protection set', { itemId: 'item' }],
  resumeEscrow: ['listing', 'listing resumed', { listingId: 'listing' }],
  approveBlast: ['place', 'stopped change approved', { connectionId: 'place' }],
  mapListing: [
    { listingId: 'listing', itemId: 'item' },
    'listing mapped',
    { listingId: 'listing', itemId: 'item' },
  ],
  mapSku: [{ sku: 'MUG', itemId: 'item' }, 'SKU mapped', { itemId: 'item' }],
  setRule: [{ place: { level: 'listing', id: 'listing' } }, 'rule set', { listingId: 'listing' }],
  switchSync: [
    { place: { level: 'connection', id: 'place' }, enabled: false },
    'sync switched',
    { connectionId: 'place', enabled: false },
  ],
  updateAccountSettings: [{}, 'account settings set', {}],
  setBundle: [{ itemId: 'item' }, 'bundle set', { itemId: 'item' }],
  createReservation: [
    { lines: [{ itemId: 'item', quantity: 1 }] },
    'reservation made',
    { reservationId: missing, itemIds: ['item'] },
  ],
  extendReservation: [{ reservationId: 'held' }, 'reservation extended', { reservationId: 'held' }],
  commitReservation: [{ reservationId: 'held' }, 'reservation committed', { reservationId: 'held' }],
  releaseReservation: [{ reservationId: 'held' }, 'reservation released', { reservationId: 'held' }],
  returnOrder: [{ orderId: 'order' }, 'order returned', { orderId: 'order' }],
};

function recorded() {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const fake = createFakeSync();
  const sync = loggedSync(createLog({ level: 'info', readable: false, destination }), fake);
  const run = (verb: string, input: unknown): Promise<Outcome<unknown>> =>
    (sync as unknown as Record<string, (by: Caller, input: unknown) => Promise<Outcome<unknown>>>)[verb]?.(
      caller,
      input,
    ) ?? Promise.reject(new Error(`there is no verb ${verb}`));
  return { lines, fake, run };
}

test.each(Object.keys(verbs))('%s is one line with who did it and what it was about', async (verb) => {
  const [input, message, ids] = verbs[verb] ?? [null, '', {}];
  const { lines, run } = recorded();
  expect(await run(verb, input)).toMatchObject({ ok: true });
  expect(lines).toMatchObject([
    { level: 'info', msg: message, requestId: 'request-1', actor: 'user:ada', ...ids },
  ]);
  expect(lines[0]).toHaveProperty('accountId');
});

test('every verb that changes something is among them', async () => {
  const { fake, run } = recorded();
  const notVerbs = new Set(['calls', 'answerNext', 'publish', 'openStreams', 'opened', 'events']);
  const reading = new Set([
    'explain',
    'exposures',
    'observedListings',
    'observations',
    'protectionSuggestions',
    'connectionHealth',
    'syncHealth',
  ]);
  const all = Object.keys(fake).filter((name) => !notVerbs.has(name) && !reading.has(name));
  expect(all.toSorted()).toEqual(Object.keys(verbs).toSorted());
  await run('adjustStock', { itemId: 'item' });
  expect(fake.calls).toMatchObject([{ verb: 'adjustStock', accountId: 'account' }]);
});

test('a refusal is no line', async () => {
  const { lines, fake, run } = recorded();
  fake.answerNext({ ok: false, problems: [{ code: 'NOT_FOUND', message: 'no', field: [] }] });
  expect(await run('setBundle', { itemId: 'item' })).toMatchObject({ ok: false });
  expect(lines).toEqual([]);
});
