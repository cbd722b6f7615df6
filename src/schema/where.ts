/** The one style of filter: eq, in, gte/lte, contains, and/or/not, declared once per type and turned into a database condition. */
import type { InputRef } from '@pothos/core';
import { apiError } from './apiError.ts';
import { builder } from './builder.ts';
import { type NodeType, requireId } from './globalId.ts';

type Shape = Readonly<Record<string, unknown>>;
type Comparison<Value> = {
  readonly eq?: Value | null;
  readonly in?: readonly Value[] | null;
  readonly gte?: Value | null;
  readonly lte?: Value | null;
  readonly gt?: Value | null;
  readonly lt?: Value | null;
  readonly contains?: string | null;
};

/** One filter of a type: what clients write and the condition it becomes. */
export type Filter = {
  readonly type: InputRef | 'Boolean';
  readonly description: string;
  readonly condition: (input: never) => object;
};

export type Where = {
  readonly type: InputRef<Shape>;
  /** Throws LIMIT_WHERE when it is nested too deep or names too many values. */
  readonly condition: (input: Shape | null | undefined) => object;
};

/** Said of every comparison that no index serves. */
export const noIndex =
  'No index serves this alone: the list is read in its order until the page is full, at worst every row of the account.';

const depthMax = 4;
const listMax = 100;
const branchesMax = 20;

const StringFilter = comparison<string>(
  'StringFilter',
  'Compares text, case-sensitively but for `contains`.',
  'String',
  {
    contains: true,
  },
);
const IntFilter = comparison<number>('IntFilter', 'Compares whole numbers.', 'Int', { ranges: true });
const DateTimeFilter = comparison<Date>('DateTimeFilter', 'Compares instants.', 'DateTime', { ranges: true });
const IdFilter = comparison<string>('IdFilter', 'Compares global ids.', 'ID', {});

export function text(column: string, description: string): Filter {
  return {
    type: StringFilter,
    description,
    condition: (input: Comparison<string>) => compare(column, input),
  };
}

export function integer(column: string, description: string): Filter {
  return { type: IntFilter, description, condition: (input: Comparison<number>) => compare(column, input) };
}

export function instant(column: string, description: string): Filter {
  return {
    type: DateTimeFilter,
    description,
    condition: (input: Comparison<Date>) => compare(column, input),
  };
}

export function reference(column: string, type: NodeType, description: string): Filter {
  const uuid = (id: string): string => requireId(type, id);
  return {
    type: IdFilter,
    description,
    condition: ({ eq, in: any }: Comparison<string>) =>
      compare(column, { eq: eq ? uuid(eq) : null, in: any ? limited(any).map(uuid) : null }),
  };
}

export function flag(description: string, condition: (value: boolean) => object): Filter {
  return { type: 'Boolean', description, condition };
}

/** A filter on an enum column; `type` is made once per enum by `enumFilter`. */
export function member<Value extends string>(
  column: string,
  type: InputRef<Comparison<Value>>,
  description: string,
): Filter {
  return {
    type,
    description,
    condition: (input: Comparison<Value>) => compare(column, input),
  };
}

export function enumFilter<Value extends string>(
  name: string,
  type: InputRef<Value>,
): InputRef<Comparison<Value>> {
  return comparison<Value>(name, 'Compares members of an enum.', type as never, {});
}

export function where(name: string, plural: string, filters: Readonly<Record<string, Filter>>): Where {
  const type = builder.inputRef<Shape>(name);
  type.implement({
    description: `Which ${plural}. Every filter given must hold.`,
    fields: (t: PothosSchemaTypes.InputFieldBuilder<never, 'InputObject'>) => ({
      ...Object.fromEntries(
        Object.entries(filters).map(([field, filter]) => [
          field,
          t.field({ type: filter.type as never, description: filter.description }),
        ]),
      ),
      and: t.field({ type: [type], description: `Every one of these must hold (at most ${branchesMax}).` }),
      or: t.field({ type: [type], description: `At least one of these must hold (at most ${branchesMax}).` }),
      not: t.field({ type, description: 'This must not hold.' }),
    }),
  } as never);
  return { type, condition: (input) => (input ? convert(filters, input, 1) : {}) };
}

function convert(filters: Readonly<Record<string, Filter>>, input: Shape, depth: number): object {
  if (depth > depthMax) {
    throw apiError('LIMIT_WHERE', `A filter may be nested ${depthMax} levels deep.`, { limit: depthMax });
  }
  const conditions = Object.entries(input).flatMap(([name, value]): object[] => {
    if (value === null || value === undefined) return [];
    if (name === 'not') return [{ NOT: convert(filters, value as Shape, depth + 1) }];
    if (name === 'and') return branches(value).map((each) => convert(filters, each, depth + 1));
    if (name === 'or') return [{ OR: branches(value).map((each) => convert(filters, each, depth + 1)) }];
    const filter = filters[name];
    return filter ? [filter.condition(value as never)] : [];
  });
  return conditions.length === 0 ? {} : { AND: conditions };
}

function branches(value: unknown): readonly Shape[] {
  const list = value as readonly Shape[];
  if (list.length > branchesMax) {
    throw apiError('LIMIT_WHERE', `At most ${branchesMax} conditions fit one list.`, { limit: branchesMax });
  }
  return list;
}

function limited<Value>(list: readonly Value[]): readonly Value[] {
  if (list.length > listMax)
    throw apiError('LIMIT_WHERE', `At most ${listMax} values fit one \`in\`.`, { limit: listMax });
  return list;
}

function compare<Value>(column: string, input: Comparison<Value>): object {
  const { eq, in: any, contains, ...ranges } = input;
  const operators = Object.entries({ equals: eq, in: any ? limited(any) : any, ...ranges }).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  const found: object[] = operators.length === 0 ? [] : [{ [column]: Object.fromEntries(operators) }];
  // The database takes % and _ as wildcards; people mean the characters.
  const literal = contains?.replaceAll(/[\\%_]/g, String.raw`\$&`);
  if (literal !== undefined) found.push({ [column]: { contains: literal, mode: 'insensitive' } });
  return found.length === 1 ? (found[0] ?? {}) : { AND: found };
}

function comparison<Value>(
  name: string,
  description: string,
  value: 'String' | 'Int' | 'DateTime' | 'ID',
  more: { readonly ranges?: boolean; readonly contains?: boolean },
): InputRef<Comparison<Value>> {
  const type = builder.inputRef<Comparison<Value>>(name);
  type.implement({
    description: `${description} Every comparison given must hold.`,
    fields: (t: PothosSchemaTypes.InputFieldBuilder<never, 'InputObject'>) => {
      const one = (words: string) => t.field({ type: value, description: words });
      return {
        eq: one('Equal to this.'),
        in: t.field({
          type: [value],
          description: `Equal to one of these (at most ${listMax}).`,
        } as never),
        ...(more.contains ? { contains: one(`Contains this text, in upper or lower case. ${noIndex}`) } : {}),
        ...(more.ranges
          ? {
              gte: one('This or more (later).'),
              lte: one('This or less (earlier).'),
              gt: one('More (later) than this.'),
              lt: one('Less (earlier) than this.'),
            }
          : {}),
      };
    },
  } as never);
  return type as unknown as InputRef<Comparison<Value>>;
}
