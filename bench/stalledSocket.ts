/** A subscriber that never reads: it opens a WebSocket by hand, subscribes, answers pings unseen and lets everything sent to it wait. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';

const pongIntervalMs = 5_000;

export type StalledSocket = { readonly isOpen: () => boolean; close(): void };

export async function openStalledSocket(url: URL, apiKey: string, query: string): Promise<StalledSocket> {
  const socket = connect(Number(url.port), url.hostname);
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  socket.write(
    [
      `GET ${url.pathname} HTTP/1.1`,
      `Host: ${url.host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Protocol: graphql-transport-ws',
      '\r\n',
    ].join('\r\n'),
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!answer.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error('the server does not upgrade');
  socket.write(frame(1, JSON.stringify({ type: 'connection_init', payload: { apiKey } })));
  // The server acknowledges before it takes a subscription.
  await once(socket, 'data');
  socket.pause();
  socket.write(frame(1, JSON.stringify({ id: '1', type: 'subscribe', payload: { query } })));
  // Without pongs the server would cut it soon: this one is as nasty as can be.
  const pongs = setInterval(() => socket.write(frame(10, '')), pongIntervalMs);
  socket.once('close', () => clearInterval(pongs));
  return { isOpen: () => !socket.destroyed, close: () => socket.destroy() };
}

/** RFC 6455, section 5.2: one final frame of a client, up to 65,535 bytes. */
function frame(opcode: number, text: string): Buffer {
  const body = Buffer.from(text);
  const mask = randomBytes(4);
  const short = body.length < 126;
  const head = Buffer.alloc(short ? 2 : 4);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (short ? body.length : 126);
  if (!short) head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, mask, body.map((byte, index) => byte ^ (mask[index % 4] ?? 0))]);
}
