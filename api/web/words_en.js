// English.

const products = (n) => (n === 1 ? "1 product" : `${n.toLocaleString("en")} products`);

export const WORDS = {
  // around every page
  skip: "Skip to results", docs: "API", searchPage: "Search", federationPage: "Federation",
  theme: "Light or dark", other: "Español", otherCode: "es",
  signIn: "Sign in", signOut: "Sign out", signedInAs: (name) => `Signed in as ${name}`,
  signInWhy: "Search is for those whom the operator knows. The session goes on while the page is open, for 12 hours at most.",
  name: "Name", password: "Password", cancel: "Cancel", close: "Close",
  refused: "Name or password is wrong.", expired: "Please sign in to go on.",
  untold: "You are signed out here. The server could not be told: there the session ends by itself within an hour.",
  unreachable: "The server does not answer. Is it still running?", again: "Try again",

  // asking
  title: "Find it by words, or by a picture of it.",
  lead: "One search over the catalogues of many merchants, who trained its model together and kept their data to themselves.",
  placeholder: "navy blue checked shirt", searchLabel: "What are you looking for?", search: "Search",
  byPicture: "Search by picture", dropHere: "Drop the picture to search by it",
  yourPicture: "Your picture", unask: "Search without it", likeThis: (title) => `Like ${title}`,
  weighing: "Picture or words", picture: "Picture", words: "Words",
  without: "But not", withoutPlaceholder: "striped",
  unique: "Hide near-duplicates", varied: "At most 2 of a brand",
  try: "Try", examples: ["black leather handbag", "white running shoes", "red summer dress", "men formal shirt", "silver watch"],
  strangerTitle: "Sign in to begin.",
  strangerText: "The catalogue is open to those whom its operator knows: to search by words or picture, and to browse.",

  // narrowing down
  filters: "Filters", chosenLabel: "Chosen filters", clear: "Clear all", remove: (attribute, value) => `Remove ${attribute}: ${value}`,
  showAll: (n) => `Show all ${n}`, showProducts: (n) => `Show ${products(n)}`,
  masterCategory: "Category", subCategory: "Kind", articleType: "Type", gender: "For whom", baseColour: "Colour", brand: "Brand",
  season: "Season", usage: "Use", year: "Year", owner: "Merchant",
  yearFrom: "From", yearTo: "To", badYears: "A year such as 2012, and the first not after the last.",

  // results
  results: "Results", more: "Show more", like: "More like this", view: "View", grid: "Grid", list: "List",
  searching: "Searching…", found: products, model: (version) => `model ${version}`, index: (version) => `index ${version}`,
  compared: (exact, recall) => {
    if (exact) return "every product compared";
    return recall === null ? "approximate" : `approximate, finds ${(100 * recall).toFixed(1)} % of the nearest`;
  },
  truncated: "only the nearest 1,000 were looked at", score: (score) => `Similarity ${score}`,
  emptyTitle: "Nothing fits.", emptyHint: "Try other words, or a picture.",
  emptyFiltered: "No product has all that you chose. Take one of the filters away.",
  indexChanged: "The index was renewed meanwhile, so this is the search from its beginning.",
  badPicture: "This file cannot be read as a picture.",
  pictureGone: "The picture of this address is kept in the tab that searched by it, and it is gone. Drop it here again.",
  notReady: "Search is getting ready:",
  keys: "/ search · arrows move · Enter opens · Esc closes",

  // the federation
  skipTo: "Skip to the training",
  federationLead: "Merchants train one model together, round by round. Their pictures and titles stay with them; only weights travel.",
  live: "Live", operatorsTitle: "This page is for operators.",
  operatorsText: "Sign in as one to see rounds, models and who takes part.",
  readersText: "You are signed in as a reader: ask an administrator for the role operator.",
  champion: "Champion", challenger: "Challenger", previous: "Previous", liveIndex: "Live index", lastRun: "Last run", participants: "Participants",
  findsNow: (now, before) => `finds ${now} of test titles; ${before} before training`,
  noChampion: "none was promoted yet", noIndex: "nothing is searched yet", noRuns: "there was none",
  isBuilding: (version, share) => `index ${version} is being built: ${share}`,
  training: "Training", noRunsHint: "No run yet. Start one with: tejido federation run", runs: "Runs", progress: "Progress of the run",
  running: "running", completed: "completed", failed: "failed", complete: "complete",
  waitingFor: (names) => `waits for ${names}`,
  roundsOf: (done, all) => (all ? `${done} of ${all} rounds` : `${done} rounds`),
  curve: "Recall@10 on validation titles, by round", round: "Round", rounds: "Rounds", loss: "Loss", repliesOf: "Replies", traffic: "Traffic", time: "Time",
  curveOf: (run, figures) => `Recall at 10 of run ${run}, round by round: ${figures}`,
  replies: (n, all) => `${n} of ${all} updates count`,
  accepted: "accepted", rejected: "rejected", silent: "silent",
  fates: (accepted, rejected, silent) => `${accepted} accepted, ${rejected} rejected, ${silent} silent`,
  whoTakesPart: "Who takes part", products: "Products", share: "Share of the training",
  models: "Models", noModels: "No model is registered yet.", version: "Version", role: "Role", gain: "Gain", preset: "Preset", registered: "Registered",
  changes: "Who changed the champion",
  did_promoted: (from, to) => `promoted ${to}`, did_overridden: (from, to) => `promoted ${to} against the test`, did_refused: (from, to) => `refused ${to}`,
  did_rolled_back: (from, to) => `rolled back from ${from} to ${to}`, did_failed: (from, to) => `failed with ${to}`,
  promote: "Promote", rollBack: "Roll back", promoteVersion: (version) => `Promote model ${version}`, rollBackVersion: (version) => `Roll back to model ${version}`,
  promoteWhy: "It is tested against the champion first, and promoted if it finds more and harms no client. Its index is built next.",
  rollBackWhy: "It becomes the champion again at once, with its index if that is still there.",
  reason: "Reason, for the trail", override: "Promote it whatever the test says", notPromoted: (reason) => `The test refuses it: ${reason}`,
  promoted_: (version, reason) => `Model ${version} is the champion now. ${reason}`,
  sideBySide: "Side by side", before: "Before", after: "After", compare: "Compare", sameVersion: "Choose two different versions.",
  compared_: ({ both, still, fresh }) => `${both} in both, ${still} of them in the same place; ${fresh} not among the first before.`,
  nowAt: (rank) => `now at ${rank}`, gone: "gone", fresh: "new", samePlace: "same place", up: (n) => `up by ${n}`, down: (n) => `down by ${n}`,
};
