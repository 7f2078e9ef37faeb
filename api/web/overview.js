// The operators' questions: runs, models, indexes, changes; two models side by side; promote and roll back.

import { ask } from "./client.js";

const RUNS = 6;
const CHANGES = 8;
export const SHOWN = 10;

const ROUND = `round state recallAt10 loss asked replies rejected late attempts bytesUp bytesDown seconds
  clients { name fate reason }`;
const OVERVIEW = `query ($runs: Int!, $changes: Int!) {
  runs(first: $runs) { id state isRunning stage message toldAt waitingFor error plannedRounds preset strategy trainable
    catalogueVersion chosenRound modelVersion recallAt10 zeroShotRecallAt10 rounds { ${ROUND} }
    contributions { client products trained rounds accepted rejected silent bytesUp bytesDown recallAt10 reasons } }
  modelVersions { version aliases isChampion preset catalogueVersion createdAt recallAt10 zeroShotRecallAt10 judgement run }
  indexVersions { version state modelVersion products added expected progress recallAt10 }
  modelChanges(first: $changes) { at actor action fromVersion toVersion reason } }`;
const COMPARE = `query ($text: String!, $first: Int!, $versions: [String!]!) {
  compareSearch(text: $text, first: $first, versions: $versions) {
    modelVersion indexVersion hits { rank score movedFrom product { id productDisplayName articleType baseColour gender imageUrl } } } }`;
const PROMOTE = `mutation ($version: String!, $reason: String!, $override: Boolean!) {
  done: promoteModel(version: $version, reason: $reason, override: $override) { version promoted reason recallAt10 incumbentRecallAt10 } }`;
const ROLL_BACK = "mutation ($reason: String!, $to: String) { done: rollBackModel(reason: $reason, to: $to) { version was message } }";

/** Everything that the page of the federation shows. */
export const fetchOverview = () => ask(OVERVIEW, { runs: RUNS, changes: CHANGES });

/** The same words, searched for by two model versions: an answer for each, in their order. */
export const fetchComparison = async (text, versions) =>
  (await ask(COMPARE, { text, versions, first: SHOWN })).compareSearch;

export const promote = async ({ version, reason, override }) => (await ask(PROMOTE, { version, reason, override })).done;
export const rollBack = async ({ version, reason }) => (await ask(ROLL_BACK, { to: version, reason })).done;
