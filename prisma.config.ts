/** Tells Prisma's command line where the schema, the migrations and the database are. */
import { defineConfig } from 'prisma/config';

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  // Generating needs no database, so a missing variable must not be an error here.
  datasource: { url: process.env['DATABASE_URL'] ?? '' },
});
