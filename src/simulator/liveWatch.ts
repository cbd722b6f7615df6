/** What may not be so for a moment, looked for from the first buyer until everything has come to rest. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Protection } from '../sync/protection.ts';
import type { LiveApi } from './liveApi.ts';
import { raisedUnits } from './liveEdits.ts';
import { rightsBreaches } from './liveInvariants.ts';
import type { LiveWorld } from './liveWorld.ts';

export type Watched = {
  readonly api: Pick<LiveApi, 'item'>;
  readonly world: LiveWorld;
  readonly protection: Protection;
  readonly tell: (breach: string) => void;
};

export type LiveWatch = { end(): Promise<void> };

const pauseMs = 150;

export function startWatch(watched: Watched): LiveWatch {
  const { protection, tell, world } = watched;
  const unwatched =
    protection === 'escrow' ? world.watch(() => shownBreaches(world).forEach(tell)) : () => {};
  const ended = new AbortController();
  const watching = protection === 'shared' ? Promise.resolve() : watchRights(watched, ended.signal);
  return {
    async end() {
      unwatched();
      ended.abort();
      await watching;
    },
  };
}

/** E2, whenever a marketplace shows another number or another number of units is left. What somebody else has put on sale is beside it. */
export function shownBreaches(world: LiveWorld): readonly string[] {
  return world.skus.flatMap((sku) => {
    const [shown, left] = [world.shown(sku), Math.max(0, world.left.get(sku) ?? 0)];
    return shown > left + raisedUnits(world.edits, sku)
      ? [`E2: ${shown} of ${sku} were shown while ${left} were left`]
      : [];
  });
}

/** E1 and E4, again and again. Never rejects: a product that does not answer is a breach as well. */
async function watchRights({ api, tell, world }: Watched, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const sku of world.skus) {
      try {
        rightsBreaches(await api.item(sku), world.edits).forEach(tell);
      } catch (error) {
        tell(`the product could not be asked for ${sku}: ${String(error)}`);
      }
    }
    await delay(pauseMs, undefined, { signal }).catch(() => {});
  }
}
