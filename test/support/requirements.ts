/** Decides what to do about the programs that some suites need and the machine may lack. */

export type Requirement = {
  readonly name: string;
  /** Commands of which one is enough. */
  readonly commands: readonly string[];
  readonly debianPackage: string;
  /** The suites that need it, by the end of their file names. */
  readonly suites: string;
};

export const requirements: readonly Requirement[] = [
  { name: 'Redis', commands: ['redis-server'], debianPackage: 'redis-server', suites: '.redis.test.ts' },
  {
    name: 'Chromium',
    commands: ['chromium', 'chromium-browser', 'google-chrome'],
    debianPackage: 'chromium',
    suites: '.browser.test.ts',
  },
];

export type Machine = {
  /** Whether a command is on the path. */
  readonly has: (command: string) => boolean;
  /** Whether apt-get may be used: Debian, and root. */
  readonly mayInstall: boolean;
};

export type Decision = {
  readonly install: readonly Requirement[];
  /** What cannot be had here; its suites are left out. */
  readonly leaveOut: readonly Requirement[];
};

/** A requirement without any suite among `testFiles` is not looked at. */
export function decide(testFiles: readonly string[], machine: Machine): Decision {
  const missing = requirements.filter(
    ({ suites, commands }) =>
      testFiles.some((file) => file.endsWith(suites)) && !commands.some((command) => machine.has(command)),
  );
  return machine.mayInstall ? { install: missing, leaveOut: [] } : { install: [], leaveOut: missing };
}

/** What a person reads about a suite that was left out. */
export function explainLeftOut({ name, suites, debianPackage }: Requirement): string {
  return `left out: test/**/*${suites}, because ${name} is missing. To run them: apt-get install ${debianPackage} (as root on Debian)`;
}
