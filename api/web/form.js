// The search field: words, a picture or a product beside them, what it shall not be, and how results are shown.

import { $, make } from "./dom.js";
import { preview } from "./picture.js";
import { forgetPictures, showPicture } from "./pictures.js";
import { word } from "./words.js";

/** `onAsk(changes)` asks anew; `nothing` is the empty question; `current()` what is asked now. */
export function startForm({ onAsk, nothing, current }) {
  $("search").onsubmit = (event) => {
    event.preventDefault();
    const { picture } = current();
    $("text").blur();
    onAsk({ ...nothing, picture, weight: Number($("weight").value), text: $("text").value.trim(), without: $("without").value.trim() });
  };
  $("unask").onclick = () => onAsk({ ...nothing, text: current().text });
  $("weight").onchange = ({ target }) => onAsk({ weight: Number(target.value) });
  $("without").onchange = ({ target }) => onAsk({ without: target.value.trim() });
  for (const name of ["unique", "varied"]) $(name).onchange = ({ target }) => onAsk({ [name]: target.checked });
  for (const view of ["grid", "list"]) $(`view-${view}`).onclick = () => onAsk({ view });
  startExamples((text) => onAsk({ ...nothing, text }));
}

function startExamples(ask) {
  $("examples").onclick = ({ target }) => { if (target.matches("button")) ask(target.textContent); };
}

/** Show a state in the form; `picture` is the Blob that is searched by. */
export function drawForm(state, picture) {
  $("text").value = state.text;
  $("without").value = state.without;
  $("weight").value = state.weight;
  $("unique").checked = state.unique;
  $("varied").checked = state.varied;
  const isQuestion = Boolean(state.text || state.like || state.picture);
  $("options").hidden = !isQuestion;
  $("weighing").hidden = !(picture && state.text);
  for (const view of ["grid", "list"]) $(`view-${view}`).setAttribute("aria-pressed", view === state.view);
  preview(picture);
  drawLike(state.like, null);
  $("unask").hidden = !picture && !state.like;
  $("examples").replaceChildren(...word("examples").map((text) => make("button", { type: "button", className: "link" }, text)));
}

/** Show the product that is searched like, as soon as it is known; `id` alone keeps its place. */
export function drawLike(id, product) {
  const image = $("like-picture");
  forgetPictures($("asked-like"));
  $("asked-like").hidden = !id;
  $("like-title").textContent = product ? word("likeThis", product.productDisplayName) : "";
  if (product) showPicture(image, product);
}
