/** Property tests draw new cases in every run; `PROPERTY_SEED=NUMBER` draws those of that seed again. */
import * as fc from 'fast-check';

const given = process.env['PROPERTY_SEED'];
if (given !== undefined) {
  const seed = Number(given);
  if (!Number.isInteger(seed)) throw new Error('PROPERTY_SEED must be an integer');
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}
