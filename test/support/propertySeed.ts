/**
 * Property tests draw the same cases in every run, so that a change is judged by the change and not by luck. `PROPERTY_SEED=random` draws new ones,
 * `PROPERTY_SEED=NUMBER` those of that seed; what a new seed finds belongs into the `examples` of its property, with the fix.
 */
import * as fc from 'fast-check';

const given = process.env['PROPERTY_SEED'] ?? '3';
const seed = Number(given);
if (given !== 'random') {
  if (!Number.isInteger(seed)) throw new Error('PROPERTY_SEED must be an integer or the word random');
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}
