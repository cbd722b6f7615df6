/** How calls of one connection take turns: whoever could prevent an oversell goes first. */

/** Who goes first where a rate budget is short, the most urgent first: zeroes and lowering writes, orders, raises, readings, prices, whole catalogues. */
export type Urgency = 'lower' | 'orders' | 'raise' | 'read' | 'price' | 'import';

/** How a call takes its turn among all calls of its connection. */
export type Turn = {
  readonly urgency: Urgency;
  /**
   * In milliseconds since the epoch: whoever would have to wait until after this is refused at once, and nothing more is sent. A call under way is not
   * cut short. Absent: only the deadline counts.
   */
  readonly leaveBy?: number;
};
