/** Repeats a look for as long as work goes on beside it, so that what must hold at every moment is looked at many times. */

/** Looks at least once and until `work` has ended; rejects with what either of the two fails with. */
export async function repeatUntil(work: Promise<unknown>, look: () => Promise<void>): Promise<void> {
  const state = { working: true };
  const end = (): void => {
    state.working = false;
  };
  work.then(end, end);
  do await look();
  while (state.working);
  await work;
}
