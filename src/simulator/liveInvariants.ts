/** The promises of section 9 of the model that can be seen from outside, checked on plain facts: each breach is a sentence that begins with the promise's name. */
import type { ItemSeen } from './liveApi.ts';
import { conflictBreaches, type LiveEdit, raisedUnits } from './liveEdits.ts';
import type { LineFact, LiveFacts } from './liveFacts.ts';

/** At the end, when everything has come to rest. */
export function breachesOf(facts: LiveFacts): readonly string[] {
  return [
    ...facts.items.flatMap((item) => ledgerBreaches(facts, item)),
    ...facts.items.flatMap((item) => rightsBreaches(item, facts.edits)),
    ...unrestOf(facts),
    ...(facts.restless ? ['S5: channels are still written in the quiet'] : []),
    ...oversellBreaches(facts),
    ...writeOrderBreaches(facts),
    ...conflictBreaches(facts),
  ];
}

/**
 * I1: the projection is the sum of the movements, and the stock is what was delivered, less what was taken away from outside and believed. S10: nothing
 * but orders, deliveries and that moves stock.
 */
function ledgerBreaches({ movements, delivered, edits }: LiveFacts, item: ItemSeen): readonly string[] {
  const { sku, quantity, reserved, available, seq } = item;
  const own = movements.filter((movement) => movement.sku === sku);
  const onHand = own.reduce((sum, { onHandDelta }) => sum + onHandDelta, 0);
  const held = own.reduce((sum, { reservedDelta }) => sum + reservedDelta, 0);
  const breaches: string[] = [];
  if (quantity !== onHand || reserved !== held || available !== quantity - reserved)
    breaches.push(
      `I1: ${sku} has ${quantity} on hand, ${reserved} reserved, ${available} available; its movements say ${onHand} and ${held}`,
    );
  if (own.length !== seq || own.some((movement, index) => movement.seq !== index + 1))
    breaches.push(`I1: the movements of ${sku} have gaps`);
  const expected = delivered[sku] ?? 0;
  const cut = edits.reduce((sum, edit) => sum + (edit.sku === sku ? Math.min(0, edit.delta) : 0), 0);
  const believed = own.reduce(
    (sum, { kind, onHandDelta }) => sum + (kind === 'resolution' ? onHandDelta : 0),
    0,
  );
  if (quantity !== expected + believed || believed > 0 || believed < cut)
    breaches.push(
      `I1: ${sku} has ${quantity} on hand, ${expected} were delivered, and of a cut of ${-cut} ${-believed} were believed`,
    );
  const known = cut < 0 ? ['opening', 'adjustment', 'resolution'] : ['opening', 'adjustment'];
  for (const { kind, ofOrder, seq: number } of own) {
    if (!(kind === 'order' ? ofOrder : known.includes(kind)))
      breaches.push(`S10: movement ${number} of ${sku} is a ${kind} that nobody asked for`);
  }
  return breaches;
}

/** What may be so for a while, and must not be once everything has come to rest. */
export function unrestOf(facts: LiveFacts): readonly string[] {
  return [...orderBreaches(facts), ...restBreaches(facts)];
}

/** E2: under escrow nothing is sold that is not there, but for units that somebody else has put on sale. */
function oversellBreaches({ items, oversold, protection, edits }: LiveFacts): readonly string[] {
  if (protection !== 'escrow') return [];
  const raised = items.reduce((sum, { sku }) => sum + raisedUnits(edits, sku), 0);
  const off = items.filter(({ escrow }) => escrow === null);
  return [
    ...(oversold > raised ? [`E2: ${oversold} units were oversold under escrow`] : []),
    ...off.map(({ sku }) => `E2: ${sku} is not under escrow any more`),
  ];
}

/** I2: the ledger holds for every order line exactly what the marketplace says was ordered, once. */
function orderBreaches({ held, ordered }: LiveFacts): readonly string[] {
  const ours = unitsByLine(held);
  const theirs = unitsByLine(ordered);
  return [...new Set([...ours.keys(), ...theirs.keys()])].flatMap((line) => {
    const [known, sold] = [ours.get(line), theirs.get(line)];
    if (known === sold) return [];
    if (known === undefined) return sold === '0' ? [] : [`I2: ${line} of ${sold} is not in the ledger`];
    if (sold === undefined) return [`I2: ${line} of ${known} is in the ledger, and nobody ordered it`];
    return [`I2: ${line} counts ${known} in the ledger, and ${sold} were ordered`];
  });
}

/** Two lines of one order and item are told apart by their number of units only, so all of them are named together. */
function unitsByLine(lines: readonly LineFact[]): ReadonlyMap<string, string> {
  const groups = Map.groupBy(lines, ({ platform, orderId, sku }) => `${platform} order ${orderId}, ${sku}`);
  return new Map([...groups].map(([line, group]) => [line, unitsOf(group)]));
}

function unitsOf(group: readonly LineFact[]): string {
  return group
    .map(({ units }) => units)
    .toSorted((one, other) => one - other)
    .join(' and ');
}

/** E1: rights add up. E4: no unit is paused while every assumption holds: one that somebody else has raised breaks A4. Asked all the time. */
export function rightsBreaches(
  { sku, escrow }: ItemSeen,
  edits: readonly LiveEdit[] = [],
): readonly string[] {
  if (escrow === null) return [];
  const { available, free, shortfall, rights } = escrow;
  const charged = rights.reduce(
    (sum, { inForce, replaced, pending }) => sum + inForce + replaced + pending,
    0,
  );
  const breaches: string[] = [];
  if (available !== free + charged - shortfall)
    breaches.push(
      `E1: ${sku} has ${available} available, but ${free} free, ${charged} granted, ${shortfall} short`,
    );
  if (free < 0 || shortfall < 0 || (free > 0 && shortfall > 0))
    breaches.push(`E1: ${sku} has ${free} free and is ${shortfall} short`);
  if (rights.some(({ inForce, replaced, pending }) => Math.min(inForce, replaced, pending) < 0))
    breaches.push(`E1: a listing of ${sku} has rights below 0`);
  const mayPause = (platform: string) =>
    edits.some((edit) => edit.platform === platform && edit.sku === sku && edit.delta > 0);
  for (const { paused, platform } of rights)
    if (paused !== null && !mayPause(platform))
      breaches.push(`E4: ${sku} is paused although all assumptions hold: ${paused}`);
  return breaches;
}

/** S5: every channel shows its target, the product knows it, and nothing waits. Under escrow E1 to E3 as well. */
function restBreaches({ items, shown, left, waiting, edits }: LiveFacts): readonly string[] {
  const breaches = items.flatMap((item) => {
    const own = shown.filter((one) => one.sku === item.sku);
    const sum = own.reduce((total, { units }) => total + units, 0);
    const there = Math.max(0, left[item.sku] ?? 0) + raisedUnits(edits, item.sku);
    return own.flatMap((one) => channelBreaches(item, one)).concat(escrowBreaches(item, sum, there));
  });
  return breaches.concat(waiting.map((words) => `S5: ${words} still waits to be written after the quiet`));
}

/** E1: the rights are shared out of what the ledger has. E2: no more is shown than there is. E3: what is free is offered somewhere. */
function escrowBreaches(
  { sku, available, escrow }: ItemSeen,
  shown: number,
  there: number,
): readonly string[] {
  if (escrow === null) return [];
  return [
    ...(escrow.available === available
      ? []
      : [`E1: the escrow of ${sku} counts ${escrow.available} available, and the ledger ${available}`]),
    ...(shown <= there ? [] : [`E2: ${shown} of ${sku} are shown at the end, and ${there} are left`]),
    ...(escrow.free === 0 || shown > 0 ? [] : [`E3: ${escrow.free} of ${sku} are free, and none is shown`]),
  ];
}

/** Under escrow the target is the right in force, and no right is left over from the way there. */
function channelBreaches(
  { sku, available, escrow, listings }: ItemSeen,
  { platform, units }: LiveFacts['shown'][number],
): readonly string[] {
  const shows = `S5: ${platform} shows ${units} of ${sku} after the quiet`;
  const believed = listings.find((listing) => listing.platform === platform)?.quantity;
  const right = escrow?.rights.find((one) => one.platform === platform);
  const wanted = escrow === null ? Math.max(0, available) : (right?.inForce ?? 0);
  const unsettled = (right?.replaced ?? 0) + (right?.pending ?? 0);
  return [
    ...(units === wanted ? [] : [`${shows}, not ${wanted}`]),
    ...(units === believed ? [] : [`${shows}, and is thought to show ${believed}`]),
    ...(unsettled === 0 ? [] : [`${shows}, and ${unsettled} more are granted there`]),
  ];
}

/** S6: per listing no write is from an older state of the ledger than the one sent before it. */
function writeOrderBreaches({ writes }: LiveFacts): readonly string[] {
  const newest = new Map<string, number>();
  return writes.flatMap(({ platform, sku, targetSeq }) => {
    const listing = `${platform} ${sku}`;
    const before = newest.get(listing) ?? 0;
    newest.set(listing, Math.max(before, targetSeq));
    return targetSeq < before
      ? [`S6: ${listing} was written for seq ${targetSeq} after seq ${before} had been sent`]
      : [];
  });
}
