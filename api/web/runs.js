// Training: the runs, the recall curve, the rounds of one run, and who takes part in it.

import { chart } from "./chart.js";
import { $, make } from "./dom.js";
import { inBytes, inDigits, inNumbers, inPercent, word } from "./words.js";

const FATES = ["accepted", "rejected", "silent"];

let chosen = null; // id of the run that is looked at; null: the newest
let shown = [];

/** Draw everything about runs; they come newest first. */
export function drawRuns(runs) {
  shown = runs;
  const run = runs.find(({ id }) => id === chosen) ?? runs[0];
  $("training").classList.toggle("none", !run);
  if (!run) return;
  $("runs").replaceChildren(...runs.map((other) => button(other, other === run)));
  drawState(run);
  drawCurve(runs, run);
  $("rounds").replaceChildren(...run.rounds.map(roundRow));
  drawParticipants(run.contributions);
}

function button(run, isChosen) {
  const onclick = () => {
    chosen = run.id;
    drawRuns(shown);
    document.querySelector("#runs [aria-pressed=true]").focus();
  };
  const told = [word("roundsOf", run.rounds.filter(isComplete).length, run.plannedRounds), run.strategy].filter(Boolean).join(" · ");
  return make("button", { type: "button", className: "run", onclick, attributes: { "aria-pressed": isChosen } },
    make("b", { title: run.id }, shortName(run.id)), badge(run.state), make("small", {}, told));
}

// Airflow's ids are long and differ in their middle: manual__2026-11-25T12:33:10+00:00.
const shortName = (id) => id.replace(/^manual__|^scheduled__/, "").replace(/\+00:00$/, "");

export const badge = (state) => make("span", { className: `badge ${state}` }, word(state));

const isComplete = ({ state }) => state === "complete";

function drawState(run) {
  const waiting = run.waitingFor.length ? word("waitingFor", run.waitingFor.join(", ")) : "";
  $("run-said").textContent = [run.message, waiting, run.error].filter(Boolean).join(" · ");
  const all = run.plannedRounds ?? run.rounds.length;
  $("run-progress").max = all || 1;
  $("run-progress").value = run.rounds.filter(isComplete).length;
  $("run-progress").hidden = !run.isRunning;
  $("run-told").hidden = !run.isRunning && !$("run-said").textContent;
}

function drawCurve(runs, main) {
  const curves = runs.map((run) => ({
    name: shortName(run.id),
    isMain: run === main,
    points: run.rounds.filter(({ recallAt10 }) => recallAt10 !== null).map(({ round, recallAt10 }) => [round, recallAt10]),
  }));
  const lengths = runs.map((run) => Math.max(run.plannedRounds ?? 0, run.rounds.length));
  const label = word("curveOf", shortName(main.id), curves.find(({ isMain }) => isMain).points.map(([, y]) => inPercent(y)).join(", "));
  $("curve").replaceChildren(chart({ curves, upTo: Math.max(...lengths), label, format: (y) => inPercent(y, 0) }));
}

function roundRow(round) {
  const marks = round.clients.map(({ name, fate, reason }) => make("i", { className: fate, title: [name, word(fate), reason].filter(Boolean).join(" · ") }));
  if (!isComplete(round)) {
    return make("tr", { className: "running" }, make("th", { scope: "row" }, String(round.round)), make("td", { colSpan: 5 }, badge("running")));
  }
  const replies = make("span", { className: "marks", attributes: { role: "img", "aria-label": word("replies", round.replies, round.asked) } }, ...marks);
  return make("tr", {}, make("th", { scope: "row" }, String(round.round)),
    number(round.recallAt10, inPercent), number(round.loss, (loss) => inDigits(loss, 3)),
    make("td", {}, replies), number(round.bytesUp + round.bytesDown, inBytes), number(round.seconds, (s) => `${inDigits(s, 1)} s`));
}

function drawParticipants(contributions) {
  const all = contributions.reduce((sum, { trained, accepted }) => sum + trained * accepted, 0);
  $("participants").replaceChildren(...contributions.map((part) => {
    const share = all ? (part.trained * part.accepted) / all : 0;
    const marks = FATES.flatMap((fate) => Array.from({ length: part[fate] }, () => make("i", { className: fate })));
    const told = word("fates", part.accepted, part.rejected, part.silent);
    return make("tr", { title: part.reasons.join("\n") },
      make("th", { scope: "row" }, part.client), number(part.products, inNumbers),
      make("td", {}, make("span", { className: "marks", title: told, attributes: { role: "img", "aria-label": told } }, ...marks)),
      make("td", { className: "share" }, make("meter", { min: 0, max: 1, value: share, attributes: { "aria-label": word("share") } }),
        make("span", {}, inPercent(share, 0))),
      number(part.recallAt10, inPercent), number(part.bytesUp + part.bytesDown, inBytes));
  }));
}

export const number = (value, format) => make("td", { className: "number" }, value === null ? "–" : format(value));
