/** Everything the Amazon sandbox serves exists in Amazon's models. */

import { describe, expect, it } from 'vitest';
import { isAmazonOperation } from '../support/amazonSpecification.ts';
import { withAmazon } from './amazonBench.ts';

/** Outside the Selling Partner API: Login with Amazon, and the storage behind the presigned URLs of feed documents. */
const elsewhere = new Set(['/auth/o2/token', '/feed-documents/:feedDocumentId']);

describe('the Amazon sandbox', () => {
  it('serves only operations of the official models', () =>
    withAmazon(async ({ channel }) => {
      const own = channel.routes.filter(({ path }) => !elsewhere.has(path));
      const strangers = own.filter(({ method, path }) => !isAmazonOperation(method, path));
      expect(strangers.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
      expect(own).toHaveLength(14);
    }));
});
