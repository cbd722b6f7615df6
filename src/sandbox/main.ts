/** The sandbox as a process of its own: prints the connections as JSON, runs until SIGINT or SIGTERM, then ends cleanly. */
import { z } from 'zod';
import { platforms } from './goods.ts';
import { createSandbox, demoShopSettings } from './sandbox.ts';

const port = z.coerce.number().int().min(0).max(65_535).default(0);

const environmentSchema = z.object({
  SANDBOX_ETSY_PORT: port,
  SANDBOX_AMAZON_PORT: port,
  SANDBOX_EBAY_PORT: port,
  SANDBOX_SHOPIFY_PORT: port,
  SANDBOX_CONTROL_PORT: port,
  /** Webhooks go to this address with `/etsy`, `/amazon`, `/ebay` or `/shopify` behind it. */
  SANDBOX_WEBHOOK_URL: z.url().optional(),
  BUYERS_PER_MINUTE: z.coerce.number().min(0).default(0),
  SEED: z.coerce.number().int().default(1),
  /** Multiplies the marketplaces' rate limits; 1 is the real thing. */
  SANDBOX_RATE_SCALE: z.coerce.number().positive().default(1000),
});

const environment = environmentSchema.safeParse(process.env);
if (!environment.success) {
  process.stderr.write(`${z.prettifyError(environment.error)}\n`);
  process.exit(1);
}
const config = environment.data;

const sandbox = createSandbox({
  seed: config.SEED,
  rateScale: config.SANDBOX_RATE_SCALE,
  shops: demoShopSettings,
  buyers: { perMinute: config.BUYERS_PER_MINUTE },
  ports: {
    etsy: config.SANDBOX_ETSY_PORT,
    amazon: config.SANDBOX_AMAZON_PORT,
    ebay: config.SANDBOX_EBAY_PORT,
    shopify: config.SANDBOX_SHOPIFY_PORT,
    control: config.SANDBOX_CONTROL_PORT,
  },
});

await sandbox.start();
for (const platform of platforms) {
  const base = config.SANDBOX_WEBHOOK_URL?.replace(/\/$/u, '');
  sandbox.setWebhookTarget(platform, base === undefined ? null : `${base}/${platform}`);
}
if (config.BUYERS_PER_MINUTE > 0) sandbox.buyers.start();

const connections = platforms.map((platform) => sandbox.connection(platform));
process.stdout.write(
  `${JSON.stringify({ control: `${sandbox.controlUrl}/_sandbox/state`, connections }, null, 2)}\n`,
);

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping) process.exit(1);
    stopping = true;
    sandbox.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}
