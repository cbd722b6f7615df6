/** Says which file of `src` may import which, as data. */
import { matchesGlob } from 'node:path';

export type SourceFile = { readonly path: string; readonly text: string };

type Layer = {
  readonly name: string;
  /** Patterns of paths. Each has to match a file that is there. */
  readonly files: readonly string[];
  readonly mayImport: readonly string[];
};

/** The first layer that holds a file is the file's layer. Foundations are everything at the top that knows nothing of the product. */
export const layers: readonly Layer[] = [
  // The words of every marketplace, and money: whoever may import nothing else of `connectors` may still speak them.
  {
    name: 'contract',
    files: ['connector', 'channelError', 'http', 'money', 'price', 'queue', 'turn'].map(
      (name) => `src/connectors/${name}.ts`,
    ),
    mayImport: ['contract'],
  },
  { name: 'printer', files: ['src/schema/print.ts'], mayImport: ['schema', 'foundation'] },
  {
    name: 'main',
    files: ['src/main.ts'],
    mayImport: ['app', 'settings', 'foundation'],
  },
  {
    name: 'app',
    files: ['src/app.ts', 'src/demo.ts', 'src/admin*.ts', 'src/syncLimits.ts'],
    mayImport: [
      'app',
      'transport',
      'sync',
      'connectors',
      'contract',
      'sandbox',
      'database',
      'settings',
      'foundation',
    ],
  },
  // Whatever turns bytes of a client into calls, with who may make them.
  {
    name: 'transport',
    files: ['http', 'graphql*', 'websocket', 'webhooks', 'sse', 'apiKeys'].map((name) => `src/${name}.ts`),
    mayImport: ['transport', 'schema', 'sync', 'contract', 'database', 'settings', 'foundation'],
  },
  {
    name: 'schema',
    files: ['src/schema/**'],
    mayImport: ['schema', 'sync', 'contract', 'database', 'foundation'],
  },
  { name: 'sync', files: ['src/sync/**'], mayImport: ['sync', 'contract', 'database', 'foundation'] },
  {
    name: 'connectors',
    files: ['src/connectors/**'],
    mayImport: ['connectors', 'contract', 'foundation'],
  },
  { name: 'sandbox', files: ['src/sandbox/**'], mayImport: ['sandbox', 'foundation'] },
  // Its second mode runs the real product; only the command line of both may know of it.
  {
    name: 'live',
    files: ['src/simulator/live*.ts', 'src/simulator/main.ts'],
    mayImport: [
      'live',
      'simulator',
      'app',
      'transport',
      'sync',
      'contract',
      'sandbox',
      'database',
      'settings',
      'foundation',
    ],
  },
  {
    name: 'simulator',
    files: ['src/simulator/**'],
    mayImport: ['simulator', 'sync', 'contract', 'foundation'],
  },
  {
    name: 'database',
    files: ['src/db.ts', 'src/dbErrors.ts', 'src/sharedClock.ts'],
    mayImport: ['database', 'foundation'],
  },
  {
    name: 'settings',
    files: ['config*', 'embeddedPostgres*', 'migrate', 'place'].map((name) => `src/${name}.ts`),
    mayImport: ['settings', 'foundation'],
  },
  { name: 'foundation', files: ['src/*.ts'], mayImport: ['foundation', 'contract'] },
];

/** Null for a file that no layer holds: then somebody has to decide where it belongs. */
export function layerOf(path: string): Layer | null {
  return layers.find(({ files }) => files.some((pattern) => matchesGlob(path, pattern))) ?? null;
}

/** The files of this checkout that a file imports, by path from the root; packages and generated code are left out. */
export function importsOf({ path, text }: SourceFile): string[] {
  const specifiers = text.matchAll(/(?:^|[\s;}])(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g);
  return [...specifiers].map(([, specifier = '']) => new URL(specifier, `file:///${path}`).pathname.slice(1));
}

/** One sentence for each import that the layers forbid. */
export function forbiddenImports(file: SourceFile): string[] {
  const layer = layerOf(file.path);
  if (!layer) return [`${file.path} belongs to no layer`];
  return importsOf(file)
    .filter((imported) => imported.startsWith('src/'))
    .filter((imported) => {
      const target = layerOf(imported);
      return (
        target === null || !layer.mayImport.includes(target.name) || isOtherPlatform(file.path, imported)
      );
    })
    .map(
      (imported) =>
        `${file.path} (${layer.name}) must not import ${imported} (${layerOf(imported)?.name ?? 'no layer'})`,
    );
}

function isOtherPlatform(path: string, imported: string): boolean {
  const platform = /^src\/connectors\/([^/]+)\/.+/;
  const [own, other] = [platform.exec(path)?.[1], platform.exec(imported)?.[1]];
  return own !== undefined && other !== undefined && own !== other;
}
