/** One run of the real product against the four sandbox marketplaces: an hour of buyers in compressed time, a quiet, and then every promise is checked. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type App, startApp } from '../app.ts';
import { type Role, readConfig } from '../config.ts';
import { platforms } from '../connectors/connector.ts';
import { createLog, type Log } from '../log.ts';
import { tinyCatalogue } from '../sandbox/demoShop.ts';
import type { Order } from '../sandbox/goods.ts';
import { createSandbox, type Sandbox } from '../sandbox/sandbox.ts';
import type { Protection } from '../sync/protection.ts';
import type { LiveApi } from './liveApi.ts';
import { buyersOf, supplyOf } from './liveBuyers.ts';
import { editOnceSeen } from './liveEdits.ts';
import { factsOf, type LiveFacts } from './liveFacts.ts';
import { disturbancesOf, startFaults, type Timed } from './liveFaults.ts';
import { breachesOf, unrestOf } from './liveInvariants.ts';
import { channelOf, type LivePace, livePace } from './livePace.ts';
import { openLiveShop } from './liveShop.ts';
import { liveTimeline } from './liveTimeline.ts';
import { startWatch } from './liveWatch.ts';
import { startMortalWorker, startWorkerProcess, type WorkerProcess } from './liveWorker.ts';
import { createLiveWorld, type LiveTotals, type LiveWorld, skuOf } from './liveWorld.ts';
import type { Parameters } from './parameters.ts';

export type LiveOptions = {
  /** Of a migrated database that nobody else uses. */
  readonly databaseUrl: string;
  readonly seed: number;
  readonly world: Parameters;
  readonly protection: Protection;
  /** Simulated milliseconds in a real one. */
  readonly compress: number;
  /** Runs in the middle of the hour: for proving that the checks can fail. */
  readonly meanwhile?: (world: LiveWorld) => void;
};

export type LiveResult = {
  readonly seed: number;
  readonly totals: LiveTotals;
  /** Writes of the hour and the quiet, those that open the shop left out; null when the run failed before its end. */
  readonly writes: number | null;
  /** What did not hold; empty when all promises did. */
  readonly breaches: readonly string[];
  /** What the product itself logged as an error; each is a breach too. */
  readonly errors: readonly string[];
  readonly timeline: readonly string[];
  /** Null when the run failed before its end. */
  readonly facts: LiveFacts | null;
};

/** What a run has at hand from its beginning. */
type Scene = {
  readonly options: LiveOptions;
  readonly pace: LivePace;
  readonly world: LiveWorld;
  readonly log: Log;
  /** What the product has logged as an error, one line each. */
  readonly errors: string[];
  /** A breach seen on the way. */
  readonly tell: (breach: string) => void;
};

/** And once the shop is open. */
type Stage = Scene & {
  readonly app: App;
  readonly api: LiveApi;
  /** Units that were put on the shelf, by SKU. */
  readonly delivered: Map<string, number>;
  /** When the worker is killed and started again. */
  readonly crashes: readonly Timed[];
};

type Lived = { readonly startedAt: number; readonly writes: number; readonly facts: LiveFacts };

/** Whatever goes wrong once the marketplaces are there is a breach of the run, with its story. */
export async function liveRun(options: LiveOptions): Promise<LiveResult> {
  const { seed, world: parameters, compress } = options;
  const pace = livePace(parameters, compress);
  await using down = new AsyncDisposableStack();
  const sandbox = down.adopt(createLiveSandbox(parameters, pace, seed), (it) => it.stop());
  await sandbox.start();
  const world = createLiveWorld(sandbox, parameters.stock);
  const errors: string[] = [];
  const seen = new Set<string>();
  const tell = (breach: string) => {
    if (!seen.has(breach)) world.note(breach);
    seen.add(breach);
  };
  const openedAt = Date.now();
  const lived = await livedThrough({ options, pace, world, tell, errors, log: errorLog(errors) }).catch(
    (error: unknown) => {
      tell(`the run failed: ${String(error)}`);
      return null;
    },
  );
  const facts = lived?.facts ?? null;
  const logged = errors.map((line) => `the product logged an error: ${line}`);
  return {
    seed,
    totals: { ...world.totals },
    writes: lived?.writes ?? null,
    breaches: [...new Set([...seen, ...(facts === null ? [] : breachesOf(facts)), ...logged])],
    errors,
    timeline: liveTimeline(world, facts, pace, lived?.startedAt ?? openedAt),
    facts,
  };
}

async function livedThrough(scene: Scene): Promise<Lived> {
  const { options, pace, world, log } = scene;
  const { world: parameters } = options;
  await using down = new AsyncDisposableStack();
  const { start, startProcess } = productOf(options, pace, log);
  const mortal = parameters.faults.crashesPerHour > 0;
  const app = down.adopt(await start(mortal ? 'serve' : 'all'), (it) => it.stop());
  const api = await openLiveShop(app, world.sandbox, parameters, pace);
  const delivered = new Map(world.skus.map((sku) => [sku, parameters.stock]));
  let crashes: readonly Timed[] = [];
  if (mortal) {
    const startOne = () => startProcess((line) => void scene.errors.push(line));
    const worker = down.adopt(await startMortalWorker(startOne, world.note), (it) => it.stop());
    crashes = worker.crashes(parameters, options.seed);
  }
  const stage: Stage = { ...scene, app, api, delivered, crashes };
  // A second worker believes that it is the only one.
  if (parameters.faults.doublesPerHour > 0) down.adopt(await start('worker'), (it) => it.stop());
  await protectAll(stage);
  const opening = (await factsNow(stage)).writes.length;
  const watch = startWatch({ api, world, tell: scene.tell, protection: options.protection });
  down.defer(() => watch.end());
  const startedAt = await theHour(stage);
  const facts = await comeToRest(stage);
  return { startedAt, facts, writes: facts.writes.length - opening };
}

function errorLog(errors: string[]): Log {
  return createLog({
    level: 'error',
    readable: false,
    destination: { write: (line) => void errors.push(line.trim()) },
  });
}

function createLiveSandbox(parameters: Parameters, pace: LivePace, seed: number): Sandbox {
  const skus = Array.from(
    { length: parameters.items },
    (_, item) => [skuOf(item), parameters.stock] as const,
  );
  const shops = Object.fromEntries(
    platforms.map((platform) => [platform, pace.shop(channelOf(parameters, platform))]),
  );
  return createSandbox({
    seed,
    catalogue: tinyCatalogue(Object.fromEntries(skus)),
    shops,
    webhooks: { retryDelaysMs: [100, 200, 400, 800] },
    ports: parameters.faults.outsideEdit ? {} : { control: null },
  });
}

type Product = {
  /** In this process. */
  readonly start: (role: Role) => Promise<App>;
  /** The worker as a process of its own. */
  readonly startProcess: (onError: (line: string) => void) => Promise<WorkerProcess>;
};

function productOf({ databaseUrl }: LiveOptions, { environment }: LivePace, log: Log): Product {
  const secretsKey = randomBytes(32);
  const variables = {
    ...environment,
    PORT: '0',
    DATABASE_URL: databaseUrl,
    DATABASE_POOL_MAX: '12',
    SECRETS_KEY: secretsKey.toString('base64'),
  };
  return {
    start: (role) => startApp({ config: readConfig(variables, [role]), databaseUrl, secretsKey, log }),
    startProcess: (onError) => startWorkerProcess(variables, onError),
  };
}

const pauseMs = 50;
/** Draining four full shops takes a few writes of the slowest one after the other. */
const opensMaxMs = 60_000;

/** Under escrow the shops open once no more is granted than there is. */
async function protectAll({ options, api, world, pace }: Stage): Promise<void> {
  const { protection } = options;
  if (protection === 'shared') return;
  const deadline = Date.now() + opensMaxMs + 4 * pace.stillMs;
  for (const sku of world.skus) {
    const { id } = await api.item(sku);
    await api.protect(id, protection === 'escrow' ? 'ESCROW' : 'AUTOMATIC');
    for (let open = false; !open; await delay(pauseMs)) {
      const { escrow } = await api.item(sku);
      const granted = escrow?.rights.some(({ inForce }) => inForce > 0) ?? protection === 'automatic';
      open =
        granted &&
        (escrow?.shortfall ?? 0) === 0 &&
        (escrow === null || world.shown(sku) <= (world.left.get(sku) ?? 0));
      if (!open && Date.now() > deadline) throw new Error(`E3: escrow of ${sku} does not begin`);
    }
  }
}

/** Answers when it began. */
async function theHour(stage: Stage): Promise<number> {
  const { options, pace, world } = stage;
  startFaults(world.sandbox, options.world, pace);
  const startedAt = Date.now();
  const work: Promise<void>[] = [];
  for (const { at, run } of programme(stage)) {
    await delay(Math.max(0, startedAt + pace.real(at) - Date.now()));
    work.push(carriedOut(stage, run));
  }
  await delay(Math.max(0, startedAt + pace.real(options.world.duration) - Date.now()));
  await Promise.all(work);
  world.note('the hour is over');
  return startedAt;
}

/** Never rejects: the hour goes on. */
async function carriedOut({ tell }: Stage, run: Timed['run']): Promise<void> {
  try {
    await run();
  } catch (error) {
    tell(`what should have happened failed: ${String(error)}`);
  }
}

/** Everything that happens from outside, in order of time. */
function programme(stage: Stage): readonly Timed[] {
  const { options, world, crashes } = stage;
  const { seed, world: parameters, meanwhile } = options;
  const supply = supplyOf(parameters, seed);
  const orders = new Map<number, Order>();
  const buyers = buyersOf(parameters, seed).flatMap((buyer): Timed[] => {
    const { at, later, number, platform } = buyer;
    const buy = () => {
      const order = world.buy(buyer);
      if (order !== null) orders.set(number, order);
    };
    if (later === null) return [{ at, run: buy }];
    const regret = () => {
      const order = orders.get(number);
      if (order !== undefined) world.regret(platform, order, later.kind);
    };
    return [
      { at, run: buy },
      { at: later.at, run: regret },
    ];
  });
  const deliveries = supply.deliveries.flatMap((at, item): Timed[] =>
    at === null ? [] : [{ at, run: () => deliver(stage, skuOf(item)) }],
  );
  const edits = supply.edits.map((edit): Timed => ({ at: edit.at, run: () => editOnceSeen(world, edit) }));
  const middle =
    meanwhile === undefined ? [] : [{ at: parameters.duration / 2, run: () => meanwhile(world) }];
  const disturbances = disturbancesOf(world.sandbox, parameters, seed);
  return [...buyers, ...deliveries, ...edits, ...middle, ...crashes, ...disturbances].toSorted(
    (one, other) => one.at - other.at,
  );
}

async function deliver({ api, delivered, options, world }: Stage, sku: string): Promise<void> {
  const units = options.world.restock;
  world.deliver(sku, units);
  delivered.set(sku, (delivered.get(sku) ?? 0) + units);
  await api.receive((await api.item(sku)).id, units, `delivery ${sku}`);
}

/** Waits until nothing is out of step and nothing has been written for a while, or until that has taken too long. */
async function comeToRest(stage: Stage): Promise<LiveFacts> {
  const { pace } = stage;
  const deadline = Date.now() + pace.restMaxMs;
  for (;;) {
    const found = await factsNow(stage);
    const lastWriteAt = found.writes.at(-1)?.sentAt.getTime() ?? 0;
    const still = Date.now() - lastWriteAt >= pace.stillMs;
    if (still && unrestOf(found).length === 0) return found;
    if (Date.now() > deadline) return { ...found, restless: !still };
    await delay(4 * pauseMs);
  }
}

function factsNow({ api, app, delivered, options, world }: Stage): Promise<LiveFacts> {
  const { protection } = options;
  return factsOf({ db: app.database.pool, api, world, delivered, protection });
}
