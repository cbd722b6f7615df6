/** Shopify's search syntax, as far as the sandbox supports it: `field:value`, `field:>='...'`, AND (also implied), OR. */

type Comparison = '=' | '>' | '>=' | '<' | '<=';
type Term = { readonly field: string; readonly comparison: Comparison; readonly value: string };

/** What a row says about a field: text is compared as a whole and without case, times (milliseconds) to the second. */
export type SearchValue =
  | { readonly kind: 'text'; readonly value: string | null }
  | { readonly kind: 'time'; readonly value: number }
  | { readonly kind: 'number'; readonly value: number };

export type SearchFields<T> = Readonly<Record<string, (row: T) => SearchValue>>;

export type SearchWarning = {
  readonly field: string;
  readonly message: string;
  readonly code: 'invalid_field';
};

export type Search<T> = {
  readonly matches: (row: T) => boolean;
  /** Shopify ignores fields that it does not know, and says so only here. */
  readonly warnings: readonly SearchWarning[];
};

const termPattern =
  /(?<field>[a-z_]+):(?<comparison>>=|<=|>|<|=)?(?:'(?<single>[^']*)'|"(?<double>[^"]*)"|(?<bare>[^\s()]+))/giu;

function readTerms(text: string): readonly Term[] {
  return [...text.matchAll(termPattern)].map(({ groups }) => ({
    field: groups?.['field'] ?? '',
    comparison: (groups?.['comparison'] ?? '=') as Comparison,
    value: groups?.['single'] ?? groups?.['double'] ?? groups?.['bare'] ?? '',
  }));
}

const compare: Readonly<Record<Comparison, (left: number, right: number) => boolean>> = {
  '=': (left, right) => left === right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
};

function holds(term: Term, actual: SearchValue): boolean {
  if (actual.kind === 'text') return (actual.value ?? '').toLowerCase() === term.value.toLowerCase();
  if (actual.kind === 'number') return compare[term.comparison](actual.value, Number(term.value));
  return compare[term.comparison](Math.floor(actual.value / 1000) * 1000, Date.parse(term.value));
}

/** An empty or missing query matches every row. */
export function parseSearch<T>(query: string | null | undefined, fields: SearchFields<T>): Search<T> {
  const groups = (query ?? '').split(/\sOR\s/u).map(readTerms);
  const unknown = groups.flat().filter((term) => fields[term.field] === undefined);
  return {
    matches: (row) =>
      groups.some((terms) =>
        terms.every((term) => {
          const read = fields[term.field];
          return read === undefined || holds(term, read(row));
        }),
      ),
    warnings: unknown.map(({ field }) => ({
      field,
      message: 'Invalid search field for this query.',
      code: 'invalid_field',
    })),
  };
}
