/** The least that can tell a thousand clients: `ws` sends the given frames to every socket, one frame after the other. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { answerCalls } from './processes.ts';

const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });

answerCalls({
  async start(): Promise<string> {
    if (sockets.address() === null) await once(sockets, 'listening');
    return `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`;
  },
  async broadcast(frames: readonly string[]): Promise<null> {
    for (const frame of frames) {
      for (const socket of sockets.clients) socket.send(frame);
      await turn();
    }
    return null;
  },
});
