/** Types for every GraphQL document in the tests and the dashboard, made from the committed schema. */
import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['test/**/*.ts', 'web/**/*.{ts,tsx}'],
  ignoreNoDocuments: true,

  generates: {
    '.generated/gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        importExtension: '.ts',
        useTypeImports: true,
        enumsAsTypes: true,
        strictScalars: true,
        scalars: { Cursor: 'string', DateTime: 'string', Decimal: 'string' },
      },
    },
  },
};

export default config;
