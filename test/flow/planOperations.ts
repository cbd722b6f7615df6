/** The documents of the end-to-end test of a first sync, typed by the generator. */
import { graphql } from '../../.generated/gql/gql.ts';

export const createPlan = graphql(`
  mutation FlowPlanCreate($input: SyncPlanCreateInput!) {
    syncPlanCreate(input: $input) { plan { id status } userErrors { code message } }
  }
`);

export const planState = graphql(`
  query FlowPlan($id: ID!) {
    syncPlan(id: $id) {
      status error listings raising lowering zeroing unchanged leftOut channelWins skipped needsAcknowledgement applied changed undone
      connection { awaitingPlan }
      entries(first: 50) {
        nodes { action reason shown target winner state error ledgerDelta listing { id sku syncEnabled } }
      }
    }
  }
`);

export const setEntries = graphql(`
  mutation FlowPlanEntrySet($input: SyncPlanEntrySetInput!) {
    syncPlanEntrySet(input: $input) { entries userErrors { code message } }
  }
`);

export const applyPlan = graphql(`
  mutation FlowPlanApply($input: SyncPlanApplyInput!) {
    syncPlanApply(input: $input) { plan { id } userErrors { code message } }
  }
`);

export const undoPlan = graphql(`
  mutation FlowPlanUndo($input: SyncPlanUndoInput!) {
    syncPlanUndo(input: $input) { plan { id } userErrors { code message } }
  }
`);

export const planStream = graphql(`
  subscription FlowPlanProgress($id: ID!) {
    syncPlanProgress(id: $id) {
      __typename
      ... on SyncPlanEvent { cursor status listings applied undone }
      ... on Gap { to reason }
      ... on Heartbeat { cursor }
    }
  }
`);

export const observedShop = graphql(`
  query FlowObserved {
    syncHealth {
      summary
      connections {
        connection { platform }
        observed { listings differing unreadable differences { id platform sku quantity wouldShow explanation { summary } } }
      }
    }
    conflicts(first: 5) { nodes { id } }
    alerts(first: 5) { nodes { message } }
  }
`);
