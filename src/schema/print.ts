/** Writes the schema as clients see it to `schema.graphql`, which is committed so that every change to it shows in a review. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from './schema.ts';

export function printedSchema(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}

if (import.meta.main) {
  await writeFile(path.join(import.meta.dirname, '..', '..', 'schema.graphql'), printedSchema());
}
