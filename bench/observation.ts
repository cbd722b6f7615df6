/** What the memory benchmarks look at a product's process with: its resident set and subscriptions over real sockets. */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Product } from './processes.ts';

/** The resident set of a process, in MB of 1,000,000 bytes. */
export async function residentMegabytes(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]);
  return (Number(stdout) * 1_024) / 1_000_000;
}

/** Looks once a second for so long. */
export async function sampleMemory(pid: number, seconds: number): Promise<number[]> {
  const samples: number[] = [];
  for (const end = Date.now() + seconds * 1_000; Date.now() < end; await delay(1_000))
    samples.push(await residentMegabytes(pid));
  return samples;
}

/** A subscription over a real socket; `onData` gets each result's data. */
export function subscribe(
  product: Product,
  apiKey: string,
  query: string,
  onData: (data: unknown) => void,
): Client {
  const client = createClient({
    url: `${product.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { apiKey },
    lazy: false,
  });
  client.subscribe(
    { query },
    {
      next: ({ data }) => onData(data),
      error: () => undefined,
      complete: () => undefined,
    },
  );
  return client;
}
