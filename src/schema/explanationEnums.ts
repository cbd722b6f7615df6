/** The enums of an explanation. */
import type { CandidateState as CandidateStateName } from '../sync/core/shadow.ts';
import type { TargetStep } from '../sync/core/targets.ts';
import { builder } from './builder.ts';

export const ListingMode = builder.enumType('ListingMode', {
  description: 'How the number of a listing is kept.',
  values: {
    SHARED: { value: 'shared', description: 'It shows what its rule makes of all that is available.' },
    ESCROW: { value: 'escrow', description: 'It shows only units that were granted to it alone.' },
    PAUSED: { value: 'paused', description: 'It is kept at 0; `modeReason` says why.' },
    OBSERVE_ONLY: {
      value: 'observe_only',
      description: 'It is read and never written; `modeReason` says why.',
    },
  } as const,
});

const candidateStates: Readonly<Record<CandidateStateName, string>> = {
  SENT: 'Sent, no answer yet.',
  ACCEPTED: 'Taken in by the channel; takes effect later.',
  EFFECTIVE: 'Known to have come into force.',
  UNKNOWN: 'No answer came: it may or may not have happened.',
  REJECTED: 'Refused: it never came into force.',
};

export const CandidateState = builder.enumType('CandidateState', {
  description: 'What is known of a number that was sent to a channel.',
  values: Object.fromEntries(
    Object.entries(candidateStates).map(([state, description]) => [state, { value: state, description }]),
  ) as Record<CandidateStateName, { value: CandidateStateName; description: string }>,
});

type StepName = TargetStep['step'];
const steps: Readonly<Record<StepName, string>> = {
  available: 'What can be sold.',
  holds: 'Less what is withheld because of suspected sales.',
  conflicts: 'Less what open conflicts withhold.',
  buffer: 'Less the buffer.',
  automaticBuffer: 'Less the buffer sized from measured sales and delays.',
  share: 'Times the share, rounded down.',
  fixed: 'The fixed quantity, or what is there.',
  cutOff: '0, because fewer than the cut-off could be sold.',
  quantityMin: 'Raised to the minimum, or to what is there.',
  quantityMax: 'Cut to the maximum of the rule.',
  channelMax: 'Cut to the most the channel can show.',
  notBelowZero: '0, because a channel shows nothing below.',
  paused: '0, because the rule says paused.',
};

export const TargetStepKind = builder.enumType('TargetStepKind', {
  description: 'A step from what is available to what a channel shows.',
  values: Object.fromEntries(
    Object.entries(steps).map(([step, description]) => [
      step.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
      { value: step, description },
    ]),
  ) as Record<string, { value: StepName; description: string }>,
});
