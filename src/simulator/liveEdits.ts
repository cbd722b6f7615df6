/** Edits behind our back on the real wire: a seller changes a number in the marketplace's own pages. What they may and may not lead to. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Platform } from '../sandbox/goods.ts';
import type { ConflictSeen } from './liveApi.ts';
import type { OutsideEdit } from './liveBuyers.ts';
import type { LiveFacts } from './liveFacts.ts';
import { type LiveWorld, skuOf } from './liveWorld.ts';

/** Units more or, below 0, less than the marketplace showed. */
export type LiveEdit = { readonly platform: Platform; readonly sku: string; delta: number };

/** Looks at the page until there is a number to change: in steps of 50 ms, at most 5 s long. */
const looks = { most: 100, pauseMs: 50 };

/** A seller who finds the listing taken down, or just changed to the number that was to be put there, looks again a moment later. */
export async function editOnceSeen(world: LiveWorld, edit: OutsideEdit): Promise<void> {
  for (let look = 0; look < looks.most; look++) {
    if (await editOutside(world, edit)) return;
    await delay(looks.pauseMs);
  }
}

/** Through the sandbox's control API, as a person would. An edit of what nobody can see, or of what has just changed, is none: answers whether it was one. */
export async function editOutside(
  world: LiveWorld,
  { platform, item, delta }: OutsideEdit,
): Promise<boolean> {
  const { sandbox, edits, note } = world;
  const sku = skuOf(item);
  const shown = sandbox.displayed(platform)[sku] ?? 0;
  const quantity = Math.max(0, shown + delta);
  // Known before it happens: whoever watches sees it in the same moment.
  const edit: LiveEdit = { platform, sku, delta };
  edits.push(edit);
  const response = await fetch(`${sandbox.controlUrl}/_sandbox/edits`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ platform, sku, quantity, changeFrom: shown }),
  });
  if (response.status === 409) {
    edit.delta = 0;
    return false;
  }
  const { journal } = sandbox.shops[platform];
  const made = journal.values().findLast((one) => one.sku === sku && one.cause === 'outsideEdit');
  // The record of a listing that is taken down still holds what was there before.
  const isSeen = response.ok && made !== undefined && (shown > 0 || made.from === 0);
  edit.delta = isSeen ? made.to - made.from : 0;
  if (!response.ok) throw new Error(`${platform} refused an edit: ${response.status}`);
  if (edit.delta !== 0) note(`${platform}: ${sku} is changed from outside by ${edit.delta}`);
  return edit.delta !== 0;
}

/** What became of an edit by the end. */
export type EditFact = LiveEdit & {
  /** A write of ours landed on it. */
  readonly overwritten: boolean;
};

export function editFacts({ edits, sandbox }: LiveWorld): readonly EditFact[] {
  return edits
    .filter(({ delta }) => delta !== 0)
    .map((edit) => {
      const changes = sandbox.shops[edit.platform].journal.values().filter(({ sku }) => sku === edit.sku);
      const madeAt = changes.findLastIndex(({ cause }) => cause === 'outsideEdit');
      const overwritten = changes.slice(madeAt).some(({ cause }) => cause === 'write');
      return Object.assign({}, edit, { overwritten });
    });
}

/** Units by which edits let channels of the item show more than there is: nothing promises that they are not sold. */
export function raisedUnits(edits: readonly LiveEdit[], sku: string): number {
  return edits.reduce((sum, edit) => sum + (edit.sku === sku ? Math.max(0, edit.delta) : 0), 0);
}

type Place = Pick<LiveEdit, 'platform' | 'sku'>;

function isSame(one: Place, other: Place): boolean {
  return one.platform === other.platform && one.sku === other.sku;
}

/** Conflicts about what nobody has touched. */
export function unfoundedOf({ conflicts, edits }: LiveFacts): readonly ConflictSeen[] {
  return conflicts.filter((conflict) => !edits.some((edit) => isSame(edit, conflict)));
}

/** S3: every edit was told as a conflict, or a write of ours has landed on it. S2: nothing else was told. */
export function conflictBreaches(facts: LiveFacts): readonly string[] {
  const silent = facts.edits.filter(
    (edit) => !edit.overwritten && !facts.conflicts.some((conflict) => isSame(edit, conflict)),
  );
  return [
    ...silent.map(
      ({ platform, sku, delta }) =>
        `S3: ${platform} ${sku} was changed by ${delta} from outside, and nobody noticed`,
    ),
    ...unfoundedOf(facts).map(({ words }) => `S2: a conflict without an outside edit: ${words}`),
  ];
}
