// The page of the federation: looks every two seconds while somebody looks at it.

import { Refusal, identity, isSignedIn, needsSignIn } from "./client.js";
import { drawVersions, redrawComparison, startCompare } from "./compare.js";
import { $ } from "./dom.js";
import { startFrame } from "./frame.js";
import { drawModels, startModels } from "./models.js";
import { fetchOverview } from "./overview.js";
import { drawRuns } from "./runs.js";
import { drawSession, openSignIn, startSession } from "./session.js";
import { inNumbers, inPercent, word } from "./words.js";

const EVERY_MS = 2000;
const OPERATORS = ["operator", "admin"];

let seen = ""; // the last answer as text: what has not changed is not drawn again
let timer = 0;

const isOperator = () => identity().roles.some((role) => OPERATORS.includes(role));

async function look() {
  clearTimeout(timer);
  document.body.classList.toggle("stranger", !isSignedIn());
  document.body.classList.toggle("reader", isSignedIn() && !isOperator());
  $("live").hidden = true;
  if (!isSignedIn() || !isOperator()) return;
  try {
    const found = await fetchOverview();
    say("");
    if (seen !== JSON.stringify(found)) draw(found);
    seen = JSON.stringify(found);
    $("live").hidden = false;
  } catch (error) {
    if (needsSignIn(error)) return leave();
    say(error instanceof Refusal ? error.message : word("unreachable"));
  }
  if (!document.hidden) timer = setTimeout(look, EVERY_MS);
}

function leave() {
  drawSession();
  document.body.classList.add("stranger");
  openSignIn(word("expired"));
}

function draw({ runs, modelVersions, indexVersions, modelChanges }) {
  drawTiles(runs, modelVersions, indexVersions);
  drawRuns(runs);
  drawModels(modelVersions, modelChanges);
  drawVersions(modelVersions);
  document.body.classList.add("drawn");
}

function drawTiles([run], models, indexes) {
  const champion = models.find(({ isChampion }) => isChampion);
  const index = indexes.find(({ state }) => state === "live");
  const building = indexes.find(({ state }) => state === "building");
  tile("champion", champion ? word("model", champion.version) : "–",
    champion?.recallAt10 ? word("findsNow", inPercent(champion.recallAt10), inPercent(champion.zeroShotRecallAt10 ?? 0)) : word("noChampion"));
  tile("index", index ? word("index", index.version) : "–", building
    ? word("isBuilding", building.version, inPercent(building.progress ?? 0, 0))
    : index ? [word("found", index.products ?? 0), word("model", index.modelVersion)].join(" · ") : word("noIndex"));
  tile("run", run ? word(run.state) : "–", run ? word("roundsOf", run.rounds.filter(({ state }) => state === "complete").length, run.plannedRounds) : word("noRuns"));
  tile("clients", run ? inNumbers(run.contributions.length) : "–",
    run ? word("found", run.contributions.reduce((sum, { products }) => sum + products, 0)) : "");
}

function tile(name, figure, said) {
  $(`tile-${name}`).textContent = figure;
  $(`said-${name}`).textContent = said;
}

function say(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function again() {
  seen = "";
  return look();
}

startSession(again);
startFrame(() => {
  redrawComparison();
  again();
});
startModels(again);
startCompare();
$("stranger-sign-in").onclick = () => openSignIn();
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
look();
