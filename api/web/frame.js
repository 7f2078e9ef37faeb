// What every page has around it: the language, and light or dark.

import { drawSession } from "./session.js";
import { $ } from "./dom.js";
import { switchLanguage, translate, word } from "./words.js";

/** Make the two buttons work; `redraw` writes again what the page itself has written. */
export function startFrame(redraw) {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  $("theme").onclick = switchTheme;
  $("language").onclick = () => {
    switchLanguage();
    drawFrame();
    redraw();
  };
  drawFrame();
}

function drawFrame() {
  translate(document);
  $("language").textContent = word("other");
  $("language").lang = word("otherCode");
  drawSession();
}

function switchTheme() {
  const root = document.documentElement;
  const isDark = getComputedStyle(root).colorScheme === "dark"
    || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}
