/** Says in plain words why a listing shows the price that it shows, and what is being done about it. Pure. */

/** Amounts as people read them, such as `24.50 EUR`. */
export type PriceFacts = {
  readonly shown: string | null;
  /** What the item should cost; null when nobody has said, or when no item is known. */
  readonly intended: string | null;
  readonly sameCurrency: boolean;
  /** True when they differ by no more than the account minds. */
  readonly inStep: boolean;
  readonly hasItem: boolean;
  /** Why nothing is written now; null when something would be. */
  readonly paused: string | null;
  /** Null when nothing is to be written. */
  readonly write: {
    readonly state: 'waiting' | 'sent' | 'accepted' | 'unknown' | 'refused' | 'shown';
    readonly sent: string | null;
    readonly error: string | null;
    /** True while it stands in a queue of the channel, together with others. */
    readonly queued?: boolean;
  } | null;
};

export function explainPrice(facts: PriceFacts): string {
  const { shown, intended, hasItem, sameCurrency, write } = facts;
  if (!hasItem) return 'It is not known which item it sells, so nobody says what it should cost.';
  if (intended === null) return 'Nobody has said what its item should cost, so no price is written.';
  if (shown === null) return 'The channel has not said what it costs there, so no price is written.';
  if (!sameCurrency)
    return `It shows ${shown} and the item should cost ${intended}: a price is never converted, so none is written.`;
  switch (write?.state) {
    case 'waiting':
      return waits(intended, facts.paused, write.error);
    case 'sent':
    case 'accepted':
    case 'unknown':
      return `${write.sent ?? intended} was sent${notProved(intended, write)}${after(write.error)}`;
    case 'refused':
      return `The channel refused ${write.sent ?? intended}: ${write.error ?? 'it did not say why'}. Setting a price tries again.`;
    case 'shown':
    case undefined:
      return facts.inStep ? `It shows ${shown}, as it should.` : differs(shown, intended, facts.paused);
  }
}

function waits(intended: string, paused: string | null, error: string | null): string {
  return paused === null
    ? `${intended} waits to be written.${after(error)}`
    : `${intended} is to be written, but ${paused}.`;
}

function notProved(intended: string, { sent, queued = false }: NonNullable<PriceFacts['write']>): string {
  if (!queued) return ', and it is not proved yet that it is shown.';
  // Two writes to one listing could be carried out in either order.
  const later = sent === null || sent === intended ? '' : ` ${intended} is written after that.`;
  return ` together with others, and the channel has not worked them off yet.${later}`;
}

const after = (error: string | null): string => (error === null ? '' : ` The last attempt: ${error}.`);

function differs(shown: string, intended: string, paused: string | null): string {
  const why = paused === null ? 'until its conflict is decided nothing is written' : paused;
  return `It shows ${shown}, and the item should cost ${intended}: ${why}.`;
}
