/** The words of an explanation: one clause per step, and a summary that a seller can read. Pure. */
import type { Platform } from '../connectors/connector.ts';
import type { RuleLevel, TargetStep } from './core/targets.ts';
import type { Explanation, ExplanationRows, Hold, OpenConflict } from './explanation.ts';
import { beyondRemedy } from './sellsBeyond.ts';

export const platformNames: Readonly<Record<Platform, string>> = {
  etsy: 'Etsy',
  amazon: 'Amazon',
  ebay: 'eBay',
  shopify: 'Shopify',
};

/** What one step did, as a clause without a full stop. */
export function stepWords(
  { step, amount, level }: TargetStep,
  holds: readonly Hold[],
  conflicts: readonly OpenConflict[],
): string {
  const rule = level === null ? '' : ` (${ruleNames[level]})`;
  switch (step) {
    case 'available':
      return `${amount} available`;
    case 'holds':
      return `${amount} held because ${listed(holds.map(({ platform }) => platformNames[platform]))} showed fewer than expected`;
    case 'conflicts':
      return `${-amount} withheld until the conflict on ${listed(
        conflicts
          .filter(({ delta }) => delta < 0)
          .map(({ platform }) => (platform === null ? 'several channels' : platformNames[platform])),
      )} is decided`;
    case 'buffer':
      return `buffer ${amount}${rule}`;
    case 'automaticBuffer':
      return `automatic buffer ${amount} for what the other channels sell meanwhile${rule}`;
    case 'share':
      return `${Number((amount * 100).toFixed(2))} % of it${rule}`;
    case 'fixed':
      return `fixed at ${amount}${rule}`;
    case 'cutOff':
      return `nothing below ${amount}${rule}`;
    case 'quantityMin':
      return `at least ${amount}${rule}`;
    case 'quantityMax':
      return `at most ${amount}${rule}`;
    case 'channelMax':
      return `the channel shows at most ${amount}`;
    case 'notBelowZero':
      return 'never below 0';
    case 'paused':
      return `paused at 0${rule}`;
  }
}

const ruleNames: Readonly<Record<RuleLevel, string>> = {
  listing: 'listing rule',
  connection: 'connection rule',
  account: 'account rule',
};

type Unsummed = Omit<Explanation, 'summary'>;

export function summaryOf(
  explained: Unsummed,
  {
    platform,
    sellsBeyond,
    writable,
  }: Pick<ExplanationRows['listing'], 'platform' | 'sellsBeyond' | 'writable'>,
): string {
  const name = platformNames[platform];
  const { mode, modeReason, rights, target } = explained;
  const sentences: string[] = [];
  // What the channel owns follows from no rule of ours.
  if (target === null || !writable) sentences.push(`${shownWords({ ...explained, target: null }, name)}.`);
  else {
    const steps = explained.steps.map(({ text }) => text).join(', ');
    sentences.push(`${shownWords(explained, name)}: ${steps}.`);
  }
  sentences.push(...partWords(explained));
  if (explained.observedAt !== null) sentences.push(`It was read at ${momentWords(explained.observedAt)}.`);
  if (modeReason !== null)
    sentences.push(mode === 'observe_only' ? `Nothing is written to it: ${modeReason}` : modeReason);
  if (sellsBeyond) sentences.push(`${name} goes on selling it beyond its number. ${beyondRemedy}`);
  if (rights !== null)
    sentences.push(
      `Under escrow it holds ${rights.cur + rights.old + rights.new} rights to sell${elsewhereWords(rights)}; ${rights.free} are free.`,
    );
  if (explained.raisesStopped)
    sentences.push('Nothing is raised until a number that is too high somewhere is explained.');
  sentences.push(...pushWords(explained));
  return sentences.join(' ');
}

function partWords({ parts }: Unsummed): readonly string[] {
  if (parts.length === 0) return [];
  const made = parts.map(
    ({ sku, quantity, available, makes }) =>
      `${quantity} of ${sku} (${available} available, enough for ${Math.max(0, makes)})`,
  );
  const limiting = parts.filter(({ limits }) => limits).map(({ sku }) => sku);
  return [
    `It is made of ${listed(made)}: ${listed(limiting)} ${limiting.length === 1 ? 'limits' : 'limit'} it.`,
  ];
}

function elsewhereWords({ elsewhere }: NonNullable<Unsummed['rights']>): string {
  return elsewhere
    .map(({ platform, connectionName, units }) => `, ${platformNames[platform]} (${connectionName}) ${units}`)
    .join('');
}

function shownWords({ shown, target, mode }: Unsummed, name: string): string {
  const would = mode === 'observe_only' ? 'would' : 'should';
  const wanted = target !== null && mode !== 'escrow' ? `${would} show ${target}` : null;
  if (shown === null) return `What ${name} shows is not known${wanted === null ? '' : `; it ${wanted}`}`;
  const range = shown.low === shown.high ? `${shown.low}` : `${shown.low} to ${shown.high}`;
  const right = shown.low === target && shown.high === target;
  return `${name} shows ${range}${wanted === null || right ? '' : ` and ${wanted}`}`;
}

function pushWords({ candidates, ordersSince, push, waitingSince }: Unsummed): readonly string[] {
  const sentences: string[] = [];
  const open = candidates.filter(({ settledAt, state }) => settledAt === null && state !== 'REJECTED');
  for (const candidate of open)
    sentences.push(
      `A write of ${candidate.value} at ${timeWords(candidate.sentAt)} ${openWords(candidate)}.`,
    );
  if (push?.state === 'rejected')
    sentences.push(
      `The last write, ${push.quantity}, was refused${push.error === null ? '' : `: ${push.error}`}.`,
    );
  if (ordersSince !== null && ordersSince.orders > 0)
    sentences.push(
      `Since the last write ${counted(ordersSince.orders, 'order')} of ${counted(ordersSince.units, 'unit')} came in there.`,
    );
  if (waitingSince !== null) sentences.push(`It waits since ${timeWords(waitingSince)} to be written.`);
  return sentences;
}

function openWords({ state, queued }: Unsummed['candidates'][number]): string {
  if (state === 'UNKNOWN')
    return `is not confirmed: it got no answer${queued ? ', and may stand in a queue of the channel' : ''}`;
  return queued && state === 'ACCEPTED'
    ? 'went together with others into a queue that the channel has not worked off yet'
    : 'is not confirmed yet';
}

function timeWords(at: Date): string {
  return `${at.toISOString().slice(11, 19)} UTC`;
}

/** With the day: an observed number may be an old one. */
function momentWords(at: Date): string {
  return `${at.toISOString().slice(0, 10)} ${timeWords(at)}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function listed(names: readonly string[]): string {
  const different = [...new Set(names)];
  const last = different.at(-1) ?? 'a channel';
  return different.length < 2 ? last : `${different.slice(0, -1).join(', ')} and ${last}`;
}
