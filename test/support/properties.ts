/**
 * Property tests draw new cases in every run; `PROPERTY_SEED=NUMBER` draws those of that seed again. What is said to be at most so long is drawn that long:
 * left alone, fast-check draws ten steps of sixty.
 */
import * as fc from 'fast-check';

const given = process.env['PROPERTY_SEED'];
const seed = given === undefined ? undefined : Number(given);
if (seed !== undefined && !Number.isInteger(seed)) throw new Error('PROPERTY_SEED must be an integer');
fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  defaultSizeToMaxWhenMaxSpecified: true,
  ...(seed === undefined ? {} : { seed }),
});
