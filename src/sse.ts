/** Server-Sent Events: each message carries its cursor as `id`, so that a browser resumes by itself, and a slow reader is waited for. */
import type { ExecutionResult } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { resultCursor } from './graphql.ts';

export const eventStreamType = 'text/event-stream';

export type SseOptions = {
  /** Pause between comments that keep proxies from closing a quiet stream, in milliseconds. */
  readonly pingIntervalMs: number;
};

type Results = AsyncGenerator<ExecutionResult, void, void>;

/** Takes the place of Yoga's own processor, which sends no ids. Messages as in the distinct connections mode of graphql-sse. */
export function useEventStreams({ pingIntervalMs }: SseOptions): Plugin {
  return {
    onResultProcess({ request, result, ...processing }) {
      if (!isStream(result)) return;
      processing.acceptableMediaTypes.push(eventStreamType);
      if (!(request.headers.get('accept') ?? '').includes(eventStreamType)) return;
      processing.setResultProcessor(
        (_result, fetchAPI) =>
          new fetchAPI.Response(bodyOf(result, pingIntervalMs, fetchAPI.ReadableStream), {
            headers: {
              'content-type': `${eventStreamType}; charset=utf-8`,
              'cache-control': 'no-cache, no-transform',
              // nginx would hold messages back.
              'x-accel-buffering': 'no',
            },
          }),
        eventStreamType,
      );
    },
  };
}

function bodyOf(
  results: Results,
  pingIntervalMs: number,
  Stream: typeof ReadableStream,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let ping: NodeJS.Timeout | undefined;
  return new Stream<Uint8Array>({
    start(controller) {
      // The first bytes make clients and proxies see the headers at once.
      controller.enqueue(encoder.encode(':\n\n'));
      ping = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(':\n\n'));
      }, pingIntervalMs);
    },
    // Called when the reader has taken what was there, so the next result is not even made before.
    async pull(controller) {
      const { done, value } = await results.next();
      if (done) {
        clearInterval(ping);
        controller.enqueue(encoder.encode('event: complete\ndata:\n\n'));
        controller.close();
        return;
      }
      controller.enqueue(encoder.encode(messageOf(value)));
    },
    async cancel() {
      clearInterval(ping);
      await results.return();
    },
  });
}

function messageOf(result: ExecutionResult): string {
  const cursor = resultCursor(result);
  // JSON has no raw line break, so one data line is always enough.
  return `event: next\n${cursor === null ? '' : `id: ${cursor}\n`}data: ${JSON.stringify(result)}\n\n`;
}

function isStream(result: unknown): result is Results {
  return typeof result === 'object' && result !== null && Symbol.asyncIterator in result;
}
