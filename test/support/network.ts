/** Finds ports on 127.0.0.1 that nobody listens on. */
import { createServer } from 'node:net';

/** A port that was free a moment ago. Prefer listening on port 0 wherever the listener can tell which port it got. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}
