/** Everything the eBay sandbox serves exists in eBay's documents. */

import { describe, expect, it } from 'vitest';
import { withEbay } from './ebayBench.ts';
import { isEbayOperation } from './ebaySpecification.ts';
import { specificationsPresent } from './officialSpecification.ts';

describe('the eBay sandbox', () => {
  it('serves only operations of the official documents, and the token endpoint', () =>
    withEbay(async ({ channel }) => {
      const own = channel.routes.filter(({ path }) => path !== '/identity/v1/oauth2/token');
      const strangers = own.filter(
        ({ method, path }) => specificationsPresent && !isEbayOperation(method, path),
      );
      expect(strangers.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
      expect(own).toHaveLength(34);
    }));
});
