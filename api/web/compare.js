// One query against two model versions, side by side, with what moved.

import { Refusal } from "./client.js";
import { $, make } from "./dom.js";
import { SHOWN, fetchComparison } from "./overview.js";
import { forgetPictures, showPicture } from "./pictures.js";
import { inDigits, valueName, word } from "./words.js";

let asked = 0; // a newer question makes an older one's answer void
let shown = null;

export function startCompare() {
  $("compare-form").onsubmit = (event) => {
    event.preventDefault();
    compare();
  };
  for (const id of ["version-a", "version-b"]) $(id).onchange = () => { if ($("compare-text").value.trim()) compare(); };
  for (const side of document.querySelectorAll(".side")) {
    side.onmouseover = ({ target }) => light(target.closest("li")?.dataset.id);
    side.onmouseleave = () => light(null);
  }
}

/** The versions that can be chosen: at first the champion and the newest other, the older one before. */
export function drawVersions(models) {
  const names = models.map(({ version }) => version);
  const champion = models.find(({ isChampion }) => isChampion)?.version ?? names[0];
  const other = names.find((version) => version !== champion) ?? champion;
  const [older, newer] = [champion, other].sort((one, two) => one - two);
  for (const [id, first] of [["version-a", older], ["version-b", newer]]) {
    const before = $(id).value;
    $(id).replaceChildren(...models.map((model) => make("option", { value: model.version }, nameOf(model))));
    $(id).value = names.includes(before) ? before : first;
  }
  $("side-by-side").hidden = models.length < 2;
}

const nameOf = ({ version, isChampion }) => [word("model", version), isChampion ? word("champion") : ""].filter(Boolean).join(" · ");

export const redrawComparison = () => { if (shown) draw(shown); };

async function compare() {
  const mine = ++asked;
  const [text, ...versions] = ["compare-text", "version-a", "version-b"].map((id) => $(id).value.trim());
  if (!text) return $("compare-text").focus();
  if (versions[0] === versions[1]) return tell(word("sameVersion"));
  $("compare-said").textContent = word("searching");
  try {
    const answers = await fetchComparison(text, versions);
    if (mine !== asked) return undefined;
    shown = answers;
    return draw(shown);
  } catch (error) {
    return tell(error instanceof Refusal ? error.message : word("unreachable"));
  }
}

function tell(text) {
  shown = null;
  $("compare-said").textContent = text;
  for (const list of [$("side-a"), $("side-b")]) empty(list);
}

function empty(list) {
  forgetPictures(list);
  list.replaceChildren();
}

function draw([before, after]) {
  fill("a", before, whereto);
  fill("b", after, wherefrom);
  const kept = after.hits.filter(({ movedFrom }) => movedFrom !== null && movedFrom <= SHOWN);
  const still = kept.filter(({ rank, movedFrom }) => rank === movedFrom).length;
  $("compare-said").textContent = word("compared_", { both: kept.length, still, fresh: after.hits.length - kept.length });
}

function fill(side, { modelVersion, indexVersion, hits }, markOf) {
  const list = $(`side-${side}`);
  empty(list);
  $(`title-${side}`).textContent = [word("model", modelVersion), word("index", indexVersion)].join(" · ");
  list.append(...hits.map((hit) => item(hit, markOf(hit))));
}

function item({ rank, score, product }, moved) {
  const image = make("img", { alt: "" });
  showPicture(image, product);
  const told = [product.articleType, product.baseColour, product.gender].filter(Boolean).map(valueName);
  return make("li", { data: { id: product.id } }, make("span", { className: "rank" }, String(rank)),
    make("span", { className: "picture" }, image),
    make("span", { className: "told" }, make("b", { title: product.productDisplayName }, product.productDisplayName),
      make("small", {}, [...told, inDigits(score, 2)].join(" · "))), moved);
}

// Before: only what is not shown after, with where it went.
function whereto({ movedFrom: after }) {
  if (after === null) return mark("gone", word("gone"));
  return after > SHOWN ? mark("down", `→ ${after}`, word("nowAt", after)) : null;
}

// After: where each came from.
function wherefrom({ rank, movedFrom: before }) {
  if (before === null) return mark("new", word("fresh"));
  if (before === rank) return mark("same", "=", word("samePlace"));
  const by = Math.abs(before - rank);
  return before > rank ? mark("up", `▲ ${by}`, word("up", by)) : mark("down", `▼ ${by}`, word("down", by));
}

const mark = (kind, text, label = text) => make("span", { className: `moved ${kind}`, title: label, attributes: { role: "img", "aria-label": label } }, text);

function light(id) {
  for (const item of document.querySelectorAll(".side li")) item.classList.toggle("lit", Boolean(id) && item.dataset.id === id);
}
