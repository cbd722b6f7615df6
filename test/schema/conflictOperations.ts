/** The documents of the tests about conflicts, typed by the generator. */
import { graphql } from '../../.generated/gql/gql.ts';

export const conflictsPage = graphql(`
  query ConflictsPage {
    conflicts(first: 10) {
      nodes {
        id conflictType platforms status version delta provenAt suggestedResolution autoResolvable awaitsReview resolution
        priceDelta { amount currencyCode }
        resolvedBy { kind id }
        movement { id }
        supersededBy { id }
        priceEvidence { expected { amount currencyCode } shown { amount currencyCode } }
        evidence {
          delta target targetSeq ordersWatermark
          reading { value from until }
          range { low high }
          candidates { value targetSeq state sentAt settledAt }
          orders(first: 10) { orderId units basis soldFrom soldUntil order { platformOrderId } }
        }
      }
    }
  }
`);

export const conflictResolve = graphql(`
  mutation ConflictResolve($input: ConflictResolveInput!) {
    conflictResolve(input: $input) {
      conflicts { id status version resolution resolvedBy { kind id } }
      item { quantity syncStatus }
      movement { onHandDelta kind conflictId }
      userErrors {
        __typename code field
        ... on VersionConflictError { current }
        ... on SupersededError { supersededById }
        ... on AlreadyResolvedError { resolution }
        ... on OtherConflictsOpenError { conflictIds }
      }
    }
  }
`);

export const conflictPolicySet = graphql(`
  mutation ConflictPolicySet($input: ConflictPolicySetInput!) {
    conflictPolicySet(input: $input) {
      account { conflictPolicy { resolution unitsMax priceToleranceMinor } }
      userErrors { code field }
    }
  }
`);

export const conflictPolicy = graphql(`
  query ConflictPolicy { viewer { account { conflictPolicy { resolution unitsMax priceToleranceMinor } } } }
`);

export const itemPriceSet = graphql(`
  mutation ItemPriceSet($input: ItemPriceSetInput!) {
    itemPriceSet(input: $input) { item { price { amount currencyCode } } userErrors { code field } }
  }
`);

export const conflictUpdates = graphql(`
  subscription ConflictUpdates {
    conflictEvents {
      __typename
      ... on ConflictEvent {
        conflictId itemId listingId conflictType status delta version conflict { evidence { range { low } } }
      }
    }
  }
`);
