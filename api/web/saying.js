// What the page says about the results, so that everybody hears it: how many, of which model; that there are none; that it failed.

import { $ } from "./dom.js";
import { word } from "./words.js";

let redraw = () => {};

/** Say the same again, in the language of now. */
export const redrawSaid = () => redraw();

/** A notice above the results; with `again`, a button that tries again. */
export function say(text, again = null) {
  $("notice-text").textContent = text;
  $("notice-again").hidden = !again;
  $("notice-again").onclick = again;
  $("notice").hidden = !text;
}

export function clearSaid() {
  redraw = () => {};
  say("");
  $("facts").textContent = "";
  $("empty").hidden = true;
}

export function saySearching() {
  redraw = saySearching;
  $("facts").textContent = word("searching");
}

/** The answer in one line; of browsing it has no model. */
export function sayAbout(answer, tookMs, isSearch) {
  redraw = () => sayAbout(answer, tookMs, isSearch);
  const { totalCount, modelVersion, indexVersion, exact, recall, truncated } = answer;
  const about = [word("found", totalCount)];
  if (isSearch) about.push(word("model", modelVersion), word("index", indexVersion), word("compared", exact, recall));
  if (truncated) about.push(word("truncated"));
  $("facts").textContent = [...about, `${tookMs} ms`].join(" · ");
}

export function sayEmpty(isFiltered) {
  redraw = () => sayEmpty(isFiltered);
  $("facts").textContent = "";
  $("empty").hidden = false;
  $("empty-hint").textContent = word(isFiltered ? "emptyFiltered" : "emptyHint");
}
