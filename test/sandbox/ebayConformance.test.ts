/** Everything the eBay sandbox serves exists in eBay's documents. */

import { describe, expect, it } from 'vitest';
import { isEbayOperation } from '../support/ebaySpecification.ts';
import { withEbay } from './ebayBench.ts';

describe('the eBay sandbox', () => {
  it('serves only operations of the official documents, and the token endpoint', () =>
    withEbay(async ({ channel }) => {
      const own = channel.routes.filter(({ path }) => path !== '/identity/v1/oauth2/token');
      const strangers = own.filter(({ method, path }) => !isEbayOperation(method, path));
      expect(strangers.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
      expect(own).toHaveLength(34);
    }));
});
