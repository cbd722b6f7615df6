/** The documents of the price tests, typed by the generator. */
import { graphql } from '../../.generated/gql/gql.ts';

export const listingPrices = graphql(`
  query ListingPrices {
    listings(first: 10) {
      nodes {
        platformId price { amount currencyCode } intendedPrice { amount currencyCode } pricePending priceRefusal priceExplanation
      }
    }
  }
`);
