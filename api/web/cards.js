// Cards of products, and the keys that walk over them.

import { copy, $, make } from "./dom.js";
import { forgetPictures, showPicture } from "./pictures.js";
import { inDigits, translate, valueName, word } from "./words.js";

const TOLD = ["articleType", "baseColour", "gender", "season", "year", "usage"];
const SKELETONS = 12;

let open = () => {};
let like = () => {};

/** `onOpen(product)` shows one product, `onLike(product)` searches for more like it. */
export function startCards({ onOpen, onLike }) {
  open = onOpen;
  like = onLike;
  $("results").onkeydown = walk;
}

/** Add products after those that are there: `{node, score}`, the score missing when nothing was searched for. */
export function addCards(edges) {
  $("results").append(...edges.map(card));
}

export function clearCards() {
  forgetPictures($("results"));
  $("results").replaceChildren();
}

/** Empty cards, where an answer is on its way. */
export function drawSkeletons() {
  clearCards();
  const skeleton = () => make("div", { className: "card skeleton", ariaHidden: "true" },
    make("div", { className: "picture" }), make("div", { className: "about" }, make("i"), make("i")));
  $("results").append(...Array.from({ length: SKELETONS }, skeleton));
}

/** Words of the cards in the language of now. */
export function redrawCards() {
  translate($("results"));
  for (const tag of $("results").querySelectorAll("[data-value]")) tag.textContent = valueName(tag.dataset.value);
}

export const tagsOf = (product) => TOLD.map((name) => product[name]).filter((value) => value && value !== "NA").map(tag);

const tag = (value) => make("span", { data: { value } }, valueName(String(value)));

function card({ node: product, score }) {
  const element = copy("card");
  translate(element);
  const link = element.querySelector("h3 button");
  link.textContent = product.productDisplayName;
  link.onclick = () => open(product);
  element.querySelector(".picture").onclick = () => open(product);
  element.querySelector(".tags").append(...tagsOf(product));
  element.dataset.id = product.id;
  const image = element.querySelector("img");
  image.alt = product.productDisplayName;
  showPicture(image, product);
  element.querySelector(".like").onclick = () => like(product);
  drawScore(element.querySelector(".score"), score);
  return element;
}

function drawScore(place, score) {
  place.hidden = score === undefined;
  if (place.hidden) return;
  place.querySelector("meter").value = Math.max(0, score);
  place.querySelector("span").textContent = inDigits(score, 2);
  place.title = word("score", inDigits(score, 4));
}

// From title to title, as in a grid; Enter opens the product, as it presses any button.
function walk(event) {
  const titles = [...$("results").querySelectorAll("h3 button")];
  const at = titles.indexOf(event.target);
  if (at === -1) return;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(), Home: -titles.length, End: titles.length };
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  titles[Math.min(titles.length - 1, Math.max(0, at + step))].focus();
}

function columns() {
  const cards = [...$("results").children];
  const below = cards.findIndex((card) => card.offsetTop > cards[0].offsetTop);
  return below === -1 ? cards.length : below;
}
