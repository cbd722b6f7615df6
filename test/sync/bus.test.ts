/** Proves that the wake-ups of one process reach every listener that is still there. */
import { expect, test } from 'vitest';
import { createLocalBus } from '../../src/sync/bus.ts';

test('a wake-up reaches every listener at once, and none that has left', () => {
  const bus = createLocalBus();
  const heard: string[] = [];
  bus.subscribe('log', () => heard.push('first'));
  const leave = bus.subscribe('log', () => heard.push('second'));
  bus.publish('log');
  expect(heard).toEqual(['first', 'second']);
  leave();
  leave();
  bus.publish('log');
  expect(heard).toEqual(['first', 'second', 'first']);
});

test('a listener that leaves while it is woken does not keep others from being woken', () => {
  const bus = createLocalBus();
  const heard: string[] = [];
  const leave = bus.subscribe('log', () => {
    heard.push('leaving');
    leave();
  });
  bus.subscribe('log', () => heard.push('staying'));
  bus.publish('log');
  bus.publish('log');
  expect(heard).toEqual(['leaving', 'staying', 'staying']);
});
