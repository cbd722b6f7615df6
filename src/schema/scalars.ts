/** The scalars beyond GraphQL's own: exact money, UTC time, opaque cursors. */
import { apiError } from './apiError.ts';
import { builder } from './builder.ts';

// RFC 3339: a full date and time with a zone. A bare date would mean another instant in each zone.
const dateTimePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;
const cursorLengthMax = 1_000;

builder.scalarType('DateTime', {
  description:
    'An instant as ISO 8601 in UTC with milliseconds, e.g. `2026-11-22T10:00:00.000Z`. Inputs may carry any offset.',
  specifiedByURL: 'https://scalars.graphql.org/andimarek/date-time.html',
  serialize: (value) => value.toISOString(),
  parseValue(value) {
    const date = typeof value === 'string' && dateTimePattern.test(value) ? new Date(value) : null;
    const year = date?.getUTCFullYear() ?? Number.NaN;
    // Beyond these years an instant has another form, and PostgreSQL knows no year 0.
    if (date === null || !(year >= 1 && year <= 9_999)) {
      throw apiError(
        'BAD_USER_INPUT',
        'A DateTime is an ISO 8601 instant with a zone, e.g. 2026-11-22T10:00:00Z.',
      );
    }
    return date;
  },
});

builder.scalarType('Decimal', {
  description: 'An exact decimal number as a string, e.g. `"24.50"`. Never a float.',
  serialize: (value) => value,
  parseValue(value) {
    if (typeof value !== 'string' || !/^-?\d{1,15}(\.\d{1,6})?$/.test(value)) {
      throw apiError('BAD_USER_INPUT', 'A Decimal is a string such as "24.50".');
    }
    return value;
  },
});

builder.scalarType('Cursor', {
  description:
    'A position, opaque. In a connection it names a row and stays valid when that row changes or goes. In a stream it says how far one has read.',
  serialize: (value) => value,
  parseValue(value) {
    if (typeof value !== 'string' || value === '' || value.length > cursorLengthMax) {
      throw apiError('BAD_USER_INPUT', 'A Cursor is a string that this API gave out.');
    }
    return value;
  },
});
