/** How calls of one connection take turns: whoever could prevent an oversell goes first. */

/** Who goes first where a rate budget is short, the most urgent first: zeroes and lowering writes, orders, raises, readings, prices, whole catalogues. */
export type Urgency = 'lower' | 'orders' | 'raise' | 'read' | 'price' | 'import';

/** How a call takes its turn among all calls of its connection. */
export type Turn = {
  readonly urgency: Urgency;
  /**
   * In milliseconds since the epoch: whoever would have to wait until after this is refused at once, and nothing more is sent. What needs no wait goes on,
   * such as a write after the reading that it needs, but all of it ends within the deadline of one call from here. Absent: each call has its own deadline.
   */
  readonly leaveBy?: number;
};
