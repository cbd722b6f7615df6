/** From what is available to what a channel shows, with every step of the way as data. Pure. */

/** One level of rules. What a level leaves out, the level above it decides; every number is in units unless said otherwise. */
export type TargetRule = {
  /** Units withheld. */
  readonly buffer?: number;
  /** Below this many sellable units nothing is shown. */
  readonly cutOff?: number;
  readonly quantityMax?: number;
  readonly quantityMin?: number;
  /** Share of the sellable units, from 0 to 1. */
  readonly share?: number;
  /** Shown as long as that many are available; fewer when fewer are. */
  readonly fixed?: number;
  readonly paused?: boolean;
};

export type RuleLevel = 'account' | 'connection' | 'listing';
export type RuleLevels = Readonly<Partial<Record<RuleLevel, TargetRule>>>;

export type TargetInput = {
  /** On hand minus reserved; may be negative. */
  readonly available: number;
  /** Units withheld because of sales that are suspected but not known, over all units of the item; 0 or more. */
  readonly holds: number;
  /** What open conflicts withhold until they are decided; 0 or less. */
  readonly conflictDelta: number;
  readonly rules: RuleLevels;
  /** The automatic buffer, used where no level names one. */
  readonly automaticBuffer?: number;
  /** The largest number the channel can show (Etsy 999). */
  readonly channelMax: number;
};

/** One step: what was done, and the number after it. */
export type TargetStep = {
  readonly step:
    | 'available'
    | 'holds'
    | 'conflicts'
    | 'buffer'
    | 'automaticBuffer'
    | 'share'
    | 'fixed'
    | 'cutOff'
    | 'quantityMin'
    | 'quantityMax'
    | 'channelMax'
    | 'notBelowZero'
    | 'paused';
  /** What the rule says: units, a share, or 1 for paused. */
  readonly amount: number;
  /** The level that says it; null when it is no rule. */
  readonly level: RuleLevel | null;
  readonly result: number;
};

export type Target = { readonly target: number; readonly steps: readonly TargetStep[] };

type Setting<Key extends keyof TargetRule> = {
  readonly value: NonNullable<TargetRule[Key]>;
  readonly level: RuleLevel;
};

const levels: readonly RuleLevel[] = ['listing', 'connection', 'account'];

/** What the nearest level that says anything says. */
function settingOf<Key extends keyof TargetRule>(rules: RuleLevels, key: Key): Setting<Key> | undefined {
  for (const level of levels) {
    const value = rules[level]?.[key];
    if (value !== undefined) return { value, level };
  }
  return undefined;
}

/**
 * `clamp(floor((available - holds - buffer) x share), min, max)`, with 0 below the cut-off and while paused. A minimum or a fixed quantity never
 * offers what is not there. Without a rule it is what is available.
 */
export function targetOf(input: TargetInput): Target {
  const { available, holds, conflictDelta, rules, channelMax } = input;
  const steps: TargetStep[] = [{ step: 'available', amount: available, level: null, result: available }];
  let now = available;
  const step = (name: TargetStep['step'], amount: number, level: RuleLevel | null, result: number) => {
    now = result;
    steps.push({ step: name, amount, level, result });
  };
  if (holds > 0) step('holds', holds, null, now - holds);
  if (conflictDelta < 0) step('conflicts', conflictDelta, null, now + conflictDelta);
  const buffer = settingOf(rules, 'buffer');
  if (buffer !== undefined) step('buffer', buffer.value, buffer.level, now - buffer.value);
  else if (input.automaticBuffer !== undefined)
    step('automaticBuffer', input.automaticBuffer, null, now - input.automaticBuffer);
  const sellable = Math.max(0, now);
  const share = settingOf(rules, 'share');
  if (share !== undefined) step('share', share.value, share.level, Math.floor(sellable * share.value));
  const fixed = settingOf(rules, 'fixed');
  if (fixed !== undefined) step('fixed', fixed.value, fixed.level, Math.min(sellable, fixed.value));
  const quantityMin = settingOf(rules, 'quantityMin');
  if (quantityMin !== undefined && now < quantityMin.value)
    step('quantityMin', quantityMin.value, quantityMin.level, Math.min(sellable, quantityMin.value));
  const cutOff = settingOf(rules, 'cutOff');
  if (cutOff !== undefined && sellable < cutOff.value) step('cutOff', cutOff.value, cutOff.level, 0);
  const quantityMax = settingOf(rules, 'quantityMax');
  if (quantityMax !== undefined && now > quantityMax.value)
    step('quantityMax', quantityMax.value, quantityMax.level, quantityMax.value);
  if (now > channelMax) step('channelMax', channelMax, null, channelMax);
  const paused = settingOf(rules, 'paused');
  if (paused?.value === true) step('paused', 1, paused.level, 0);
  if (now < 0) step('notBelowZero', 0, null, 0);
  return { target: now, steps };
}

/**
 * Bundles that can still be made: the least over the components, each of which is needed `quantity` times (at least 1). Below 0 when a component is
 * oversold, so that everything that is made of it goes to zero. At least one component.
 */
export function bundleAvailable(
  components: readonly { readonly available: number; readonly quantity: number }[],
): number {
  if (components.length === 0) throw new RangeError('a bundle of nothing');
  return Math.min(...components.map(({ available, quantity }) => Math.floor(available / quantity)));
}

/**
 * The smallest buffer b with P[Poisson(rate x tau) > b] <= epsilon: as many units as the *other* channels may sell before a lowered number is in
 * force here. `ratePerMs` in units per millisecond, `tau` in milliseconds from a sale to the number being in force, `epsilon` in (0, 1).
 */
export function automaticBuffer(ratePerMs: number, tau: number, epsilon: number): number {
  const mean = ratePerMs * tau;
  if (!(mean >= 0) || !(epsilon > 0 && epsilon < 1))
    throw new RangeError(`no buffer for a mean of ${mean} at ${epsilon}`);
  if (mean === 0) return 0;
  // Past this mean the terms underflow; the normal distribution is then exact enough, and errs upwards.
  if (mean > 500) return Math.ceil(mean + 6 * Math.sqrt(mean));
  let term = Math.exp(-mean);
  let within = term;
  let buffer = 0;
  while (1 - within > epsilon && term > Number.MIN_VALUE) {
    buffer += 1;
    term *= mean / buffer;
    within += term;
  }
  return buffer;
}
