/** What people are told of listings that their channel goes on selling where the number is used up (assumption A1 does not hold for them). */

/** Shopify alone has such a setting. */
export const beyondRemedy =
  'Switch off "Continue selling when out of stock" in Shopify, then import the catalogue again.';
