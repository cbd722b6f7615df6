/** Names the databases of one run, so that two runs on one server never touch each other's. */

/** How the names of all databases cloned from this template begin. */
export function testDatabasePrefix(template: string): string {
  return `${template.replace('template', 'test')}_`;
}
