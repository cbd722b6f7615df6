/** The tests of the decision core alone, which need no database: what the mutation tests run again and again. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    testTimeout: 20_000,
    include: ['test/sync/core/**/*.test.ts'],
    setupFiles: ['test/support/properties.ts'],
    expect: { requireAssertions: true },
  },
});
