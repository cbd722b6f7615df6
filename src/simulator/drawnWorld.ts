/** A world drawn by chance, one per seed: shops, stock, demand, latencies and every fault that keeps the assumptions A1 to A4. */
import {
  type ChannelParameters,
  type Faults,
  hour,
  minute,
  type Parameters,
  pageWorld,
  second,
  skewMax,
  withStorms,
} from './parameters.ts';
import { createRandom, type Random, type Span, streams } from './random.ts';

const none: Span = [0, 0];

export function drawnWorld(base: Parameters, seed: number): Parameters {
  const random = createRandom(seed, streams.world);
  const items = random.integer([1, 3]);
  const count = random.integer([2, 5]);
  const channels = Array.from({ length: count }, (_, index) => drawnChannel(random, index, base));
  const slowest = Math.max(...channels.map(({ effect, stuckTime }) => effect[1] + stuckTime[1]));
  const { outsideEdit, violation } = base.faults;
  // An edit is proven once every order up to its reading is known, by the slowest of all clocks; until then nothing is raised.
  const proof = outsideEdit || violation !== null ? skewMax({ channels }) : 0;
  return {
    ...base,
    // A raise may wait for one landing, take another, and be written a third time.
    quiet: base.quiet + 3 * slowest + proof,
    items,
    stock: random.integer([1, 30]),
    restock: random.integer([0, 10]),
    restockAt: [0, base.duration],
    buyersPerHour: Math.round(10 * 30 ** random.next()),
    channels,
    staleness: [0, random.span([0, 90 * second])],
    answerLoss: random.span([0, 0.3]),
    duplicates: random.span([0, 0.3]),
    pollEvery: random.span([15 * second, 3 * minute]),
    readEvery: random.span([30 * second, 5 * minute]),
    faults: { ...drawnFaults(random, items), outsideEdit, violation },
  };
}

function drawnChannel(random: Random, index: number, { duration, channels }: Parameters): ChannelParameters {
  const template = channels[random.integer([0, channels.length - 1])];
  if (template === undefined) throw new Error('the page world has no channels');
  const slow = template.effect[1] > 0;
  const jumps = random.chance(0.1);
  const stuck = slow && random.chance(0.15);
  return {
    ...template,
    name: `${template.name}${index + 1}`,
    share: random.span([0.05, 1]),
    request: [50, random.span([100, 4 * second])],
    effect: slow ? [0, random.span([10 * second, 10 * minute])] : none,
    effectSkew: random.integer([1, 3]),
    stuckPerHour: stuck ? 1 : 0,
    stuckTime: stuck ? [minute, random.span([minute, 2 * hour])] : none,
    ordered: random.chance(0.5),
    visible: [0, random.span([0, 20 * second])],
    event: [100, random.span([second, 2 * minute])],
    eventLoss: random.span([0, 0.5]),
    clockSkew: Math.round(random.span([-5 * second, 5 * second])),
    clockJump: jumps ? { at: random.span([0, duration]), by: random.chance(0.5) ? hour : -hour } : null,
    restocksOnCancel: random.chance(0.5),
    restockChance: random.chance(0.7) ? 1 : 0.5,
  };
}

/** Each group of faults is there or not, so that some runs show what one fault does without the others. */
function drawnFaults(random: Random, items: number): Faults {
  const { faults: storms } = withStorms({ ...pageWorld, items });
  const some = (most: number) => (random.chance(0.6) ? random.span([0, most]) : 0);
  return {
    ...storms,
    cancel: some(0.4),
    edit: some(1),
    twoUnits: some(0.5),
    twoItems: items > 1 ? some(0.5) : 0,
    requestLoss: some(0.1),
    refusal: some(0.1),
    callsPerMinute: random.chance(0.4) ? random.span([10, 60]) : 0,
    stormsPerHour: some(3),
    unreadable: some(0.2),
    tokenTime: random.chance(0.6) ? random.span([2 * minute, 30 * minute]) : 0,
    burstsPerHour: some(3),
    burstFactor: random.span([2, 8]),
    crashesPerHour: some(6),
    wipesPerHour: some(6),
    doublesPerHour: some(20),
  };
}
