// Models: the versions, which one is the champion, who changed it; operators promote and roll back.

import { Refusal } from "./client.js";
import { $, make } from "./dom.js";
import { promote, rollBack } from "./overview.js";
import { number } from "./runs.js";
import { inPercent, inTime, word } from "./words.js";

const dialog = $("deed");
let deed = null; // what the dialog is about: {act, version}
let changed = () => {};

/** Make the dialog work; `onChange` is called when the champion has changed. */
export function startModels(onChange) {
  changed = onChange;
  $("deed-cancel").onclick = () => dialog.close();
  $("deed-form").onsubmit = carryOut;
}

/** Draw the table of versions, newest first, and the trail of changes. */
export function drawModels(models, changes) {
  const wereChampions = new Set(changes.filter(({ action }) => action !== "refused").flatMap(({ fromVersion, toVersion }) => [fromVersion, toVersion]));
  $("models").replaceChildren(...models.map((model) => row(model, wereChampions)));
  $("no-models").hidden = models.length > 0;
  $("changes").replaceChildren(...changes.map(({ at, actor, action, fromVersion, toVersion, reason }) => make("li", {},
    make("time", { dateTime: at }, inTime(at)), make("b", {}, word(`did_${action}`, fromVersion, toVersion)),
    make("span", {}, `${actor}: ${reason}`))));
}

function row(model, wereChampions) {
  const aliases = model.aliases.map((alias) => make("span", { className: `badge ${alias}` }, word(alias)));
  const gain = model.recallAt10 !== null && model.zeroShotRecallAt10 !== null ? model.recallAt10 - model.zeroShotRecallAt10 : null;
  return make("tr", { className: model.isChampion ? "champion" : "", title: model.judgement ?? "" },
    make("th", { scope: "row" }, word("model", model.version)), make("td", {}, ...aliases),
    number(model.recallAt10, inPercent), number(gain, (value) => `${value >= 0 ? "+" : "−"}${inPercent(Math.abs(value))}`),
    make("td", {}, model.preset), make("td", {}, inTime(model.createdAt)),
    make("td", { className: "deeds" }, ...deedsOf(model, wereChampions)));
}

function deedsOf(model, wereChampions) {
  if (model.isChampion) return [];
  const ways = wereChampions.has(model.version) ? [["rollBack", rollBack], ["promote", promote]] : [["promote", promote]];
  return ways.map(([name, act]) => make("button", {
    type: "button", className: "secondary small", onclick: () => ask(name, act, model.version),
    attributes: { "aria-label": word(`${name}Version`, model.version) },
  }, word(name)));
}

function ask(name, act, version) {
  deed = { act, version };
  $("deed-title").textContent = word(`${name}Version`, version);
  $("deed-why").textContent = word(`${name}Why`);
  $("deed-form").reset();
  $("override").parentElement.hidden = name !== "promote";
  $("deed-go").textContent = word(name);
  tell("");
  dialog.showModal();
}

async function carryOut(event) {
  event.preventDefault();
  const { reason, override } = event.target.elements;
  $("deed-go").disabled = true;
  tell("");
  try {
    const came = await deed.act({ version: deed.version, reason: reason.value.trim(), override: override.checked });
    if (came.promoted === false) return tell(word("notPromoted", came.reason));
    dialog.close();
    $("done").textContent = came.message ?? word("promoted_", came.version, came.reason);
    $("done").hidden = false;
    return await changed();
  } catch (error) {
    return tell(error instanceof Refusal ? error.message : word("unreachable"));
  } finally {
    $("deed-go").disabled = false;
  }
}

function tell(text) {
  $("deed-problem").textContent = text;
  $("deed-problem").hidden = !text;
}
