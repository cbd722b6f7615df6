/** The documents of the tests of rules, explanations, exposure, health and alerts, typed by the generator. */
import { graphql } from '../../.generated/gql/gql.ts';

export const accountRuleSet = graphql(`
  mutation AccountRuleSet($input: AccountRuleSetInput!) {
    accountRuleSet(input: $input) {
      account { rule { buffer share } }
      listingsAffected
      userErrors { __typename code field message }
    }
  }
`);

export const connectionRuleSet = graphql(`
  mutation ConnectionRuleSet($input: ConnectionRuleSetInput!) {
    connectionRuleSet(input: $input) { connection { rule { buffer automaticBuffer } } listingsAffected userErrors { code field } }
  }
`);

export const listingRuleSet = graphql(`
  mutation ListingRuleSet($input: ListingRuleSetInput!) {
    listingRuleSet(input: $input) {
      listing { pending rule { buffer automaticBuffer share fixed quantityMin cutOff quantityMax paused } }
      listingsAffected
      userErrors { code field }
    }
  }
`);

export const listingPause = graphql(`
  mutation ListingPause($input: ListingSwitchInput!) { listingPause(input: $input) { listing { syncEnabled pending } userErrors { code field } } }
`);

export const listingResume = graphql(`
  mutation ListingResume($input: ListingSwitchInput!) { listingResume(input: $input) { listing { syncEnabled pending } userErrors { code field } } }
`);

export const connectionPause = graphql(`
  mutation ConnectionPause($input: ConnectionSwitchInput!) { connectionPause(input: $input) { connection { syncEnabled } userErrors { code field } } }
`);

export const connectionResume = graphql(`
  mutation ConnectionResume($input: ConnectionSwitchInput!) { connectionResume(input: $input) { connection { syncEnabled } userErrors { code field } } }
`);

export const accountSettingsUpdate = graphql(`
  mutation AccountSettingsUpdate($input: AccountSettingsUpdateInput!) {
    accountSettingsUpdate(input: $input) { account { lowStockUnits stillOnSaleAfterSeconds } userErrors { code field } }
  }
`);

export const settingChanges = graphql(`
  query SettingChanges($where: SettingChangeWhere) {
    settingChanges(first: 10, orderBy: CREATED_AT_ASC, where: $where) {
      nodes { setting before after rule { buffer } listing { platformId } connection { name } actor { kind id } }
    }
  }
`);

export const explainQuantity = graphql(`
  query ExplainQuantity($listingId: ID!) {
    explainQuantity(listingId: $listingId) {
      summary mode modeReason target conflictDelta raisesStopped waitingSince
      ledger { quantity reserved available seq }
      holds { listingId platform units since }
      conflicts { conflictId platform conflictType delta }
      steps { step amount level result text }
      shown { min max }
      candidates { key value state sentAt settledAt }
      push { quantity state targetSeq error }
      ordersSince { orders units }
      rights { inForce replaced unconfirmed free }
    }
  }
`);

export const explainedListings = graphql(`
  query ExplainedListings { listings(first: 50) { nodes { explanation { target summary } } } }
`);

export const exposureOf = graphql(`
  query ExposureOf($itemId: ID!) {
    exposure(itemId: $itemId) {
      available oversold worst expected probability
      listings { listingId platform shownMax soldPerHour reactionMs }
    }
  }
`);

export const exposedItems = graphql(`
  query ExposedItems { inventoryItems(first: 50) { nodes { sku exposure { worst } } } }
`);

export const suggestedProtections = graphql(`
  query SuggestedProtections {
    inventoryItems(first: 50, orderBy: SKU_ASC) {
      nodes { sku protection protectionSuggested { protection reason available bufferNeeded soldPerHour surge reactionMs } }
    }
  }
`);

export const connectionsHealth = graphql(`
  query ConnectionsHealth {
    connections(first: 10) {
      nodes {
        health {
          status reasons connection { name }
          saleToKnown { p50Ms p90Ms p95Ms maxMs count } writeToEffective { p50Ms } saleToEffective { p50Ms } saleToEverywhere { p50Ms }
          staleMax { ms source } settleMax { ms source } indexLag { ms source } clockSkew { ms source }
          resurrectedUnits unknownWrites unknownWritesLastDay driftFound { conflictType count }
          waitingListings waitingSince lastPolledAt ordersKnownUntil failingSince failedDeliveries
        }
      }
    }
  }
`);

export const accountHealth = graphql(`
  query AccountHealth { syncHealth { status summary reasons openAlerts { kind count } connections { status connection { name } } } }
`);

export const alertsOf = graphql(`
  query AlertsOf($where: AlertWhere) {
    alerts(first: 10, orderBy: CREATED_AT_ASC, where: $where) { nodes { kind status units message item { sku } connection { name } } }
  }
`);

export const alertEvents = graphql(`
  subscription AlertEvents($after: Cursor, $kinds: [AlertKind!]) {
    alertEvents(after: $after, kinds: $kinds) {
      __typename
      ... on AlertEvent { kind status units message itemId connectionId alert { item { sku } connection { name } } }
      ... on Heartbeat { cursor }
    }
  }
`);

export const observedListings = graphql(`
  query ObservedListings { listings(first: 50) { nodes { platformId wouldShow differs explanation { observedAt summary } } } }
`);

export const observedHealth = graphql(`
  query ObservedHealth {
    syncHealth {
      summary
      connections { observed { summary listings differing unreadable unseen oldestAt differences { platformId quantity wouldShow } } }
    }
  }
`);
