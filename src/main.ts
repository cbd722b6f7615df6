/** The process: reads the configuration, finds its database, starts the product, and stops it on SIGTERM and SIGINT. */

import { type App, startApp } from './app.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { type Demo, startDemo } from './demo.ts';
import { createLog, type Log } from './log.ts';
import { openPlace } from './place.ts';

async function start(config: Config, log: Log): Promise<() => Promise<void>> {
  const place = await openPlace(config, log);
  let demo: Demo | undefined;
  const beforeWork = async (app: App) => {
    if (config.demo && config.role === 'all') demo = await startDemo({ app, config, log });
  };
  try {
    const app = await startApp({ ...place, config, log, beforeWork });
    demo?.open();
    log.info({ role: config.role, port: app.port }, 'ready');
    return async () => {
      demo?.close();
      await app.stop();
      await demo?.stop();
      await place.stop();
    };
  } catch (error) {
    await demo?.stop();
    await place.stop();
    throw error;
  }
}

function exitOnSignals(stop: () => Promise<void>, config: Config, log: Log): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log.info({ signal }, 'stopping');
      // Past the deadline nothing is waited for: all state is in PostgreSQL, and whatever was under way is taken up by the next start.
      setTimeout(() => process.exit(1), config.shutdownDeadlineMs).unref();
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ error }, 'stopping failed');
          process.exit(1);
        },
      );
    });
  }
}

try {
  const config = readConfig(process.env, process.argv.slice(2));
  const log = createLog({ level: config.logLevel });
  const starting = start(config, log);
  exitOnSignals(async () => (await starting)(), config, log);
  await starting.catch((error: unknown) => {
    log.fatal({ error }, 'could not start');
    process.exit(1);
  });
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
