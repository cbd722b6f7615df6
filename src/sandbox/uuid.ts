/** UUIDs drawn from the sandbox's own chance, so that the same seed gives the same identifiers. */
import type { Random } from './random.ts';

/** RFC 9562 version 4 in form; not for secrets. */
export function uuidText(random: Random): string {
  const hex = Array.from({ length: 32 }, (_, index) =>
    index === 12
      ? '4'
      : index === 16
        ? random.integer(8, 11).toString(16)
        : random.integer(0, 15).toString(16),
  ).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
