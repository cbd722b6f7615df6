/** How long partners may hold stock, as it can be configured. */
import { integer } from './configKinds.ts';

const month = 30 * 86_400;

export const reservationLimits = {
  reservationDefaultSeconds: integer(
    'RESERVATION_DEFAULT_SECONDS',
    's',
    900,
    [1, month],
    'How long a reservation holds its units when its maker does not say.',
  ),
  reservationMaxSeconds: integer(
    'RESERVATION_MAX_SECONDS',
    's',
    86_400,
    [1, month],
    'The longest that a reservation may hold, counted from its making or its last extension.',
  ),
} as const;
