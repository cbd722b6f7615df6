/** The whole schema, built once. */
// oxlint-disable import/no-unassigned-import -- importing a file registers its types with the builder
import './scalars.ts';
import './alertAcknowledge.ts';
import './bundle.ts';
import './conflict.ts';
import './events.ts';
import './mapping.ts';
import './orderReturn.ts';
import './orderStatusUpdate.ts';
import './reservationMutations.ts';
import './stock.ts';
import './syncStart.ts';
import './unmatchedSku.ts';
import './viewer.ts';
import { builder } from './builder.ts';

export const schema = builder.toSchema();
