/** The documents of the tests of plans, typed by the generator. */
import { graphql } from '../../.generated/gql/gql.ts';

export const syncPlanCreate = graphql(`
  mutation SyncPlanCreate($input: SyncPlanCreateInput!) {
    syncPlanCreate(input: $input) { plan { id } userErrors { __typename code field } }
  }
`);

export const syncPlanEntrySet = graphql(`
  mutation SyncPlanEntrySet($input: SyncPlanEntrySetInput!) {
    syncPlanEntrySet(input: $input) {
      plan { id }
      entries
      userErrors { __typename code field ... on ChannelCannotWinError { listingIds } }
    }
  }
`);

export const syncPlanApply = graphql(`
  mutation SyncPlanApply($input: SyncPlanApplyInput!) {
    syncPlanApply(input: $input) {
      plan { id }
      userErrors {
        __typename code field
        ... on PlanTooLargeError { listings zeroing changing }
        ... on PlanStatusError { current }
      }
    }
  }
`);

export const syncPlanUndo = graphql(`
  mutation SyncPlanUndo($input: SyncPlanUndoInput!) {
    syncPlanUndo(input: $input) { plan { id } userErrors { __typename code ... on PlanStatusError { current } } }
  }
`);

export const planWithEntries = graphql(`
  query PlanWithEntries($id: ID!, $first: Int!, $after: Cursor, $where: SyncPlanEntryWhere) {
    syncPlan(id: $id) {
      status listings raising lowering zeroing zeroShare changeShare needsAcknowledgement
      actor { kind }
      connection { name awaitingPlan plans(first: 5) { totalCount } }
      entries(first: $first, after: $after, where: $where) {
        totalCount
        nodes { action reason why shown target winner state listing { platformId } item { sku } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

export const syncPlanProgress = graphql(`
  subscription SyncPlanProgress($id: ID!) {
    syncPlanProgress(id: $id) { __typename ... on SyncPlanEvent { planId status listings applied plan { raising } } }
  }
`);
