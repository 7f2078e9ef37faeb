// One query against two model versions, side by side, with what moved.

import { Refusal } from "./client.js";
import { $, make } from "./dom.js";
import { fetchComparison } from "./overview.js";
import { forgetPictures, showPicture } from "./pictures.js";
import { valueName, word } from "./words.js";

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
    shown = { versions, answers };
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

function draw({ versions, answers }) {
  const [a, b] = answers.map(({ edges }) => edges);
  const places = [a, b].map((edges) => new Map(edges.map(({ node }, place) => [node.id, place])));
  fill($("side-a"), a, ({ id }) => (places[1].has(id) ? null : mark("gone", word("gone"))));
  fill($("side-b"), b, ({ id }, place) => moved(places[0].get(id), place));
  for (const [place, name] of ["a", "b"].entries()) $(`title-${name}`).textContent = word("model", versions[place]);
  const both = a.filter(({ node }) => places[1].has(node.id));
  const still = both.filter(({ node }) => places[0].get(node.id) === places[1].get(node.id)).length;
  $("compare-said").textContent = word("compared_", { both: both.length, still, fresh: b.length - both.length });
}

function fill(list, edges, markOf) {
  empty(list);
  list.append(...edges.map(({ node, score }, place) => {
    const image = make("img", { alt: "" });
    showPicture(image, node);
    const told = [node.articleType, node.baseColour, node.gender].filter(Boolean).map(valueName).join(" · ");
    return make("li", { data: { id: node.id } }, make("span", { className: "rank" }, String(place + 1)),
      make("span", { className: "picture" }, image),
      make("span", { className: "told" }, make("b", {}, node.productDisplayName), make("small", {}, `${told} · ${score.toFixed(2)}`)),
      markOf(node, place));
  }));
}

function moved(before, place) {
  if (before === undefined) return mark("new", word("fresh"));
  if (before === place) return mark("same", "=", word("samePlace"));
  const by = Math.abs(before - place);
  return before > place ? mark("up", `▲ ${by}`, word("up", by)) : mark("down", `▼ ${by}`, word("down", by));
}

const mark = (kind, text, label = text) => make("span", { className: `moved ${kind}`, title: label, attributes: { role: "img", "aria-label": label } }, text);

function light(id) {
  for (const item of document.querySelectorAll(".side li")) item.classList.toggle("lit", Boolean(id) && item.dataset.id === id);
}
