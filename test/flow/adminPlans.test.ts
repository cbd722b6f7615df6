/** The same first sync from the command line: what it prints is what a person needs to decide. */
import { expect, test, vi } from 'vitest';
import {
  applyPlanById,
  type PlanCommandError,
  type PlanCommandOptions,
  planConnection,
  undoPlanById,
} from '../../src/adminPlans.ts';
import { startProduct } from '../support/product.ts';
import { waitFor } from '../support/waiting.ts';

const plain: PlanCommandOptions = { channelWins: false, replace: false, acknowledgeLarge: false };

/** What a command prints. */
async function printed(command: () => Promise<void>): Promise<string> {
  const said: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said.push(String(text));
    return true;
  });
  try {
    await command();
  } finally {
    write.mockRestore();
  }
  return said.join('');
}

test('plan prints what would happen and why, apply does it, undo takes it back', async () => {
  // More than the guard always allows.
  const names = Array.from({ length: 12 }, (_, index) => `SKU-${index}`);
  await using product = await startProduct({ skus: Object.fromEntries(names.map((name) => [name, 5])) });
  const { app, db, connections, sandbox } = product;
  await db.query('UPDATE listings SET sync_enabled = false WHERE connection_id = $1', [connections.shopify]);
  for (const name of names) {
    const variant = sandbox.shops.shopify.variantBySku(name);
    sandbox.shops.shopify.editOutside(variant?.id ?? '', 2);
  }
  const before = sandbox.displayed('shopify');
  const text = await printed(() => planConnection(app, connections.shopify, plain));
  expect(text).toContain('12 listings: 12 to raise, 0 to lower, 0 to zero (0 %), 0 right already,');
  expect(text).toContain('It would change 12 listings (100 %): to apply it say --acknowledge-large.');
  expect(text).toContain('SKU-0  It shows 2. Of 5 available it should show 5.');
  const [, planId = ''] = /^plan (\S+) of shopify ".*": ready$/m.exec(text) ?? [];

  const refusal = await applyPlanById(app, planId, plain).then(
    () => expect.fail('it was applied'),
    (error: PlanCommandError) => error.message,
  );
  expect(refusal).toContain('zero 0 and change 12 of 12 listings');
  const applied = await printed(() => applyPlanById(app, planId, { ...plain, acknowledgeLarge: true }));
  expect(applied).toContain('applied, 12 applied, 0 left because something changed');
  await waitFor(() => sandbox.displayed('shopify')['SKU-11'] === 5);
  const undone = await printed(() => undoPlanById(app, planId));
  expect(undone).toContain('undone, 12 applied, 0 left because something changed, 12 undone, 0 refused');
  expect(sandbox.displayed('shopify')).toEqual(before);
  await expect(undoPlanById(app, connections.shopify)).rejects.toThrow('there is no plan');
}, 60_000);
