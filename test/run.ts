/** Runs everything that proves the product, in order, and stops at the first failure. Words after `npm test --` go to vitest. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, globSync } from 'node:fs';
import path from 'node:path';
import { decide, explainLeftOut, type Requirement } from './support/requirements.ts';

type Step = { readonly title: string; readonly command: readonly string[]; readonly when?: boolean };

const root = path.join(import.meta.dirname, '..');
const binaries = path.join(root, 'node_modules', '.bin');
const continuousIntegration = process.env['CI'] === 'true';

function has(command: string): boolean {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((directory) => {
    try {
      accessSync(path.join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function run(command: readonly string[], environment: Readonly<Record<string, string>> = {}): boolean {
  const [program = '', ...parameters] = command;
  const result = spawnSync(program, parameters, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${binaries}${path.delimiter}${process.env['PATH'] ?? ''}`, ...environment },
  });
  if (result.error) console.error(result.error.message);
  return result.status === 0;
}

function step({ title, command, when = true }: Step): void {
  if (!when) return;
  const started = performance.now();
  console.log(`\n== ${title}`);
  if (!run(command)) {
    console.error(`\n== failed: ${title} (${command.join(' ')})`);
    process.exit(1);
  }
  console.log(`== ${title}: ok, ${((performance.now() - started) / 1_000).toFixed(1)} s`);
}

function install(missing: readonly Requirement[]): void {
  if (missing.length === 0) return;
  const packages = missing.map(({ debianPackage }) => debianPackage);
  console.log(`\n== Installing with apt-get: ${packages.join(' ')} (NO_INSTALL=1 prevents this)`);
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
  const installed =
    run(['apt-get', 'update', '-q'], quiet) &&
    run(['apt-get', 'install', '-q', '-y', '--no-install-recommends', ...packages], quiet);
  if (!installed) console.error('== apt-get failed');
}

const testFiles = globSync('test/**/*.test.ts', { cwd: root });
const mayInstall =
  process.getuid?.() === 0 && existsSync('/etc/debian_version') && process.env['NO_INSTALL'] !== '1';
install(decide(testFiles, { has, mayInstall }).install);
const { leaveOut } = decide(testFiles, { has, mayInstall: false });
for (const requirement of leaveOut) console.warn(`\n== ${explainLeftOut(requirement)}`);
if (continuousIntegration && leaveOut.length > 0) {
  console.error('\n== failed: with CI=true no suite may be left out');
  process.exit(1);
}

const excludes = leaveOut.flatMap(({ suites }) => ['--exclude', `**/*${suites}`]);
const steps: readonly Step[] = [
  { title: 'Prisma client', command: ['node', 'scripts/generate.ts'] },
  {
    title: 'GraphQL code',
    command: ['graphql-codegen', '--config', 'codegen.ts'],
    when: existsSync(path.join(root, 'codegen.ts')),
  },
  { title: 'Types', command: ['tsc', '--noEmit'] },
  { title: 'Lint', command: ['oxlint', '--type-aware', '--deny-warnings'] },
  { title: 'Format and imports', command: ['biome', 'check'] },
  { title: 'Tests', command: ['vitest', 'run', ...excludes, ...process.argv.slice(2)] },
];
for (const each of steps) step(each);
for (const requirement of leaveOut) console.warn(`\n== ${explainLeftOut(requirement)}`);
