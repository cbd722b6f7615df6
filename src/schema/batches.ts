/** One statement for what many objects of a page ask alike: keys asked in the same turn are loaded together, once per request. */
import DataLoader from 'dataloader';
import type { Context } from './context.ts';

const batchMax = 100;

/** `load` answers by key and leaves out what it does not find; that is read as null. */
export function batched<Value>(
  load: (context: Context, keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
): (context: Context, key: string) => Promise<Value | null> {
  const loaders = new WeakMap<Context, DataLoader<string, Value | null>>();
  return (context, key) => {
    let loader = loaders.get(context);
    if (loader === undefined) {
      loader = new DataLoader(
        async (keys) => {
          const found = await load(context, keys);
          return keys.map((each) => found.get(each) ?? null);
        },
        { maxBatchSize: batchMax },
      );
      loaders.set(context, loader);
    }
    return loader.load(key);
  };
}
