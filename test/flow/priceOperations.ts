/** The documents of the price flow, typed by the generator. */
import { graphql } from '../../.generated/gql/gql.ts';

export const setPrice = graphql(`
  mutation FlowItemPrice($input: ItemPriceSetInput!) {
    itemPriceSet(input: $input) { item { price { amount currencyCode } } userErrors { code message } }
  }
`);

export const pricesBySku = graphql(`
  query FlowPrices($sku: String!) {
    inventoryItemBySku(sku: $sku) {
      id
      listings(first: 10) {
        nodes { platform price { amount currencyCode } intendedPrice { amount } pricePending priceRefusal priceExplanation }
      }
      operations(first: 20) { nodes { action status targetPlatforms error } }
    }
  }
`);

export const openConflicts = graphql(`
  query FlowOpenConflicts {
    conflicts(first: 10, where: { status: { eq: OPEN } }) {
      nodes { id version conflictType platforms priceDelta { amount } }
    }
  }
`);

export const decideConflicts = graphql(`
  mutation FlowDecide($input: ConflictResolveInput!) {
    conflictResolve(input: $input) { conflicts { status resolution } userErrors { code message } }
  }
`);
