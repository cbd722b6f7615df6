/** From what is available to what a channel shows. Pure. */

export type TargetRule = {
  /** Units withheld from the channel: the listing's own buffer, else its connection's. */
  readonly buffer: number;
  /** The largest number to show; null when nothing but the channel limits it. */
  readonly quantityMax: number | null;
  /** The largest number the channel can show. */
  readonly channelMax: number;
};

/** The number a listing should show. `available` may be negative; what is shown never is. */
export function targetQuantity(available: number, rule: TargetRule): number {
  const upper = Math.min(rule.quantityMax ?? rule.channelMax, rule.channelMax);
  return Math.min(Math.max(available - rule.buffer, 0), upper);
}
