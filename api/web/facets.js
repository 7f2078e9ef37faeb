// What the results can be narrowed down to: chips with true counts, and the row of those that are chosen.

import { ATTRIBUTES, YEARS } from "./address.js";
import { $, make } from "./dom.js";
import { inNumbers, valueName, word } from "./words.js";
import { bounds } from "./years.js";

const SHOWN = 8;
const OPEN_AT_FIRST = new Set(["masterCategory", "articleType", "gender", "baseColour"]);

const closed = new Set(ATTRIBUTES.filter((attribute) => !OPEN_AT_FIRST.has(attribute)));
const unfolded = new Set(); // attributes of which every value is shown

let shown = { facets: [], chosen: {} };
let choose = () => {};
let replace = () => {};

/** `onChoose(attribute, value)`: a chip is pressed; `onReplace(attribute, values)`: these and no others; `onClear()`: none. */
export function startFacets({ onChoose, onReplace, onClear }) {
  choose = onChoose;
  replace = onReplace;
  $("clear").onclick = onClear;
  $("filters-open").onclick = () => openSheet(!isSheetOpen());
  $("filters-close").onclick = () => openSheet(false);
}

/** Draw the chips: `facets` as the API counts them, `chosen` attribute → values. */
export function drawFacets(facets, chosen) {
  shown = { facets, chosen };
  const before = document.activeElement;
  const byName = new Map(facets.map(({ attribute, values }) => [attribute, values]));
  $("facets").replaceChildren(...ATTRIBUTES.map((attribute) => group(attribute, byName.get(attribute) ?? [])).filter(Boolean));
  drawChosen(chosen);
  if (before?.dataset.chip) refocus(before);
}

function refocus(before) {
  const again = document.querySelector(`#facets [data-chip="${CSS.escape(before.dataset.chip)}"]`);
  // What somebody is writing meanwhile stays.
  if (again && before.matches("input") && before.value !== before.defaultValue) again.value = before.value;
  again?.focus();
}

export const redrawFacets = () => drawFacets(shown.facets, shown.chosen);

export const isSheetOpen = () => $("filters").classList.contains("open");

/** On a phone the chips are a sheet over the page. */
export function openSheet(open) {
  $("filters").classList.toggle("open", open);
  $("filters-open").setAttribute("aria-expanded", open);
  document.body.classList.toggle("sheet", open);
  if (open) $("filters-close").focus();
}

function group(attribute, counted) {
  const chosen = shown.chosen[attribute] ?? [];
  const known = new Set(counted.map(({ value }) => value));
  const values = [...counted, ...chosen.filter((value) => !known.has(value)).map((value) => ({ value, products: 0 }))];
  const isBounded = attribute === "year" && YEARS.some((bound) => shown.chosen[bound]);
  if (values.length < 2 && !chosen.length && !isBounded) return null;
  const isLong = values.length > SHOWN + 2 && !unfolded.has(attribute);
  const visible = isLong ? values.filter(({ value }, place) => place < SHOWN || chosen.includes(value)) : values;
  const chips = visible.map(({ value, products }) => chip(attribute, value, products, chosen.includes(value)));
  const details = make("details", { open: !closed.has(attribute) || chosen.length > 0 || isBounded, className: "facet" },
    make("summary", {}, word(attribute)),
    make("div", { className: "chips" }, ...chips, isLong ? unfold(attribute, values.length) : null),
    attribute === "year" ? bounds(values.map(({ value }) => value), shown.chosen, replace) : null);
  details.ontoggle = () => (details.open ? closed.delete(attribute) : closed.add(attribute));
  return details;
}

function chip(attribute, value, products, isChosen) {
  return make("button", {
    type: "button", className: "chip", onclick: () => choose(attribute, value),
    data: { chip: `${attribute}=${value}` }, attributes: { "aria-pressed": isChosen },
  }, swatch(attribute, value), valueName(value), make("span", { className: "count" }, inNumbers(products)));
}

function unfold(attribute, count) {
  const onclick = () => {
    unfolded.add(attribute);
    redrawFacets();
  };
  return make("button", { type: "button", className: "link", onclick }, word("showAll", count));
}

function drawChosen(chosen) {
  const pairs = Object.entries(chosen).flatMap(([attribute, values]) => values.map((value) => [attribute, value]));
  $("chosen").replaceChildren(...pairs.map(([attribute, value]) => make("button", {
    type: "button", className: "chip removable", onclick: () => choose(attribute, value),
    attributes: { "aria-label": word("remove", word(attribute), valueName(value)) },
  }, swatch(attribute, value), YEARS.includes(attribute) ? `${word(attribute)} ${value}` : valueName(value), make("span", { className: "cross", ariaHidden: "true" }, "×"))));
  $("chosen-row").hidden = !pairs.length;
  $("filters-count").textContent = pairs.length ? String(pairs.length) : "";
}

// The colours of the catalogue that CSS knows by another name, or not at all.
const COLOURS = {
  Blue: "#2f6fc4", Red: "#cf2e2e", Green: "#2e8b57", Brown: "#7b4a2b", Purple: "#7d3fa0", Pink: "#ee86ad", Yellow: "#f0cf3a", Orange: "#ee8a2a",
  Grey: "#8d9299", Silver: "#c3c7cc", Beige: "#e3d5b8", Magenta: "#c2338f", Olive: "#77803a", Maroon: "#74222f", Teal: "#2b7f86",
  "Navy Blue": "navy", "Off White": "#f8f4e8", Cream: "#fff3d0", Charcoal: "#36454f", Peach: "#ffcba4", Mustard: "#d9a514",
  Skin: "#e8b999", Nude: "#e3bc9a", "Grey Melange": "#b0b0b4", Rust: "#b7410e", "Turquoise Blue": "#30d5c8", Bronze: "#cd7f32",
  Burgundy: "#800020", Copper: "#b87333", "Coffee Brown": "#4b3621", Mauve: "#c8a2c8", Metallic: "#9a9aa0", "Sea Green": "seagreen",
  Taupe: "#8b7d6b", Rose: "#f4a6b8", "Fluorescent Green": "#39ff14", "Lime Green": "limegreen", "Mushroom Brown": "#b19a83",
  Steel: "#7b8a97", Gold: "#d4af37",
};

function swatch(attribute, value) {
  if (attribute !== "baseColour") return null;
  const dot = make("span", { className: value === "Multi" ? "swatch multi" : "swatch", ariaHidden: "true" });
  dot.style.backgroundColor = COLOURS[value] ?? value.replaceAll(" ", "").toLowerCase();
  return dot;
}
