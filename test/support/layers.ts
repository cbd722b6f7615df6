/** Says which file of `src` may import which, as data. */

export type SourceFile = { readonly path: string; readonly text: string };

type Layer = {
  readonly name: string;
  readonly holds: RegExp;
  readonly mayImport: readonly string[];
};

/** Whatever turns bytes of a client into calls, with who may make them. */
const transports = 'http|graphql|websocket|webhooks|sse|rest|dashboard|health|apiKeys|auth';

/** The first layer that holds a file is the file's layer. Foundations are everything at the top that knows nothing of the product. */
export const layers: readonly Layer[] = [
  // The words of every marketplace, and money: whoever may import nothing else of `connectors` may still speak them.
  {
    name: 'contract',
    holds: /^src\/connectors\/(connector|channelError|money|price|turn)\.ts$/,
    mayImport: ['contract'],
  },
  { name: 'printer', holds: /^src\/schema\/print\w*\.ts$/, mayImport: ['schema', 'foundation'] },
  {
    name: 'main',
    holds: /^src\/(main|simulate)\.ts$/,
    mayImport: ['app', 'sync', 'simulator', 'contract', 'database', 'settings', 'foundation'],
  },
  {
    name: 'app',
    holds: /^src\/(app|demo|admin|syncLimits)\w*\.ts$/,
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
  {
    name: 'transport',
    holds: new RegExp(`^src/(${transports})([A-Z]\\w*)?\\.ts$`),
    mayImport: ['transport', 'schema', 'sync', 'contract', 'database', 'settings', 'foundation'],
  },
  {
    name: 'schema',
    holds: /^src\/schema\//,
    mayImport: ['schema', 'sync', 'contract', 'database', 'foundation'],
  },
  { name: 'sync', holds: /^src\/sync\//, mayImport: ['sync', 'contract', 'database', 'foundation'] },
  { name: 'connectors', holds: /^src\/connectors\//, mayImport: ['connectors', 'contract', 'foundation'] },
  { name: 'sandbox', holds: /^src\/sandbox\//, mayImport: ['sandbox', 'foundation'] },
  // Its second mode runs the real product; only the command line of both may know of it.
  {
    name: 'live',
    holds: /^src\/simulator\/(live\w*|main)\.ts$/,
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
    holds: /^src\/simulator\//,
    mayImport: ['simulator', 'sync', 'contract', 'database', 'foundation'],
  },
  { name: 'database', holds: /^src\/(db|dbErrors)\.ts$/, mayImport: ['database', 'foundation'] },
  {
    name: 'settings',
    holds: /^src\/(config|embeddedPostgres|migrate|place)\w*\.ts$/,
    mayImport: ['settings', 'foundation'],
  },
  { name: 'foundation', holds: /^src\/[^/]+\.ts$/, mayImport: ['foundation', 'contract'] },
];

/** Null for a file that no layer holds: then somebody has to decide where it belongs. */
export function layerOf(path: string): Layer | null {
  return layers.find(({ holds }) => holds.test(path)) ?? null;
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
