/** What people read about the price of a listing says what is so, what is being done, and what to do. */
import { expect, test } from 'vitest';
import { explainPrice, type PriceFacts } from '../../src/sync/priceWords.ts';

const facts: PriceFacts = {
  shown: '10.00 EUR',
  intended: '11.00 EUR',
  sameCurrency: true,
  inStep: false,
  hasItem: true,
  paused: null,
  write: null,
};
const write = { state: 'waiting', sent: null, error: null } as const;

test.each<[string, Partial<PriceFacts>]>([
  ['It is not known which item it sells, so nobody says what it should cost.', { hasItem: false }],
  ['Nobody has said what its item should cost, so no price is written.', { intended: null }],
  ['The channel has not said what it costs there, so no price is written.', { shown: null }],
  [
    'It shows 9.00 USD and the item should cost 11.00 EUR: a price is never converted, so none is written.',
    { shown: '9.00 USD', sameCurrency: false },
  ],
  ['It shows 10.00 EUR, as it should.', { inStep: true }],
  ['It shows 10.00 EUR, as it should.', { inStep: true, write: { ...write, state: 'shown' } }],
  [
    'It shows 10.00 EUR, and the item should cost 11.00 EUR: until its conflict is decided nothing is written.',
    {},
  ],
  [
    'It shows 10.00 EUR, and the item should cost 11.00 EUR: nothing is written to its connection before a plan is applied.',
    { paused: 'nothing is written to its connection before a plan is applied' },
  ],
  ['11.00 EUR waits to be written.', { write }],
  ['11.00 EUR waits to be written. The last attempt: busy.', { write: { ...write, error: 'busy' } }],
  ['11.00 EUR is to be written, but the listing is paused.', { write, paused: 'the listing is paused' }],
  [
    '11.00 EUR was sent, and it is not proved yet that it is shown.',
    { write: { ...write, state: 'accepted', sent: '11.00 EUR' } },
  ],
  [
    '12.00 EUR was sent, and it is not proved yet that it is shown. The last attempt: no answer.',
    { write: { state: 'unknown', sent: '12.00 EUR', error: 'no answer' } },
  ],
  [
    '11.00 EUR was sent together with others, and the channel has not worked them off yet.',
    { write: { state: 'accepted', sent: '11.00 EUR', error: null, queued: true } },
  ],
  [
    '12.00 EUR was sent together with others, and the channel has not worked them off yet. 11.00 EUR is written after that.',
    { write: { state: 'accepted', sent: '12.00 EUR', error: null, queued: true } },
  ],
  [
    'The channel refused 0.01 EUR: 25003: too low. Setting a price tries again.',
    { write: { state: 'refused', sent: '0.01 EUR', error: '25003: too low' } },
  ],
])('%s', (sentence, more) => {
  expect(explainPrice({ ...facts, ...more })).toBe(sentence);
});
