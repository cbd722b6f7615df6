/** A shop on two scripted channels, with the operations that bring its items in step and a record of everybody who was woken. */
import type pg from 'pg';
import { type OperationsOptions, settleOperations } from '../../src/sync/operations.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import { pushConnection } from '../../src/sync/push.ts';
import type { WakeUps } from '../../src/sync/wakeUps.ts';
import * as support from './channel.ts';
import * as fixtures from './fixtures.ts';

type Name = 'shopify' | 'etsy';

export type TwoChannels = {
  readonly caller: Caller;
  readonly connections: Readonly<Record<Name, fixtures.TestConnection>>;
  readonly channels: Readonly<Record<Name, support.ScriptedChannel>>;
  /** `push <connection>` and `job <id>`, in order. */
  readonly woken: string[];
  readonly wakeUps: WakeUps;
  /** One entry for each time that subscribers were to be told. */
  readonly told: true[];
  options(more?: Partial<OperationsOptions>): OperationsOptions;
  /** An item listed on some of the channels, showing 9 there while there are 5. */
  listed(...on: readonly Name[]): Promise<fixtures.TestItem>;
  /** One push run, ending the operations of what it settles. */
  push(on: Name, more?: Partial<OperationsOptions>): Promise<void>;
};

export async function openTwoChannels(pool: pg.Pool): Promise<TwoChannels> {
  const accountId = await fixtures.insertAccount(pool);
  const connections = {
    shopify: await fixtures.insertConnection(pool, accountId, 'shopify'),
    etsy: await fixtures.insertConnection(pool, accountId, 'etsy'),
  };
  const channels = { shopify: support.createChannel('shopify'), etsy: support.createChannel('etsy') };
  const woken: string[] = [];
  const told: true[] = [];
  const wakeUps: WakeUps = {
    push: (ids) => void woken.push(...ids.map((id) => `push ${id}`)),
    read: () => undefined,
    poll: () => undefined,
    inbox: () => undefined,
    job: (id) => void woken.push(`job ${id}`),
    observe: () => undefined,
    prices: (ids) => void woken.push(...ids.map((id) => `prices ${id}`)),
    plan: (id) => void woken.push(`plan ${id}`),
    flush: async () => undefined,
  };
  const options = (more: Partial<OperationsOptions> = {}): OperationsOptions => ({
    pool,
    wakeUps,
    onEvents: () => void told.push(true),
    jobBatch: 3,
    jobOpenMax: 100,
    ...more,
  });
  return {
    caller: { accountId, actor: { kind: 'user', id: 'ada' }, correlationId: 'test' },
    connections,
    channels,
    woken,
    wakeUps,
    told,
    options,
    async listed(...on) {
      const item = await fixtures.insertItem(pool, accountId, { onHand: 5 });
      for (const name of on) {
        const unitId = fixtures.unique('unit');
        await fixtures.insertListing(pool, connections[name], { itemId: item.id, unitId });
        support.show(channels[name], { unitId, variantId: '' }, 9);
      }
      return item;
    },
    async push(on, more) {
      const onSettled = (itemIds: readonly string[]) => settleOperations(options(more), itemIds);
      const connected = support.connectTo(pool, channels);
      await pushConnection(support.pushOptions(pool, connected, { onSettled }), connections[on].id);
    },
  };
}
