/** Switching the writing of numbers off and on: `listingPause`, `listingResume`, `connectionPause`, `connectionResume`. */
import type { SettingChange } from '../sync/rules.ts';
import { builder } from './builder.ts';
import { idOf } from './globalId.ts';
import { Listing, readListing } from './listing.ts';
import { answered, payloadOf, refusedWith } from './mutation.ts';
import { PlatformConnection, readConnection } from './platformConnection.ts';
import { notFound } from './userErrors.ts';

const ListingSwitchPayload = payloadOf<SettingChange>('ListingSwitchPayload', {
  verbs: '`listingPause` or `listingResume`',
  field: 'listing',
  type: Listing,
  read: readListing,
  description: 'The listing as it is now. Null when this account has no such listing.',
});

const ConnectionSwitchPayload = payloadOf<SettingChange>('ConnectionSwitchPayload', {
  verbs: '`connectionPause` or `connectionResume`',
  field: 'connection',
  type: PlatformConnection,
  read: readConnection,
  description: 'The marketplace account as it is now. Null when this account has no such one.',
});

const ListingSwitchInput = builder.inputType('ListingSwitchInput', {
  description: 'Which listing.',
  fields: (t) => ({
    listingId: t.id({ required: true, description: 'The global id of the listing.' }),
  }),
});

const ConnectionSwitchInput = builder.inputType('ConnectionSwitchInput', {
  description: 'Which marketplace account.',
  fields: (t) => ({
    connectionId: t.id({ required: true, description: 'The global id of the marketplace account.' }),
  }),
});

const ofListing: Readonly<Record<string, readonly [enabled: boolean, description: string]>> = {
  listingPause: [
    false,
    'Stops writing numbers to one listing and leaves what it shows alone; its orders still count. To show 0 instead, set `paused` in its rule. Repeating it changes nothing. Errors: NOT_FOUND.',
  ],
  listingResume: [
    true,
    'Writes numbers to a listing again: it is read, then brought in step. Repeating it changes nothing. Errors: NOT_FOUND.',
  ],
};

for (const [name, [enabled, description]] of Object.entries(ofListing)) {
  builder.mutationField(name, (t) =>
    t.field({
      type: ListingSwitchPayload,
      description,
      extensions: { scope: 'listings:write' },
      args: { input: t.arg({ type: ListingSwitchInput, required: true, description: 'What to do.' }) },
      resolve: async (_root, { input }, { caller, sync }) => {
        const id = idOf('Listing', input.listingId);
        if (id === null) return refusedWith(notFound(['input', 'listingId'], 'listing'));
        const place = { level: 'listing', id } as const;
        return answered(id, await sync.switchSync(caller, { place, enabled }));
      },
    }),
  );
}

const ofConnection: typeof ofListing = {
  connectionPause: [
    false,
    'Stops writing numbers to a marketplace account and asking it for orders; webhooks that it sends still count. Repeating it changes nothing. Errors: NOT_FOUND.',
  ],
  connectionResume: [
    true,
    'Uses a marketplace account again: its orders are fetched, then its listings are read and brought in step. Repeating it changes nothing. Errors: NOT_FOUND.',
  ],
};

for (const [name, [enabled, description]] of Object.entries(ofConnection)) {
  builder.mutationField(name, (t) =>
    t.field({
      type: ConnectionSwitchPayload,
      description,
      extensions: { scope: 'listings:write' },
      args: { input: t.arg({ type: ConnectionSwitchInput, required: true, description: 'What to do.' }) },
      resolve: async (_root, { input }, { caller, sync }) => {
        const id = idOf('PlatformConnection', input.connectionId);
        if (id === null) return refusedWith(notFound(['input', 'connectionId'], 'connection'));
        const place = { level: 'connection', id } as const;
        return answered(id, await sync.switchSync(caller, { place, enabled }));
      },
    }),
  );
}
