// Keys of the whole page: "/" goes to the search field, Escape closes or leaves it, arrow down goes to the results.

import { $, isWriting } from "./dom.js";

/** `onEscape` closes what the page itself has open; dialogs close by themselves. */
export function startKeys({ onEscape }) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "/" && !isWriting(event.target)) {
      event.preventDefault();
      $("text").focus();
      $("text").select();
    } else if (event.key === "Escape") {
      onEscape();
      if (event.target === $("text")) $("text").blur();
    } else if (event.key === "ArrowDown" && [document.body, $("text")].includes(event.target)) {
      const first = $("results").querySelector("h3 button");
      if (!first) return;
      event.preventDefault();
      first.focus();
    }
  });
}
