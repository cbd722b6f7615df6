/**
 * Token buckets per key: no caller gets more than `burst` at once or `perSecond` sustained, over all processes when Redis is used, and the last tokens
 * are for the most urgent.
 */

import { createHash } from 'node:crypto';
import type { RateLimit, Urgency } from './connector.ts';

export type RateRequest = RateLimit & { readonly urgency: Urgency };

export interface RateBudget {
  /**
   * Takes `cost` tokens and answers 0, or takes nothing and answers the milliseconds after which to ask again.
   * A cost above `burst` is treated as `burst`, as it could never be paid otherwise.
   */
  take(request: RateRequest): Promise<number>;
  /** The channel said "too many": nobody may take from `key` for the next `milliseconds`. */
  penalise(key: string, milliseconds: number): Promise<void>;
}

/**
 * Percent of a bucket that are kept back from each urgency for those before it. A bucket refills for the most urgent first: while they spend it, all
 * others wait. Whole tokens, rounded down, so that a bucket of one token serves everybody.
 */
const keptBack: Readonly<Record<Urgency, number>> = {
  lower: 0,
  orders: 10,
  raise: 20,
  read: 30,
  price: 40,
  import: 50,
};

/** What is taken, and what must be there: never more than the bucket holds. In tokens. */
function priceOf({ burst, cost = 1, urgency, mostUrgent = 'lower' }: RateRequest): {
  readonly cost: number;
  readonly there: number;
} {
  const percent = Math.max(0, keptBack[urgency] - keptBack[mostUrgent]);
  const kept = Math.floor((burst * percent) / 100);
  return { cost: Math.min(cost, burst), there: Math.min(cost + kept, burst) };
}

type Bucket = { tokens: number; readAt: number; closedUntil: number; fullAt: number };

/** One process's budget. `keysMax` bounds memory: full buckets, which say nothing, are dropped beyond it. */
export function createMemoryRateBudget(options: {
  readonly now: () => number;
  readonly keysMax?: number;
}): RateBudget {
  const { now, keysMax = 10_000 } = options;
  const buckets = new Map<string, Bucket>();

  const dropFullBuckets = (at: number): void => {
    for (const [key, bucket] of buckets) {
      if (bucket.closedUntil <= at && bucket.fullAt <= at) buckets.delete(key);
    }
  };

  const bucketOf = (key: string, at: number): Bucket => {
    const known = buckets.get(key);
    if (known !== undefined) return known;
    if (buckets.size >= keysMax) dropFullBuckets(at);
    const fresh = { tokens: Number.POSITIVE_INFINITY, readAt: at, closedUntil: 0, fullAt: at };
    buckets.set(key, fresh);
    return fresh;
  };

  return {
    async take(limit) {
      const at = now();
      const bucket = bucketOf(limit.key, at);
      const perMillisecond = limit.perSecond / 1000;
      const { cost, there } = priceOf(limit);
      const elapsed = Math.max(0, at - bucket.readAt);
      bucket.tokens = Math.min(limit.burst, bucket.tokens + elapsed * perMillisecond);
      bucket.readAt = at;
      bucket.fullAt = at + (limit.burst - bucket.tokens) / perMillisecond;
      if (bucket.closedUntil > at) return Math.ceil(bucket.closedUntil - at);
      if (bucket.tokens < there - tolerance) {
        return Math.max(1, Math.ceil((there - bucket.tokens) / perMillisecond));
      }
      bucket.tokens -= cost;
      bucket.fullAt = at + (limit.burst - bucket.tokens) / perMillisecond;
      return 0;
    },
    async penalise(key, milliseconds) {
      const at = now();
      const bucket = bucketOf(key, at);
      bucket.closedUntil = Math.max(bucket.closedUntil, at + Math.min(milliseconds, penaltyMsMax));
    },
  };
}

/** Rounding of repeated refills must not make a caller wait one more millisecond for a billionth of a token. */
const tolerance = 1e-6;
/** A channel that asks for more than a day is obeyed for a day: a mistaken header must not close a shop for good. */
const penaltyMsMax = 86_400_000;

/** The part of an ioredis client that the budget uses. */
export type RedisScripts = {
  evalsha(sha: string, keyCount: number, ...arguments_: (string | number)[]): Promise<unknown>;
  eval(script: string, keyCount: number, ...arguments_: (string | number)[]): Promise<unknown>;
};

/**
 * One round trip, atomic, on Redis's own clock (TIME), so that workers with wrong clocks share one budget. Fields: t tokens, r read at,
 * c closed until (milliseconds). A key lives only until it says nothing: full and open.
 */
const script = `
local time = redis.call('TIME')
local at = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local stored = redis.call('HMGET', KEYS[1], 't', 'r', 'c')
local closedUntil = tonumber(stored[3]) or 0
if ARGV[1] == 'penalise' then
  closedUntil = math.max(closedUntil, at + tonumber(ARGV[2]))
  redis.call('HSET', KEYS[1], 'c', string.format('%.3f', closedUntil))
  local life = math.max(redis.call('PTTL', KEYS[1]), math.ceil(closedUntil - at) + 1000)
  redis.call('PEXPIRE', KEYS[1], life)
  return 0
end
local perMillisecond = tonumber(ARGV[2]) / 1000
local burst = tonumber(ARGV[3])
local cost = tonumber(ARGV[4])
local there = tonumber(ARGV[5])
local tokens = burst
if stored[1] then
  tokens = math.min(burst, tonumber(stored[1]) + math.max(0, at - tonumber(stored[2])) * perMillisecond)
end
local wait = 0
if closedUntil > at then
  wait = math.ceil(closedUntil - at)
elseif tokens < there - ${tolerance} then
  wait = math.max(1, math.ceil((there - tokens) / perMillisecond))
else
  tokens = tokens - cost
end
redis.call('HSET', KEYS[1], 't', string.format('%.9f', tokens), 'r', string.format('%.3f', at))
local life = math.max(closedUntil - at, (burst - tokens) / perMillisecond)
redis.call('PEXPIRE', KEYS[1], math.ceil(life) + 1000)
return wait
`;
const scriptHash = createHash('sha1').update(script).digest('hex');

/**
 * The budget of all processes that share one Redis. When Redis does not answer within `timeoutMs` (default 250), `fallback` decides
 * alone: a missing Redis must never stop selling, and the channel's own 429 still bounds what this process can do wrong.
 */
export function createRedisRateBudget(options: {
  readonly redis: RedisScripts;
  readonly fallback: RateBudget;
  readonly prefix?: string;
  readonly timeoutMs?: number;
  readonly onFallback?: (error: unknown) => void;
}): RateBudget {
  const { redis, fallback, prefix = 'rate:', timeoutMs = 250, onFallback } = options;

  const run = async (key: string, arguments_: (string | number)[]): Promise<number> => {
    let answer: unknown;
    try {
      answer = await within(timeoutMs, redis.evalsha(scriptHash, 1, prefix + key, ...arguments_));
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('NOSCRIPT'))) throw error;
      answer = await within(timeoutMs, redis.eval(script, 1, prefix + key, ...arguments_));
    }
    const wait = Number(answer);
    if (!Number.isFinite(wait)) throw new TypeError('the rate script answered no number');
    return wait;
  };

  return {
    async take(limit) {
      try {
        const { cost, there } = priceOf(limit);
        return await run(limit.key, ['take', limit.perSecond, limit.burst, cost, there]);
      } catch (error) {
        onFallback?.(error);
        return fallback.take(limit);
      }
    },
    async penalise(key, milliseconds) {
      // Both are told: should Redis go away during the penalty, this process still keeps to it.
      await fallback.penalise(key, milliseconds);
      try {
        await run(key, ['penalise', Math.min(milliseconds, penaltyMsMax)]);
      } catch (error) {
        onFallback?.(error);
      }
    },
  };
}

async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Redis gave no answer within ${milliseconds} ms`)),
      milliseconds,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
