/** The documented answers and notifications kept as files, one per message. */

import { readFileSync } from 'node:fs';

/** `name` is relative to `recordings/`, without `.json`. A fresh value each time. */
export function recording(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`./recordings/${name}.json`, import.meta.url), 'utf8'));
}
