/** The whole schema, built once. */
// oxlint-disable import/no-unassigned-import -- importing a file registers its types with the builder
import './scalars.ts';
import './accountSettings.ts';
import './alertAcknowledge.ts';
import './blastApprove.ts';
import './alertEvents.ts';
import './bundle.ts';
import './conflict.ts';
import './conflictPolicy.ts';
import './conflictResolve.ts';
import './events.ts';
import './itemPrice.ts';
import './listingPrice.ts';
import './mapping.ts';
import './observation.ts';
import './orderReturn.ts';
import './orderStatusUpdate.ts';
import './protection.ts';
import './reservationMutations.ts';
import './stock.ts';
import './syncPlanErrors.ts';
import './syncPlanEvents.ts';
import './syncPlanVerbs.ts';
import './explanation.ts';
import './exposure.ts';
import './mapping.ts';
import './orderStatusUpdate.ts';
import './settingChange.ts';
import './stock.ts';
import './syncHealth.ts';
import './syncStart.ts';
import './syncSwitch.ts';
import './targetRuleSet.ts';
import './unmatchedSku.ts';
import './viewer.ts';
import { builder } from './builder.ts';

export const schema = builder.toSchema();
