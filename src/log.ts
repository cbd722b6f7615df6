/** One JSON object per line on standard output, never with a secret in it; short readable lines when a person is watching. */
import { pino } from 'pino';

export type Log = pino.Logger;

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** The ids that let one sale be followed from the webhook to the last channel write. */
export type Correlation = {
  readonly accountId?: string;
  readonly alertId?: string;
  readonly connectionId?: string;
  readonly eventId?: string;
  readonly itemId?: string;
  readonly itemIds?: readonly string[];
  readonly jobId?: string;
  readonly listingId?: string;
  readonly movementId?: string | null;
  readonly operationId?: string;
  readonly orderId?: string;
  readonly planId?: string;
  readonly requestId?: string | undefined;
  readonly reservationId?: string;
  readonly writeId?: string;
};

export type LogOptions = {
  readonly level: LogLevel;
  /** Readable lines instead of JSON. Default: whether standard output is a terminal. */
  readonly readable?: boolean;
  /** Where lines go, each ending in a newline. Default: standard output. */
  readonly destination?: { write(line: string): void };
};

const redacted = '[redacted]';
const secretWords =
  'pass(?:word|phrase|wd)|secret|token|authorization|cookie|credential|signature|(?:api|private|access|signing|secrets)[-_]?key$';
const secretName = new RegExp(secretWords, 'i');
// Pino hands the fields of child logs over as finished text, so names are looked for in the line as well.
const secretField = new RegExp(
  `("(?:[^"\\\\]*)(?:${secretWords.replace('$', '(?=")')})[^"\\\\]*":)"(?:[^"\\\\]|\\\\.)*"`,
  'gi',
);
const secretsInText: readonly (readonly [RegExp, string])[] = [
  [secretField, `$1"${redacted}"`],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/@]+@/gi, `$1:${redacted}@`],
  [/\b(bearer|basic) +[\w.~+/=-]{8,}/gi, `$1 ${redacted}`],
  [
    /([?&](?:access_token|refresh_token|client_secret|code|hmac|signature|token|key)=)[^&\s"']+/gi,
    `$1${redacted}`,
  ],
];
// Deeper than any message of ours; a cycle or a whole client object ends here instead of filling the disk.
const depthMax = 6;

export function createLog(options: LogOptions): Log {
  const readable = options.readable ?? process.stdout.isTTY;
  const destination = options.destination ?? process.stdout;
  return pino(
    {
      level: options.level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => withoutSecrets(fields) as Record<string, unknown>,
      },
      serializers: { err: serializeError, error: serializeError },
      hooks: {
        streamWrite: (line) => (readable ? readableLine(withoutSecretText(line)) : withoutSecretText(line)),
      },
    },
    destination,
  );
}

/** A log that says nothing, for tests and for libraries that insist on one. */
export function silentLog(): Log {
  return pino({ level: 'silent' });
}

/** A child log whose every line carries the given ids. */
export function withCorrelation(log: Log, correlation: Correlation): Log {
  return log.child(correlation);
}

/** A copy in which every string under a secret's name, and every credential inside a URL or header, is replaced. */
export function withoutSecrets(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return withoutSecretText(value);
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Error)
    return value;
  if (depth >= depthMax) return '[deeper]';
  if (Array.isArray(value)) return value.map((member) => withoutSecrets(member, depth + 1));
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      // Numbers and booleans stay: `tokens: 350` is a measurement, not a secret.
      secretName.test(name) && (typeof member === 'string' || ArrayBuffer.isView(member))
        ? redacted
        : withoutSecrets(member, depth + 1),
    ]),
  );
}

function withoutSecretText(text: string): string {
  return secretsInText.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);
}

function serializeError(error: unknown): unknown {
  return error instanceof Error ? withoutSecrets(pino.stdSerializers.err(error)) : withoutSecrets(error);
}

const colours: Readonly<Record<string, number>> = {
  trace: 90,
  debug: 90,
  info: 36,
  warn: 33,
  error: 31,
  fatal: 35,
};

function readableLine(line: string): string {
  const {
    level,
    time,
    msg,
    pid: _pid,
    err,
    ...fields
  } = JSON.parse(line) as Record<string, unknown> & {
    level: string;
    time: string;
    msg?: string;
    err?: { stack?: string };
  };
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const head = `${time.slice(11, 19)} \u001B[${colours[level] ?? 0}m${level.padEnd(5)}\u001B[0m`;
  const stack = err?.stack === undefined ? '' : `\n${err.stack}`;
  return `${[head, msg, ...rest].filter((part) => part !== undefined).join(' ')}${stack}\n`;
}
