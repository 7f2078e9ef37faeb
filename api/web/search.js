// The search page: what is asked stands in the address; this asks it, and shows what comes of it.

import { NOTHING, fromAddress, isHome, isQuestion, replaced, toAddress, toggled } from "./address.js";
import { addCards, clearCards, drawSkeletons, redrawCards, startCards } from "./cards.js";
import { fetchAlternatives, fetchPage, fetchProduct } from "./catalogue.js";
import { Refusal, isSignedIn, missing, needsSignIn } from "./client.js";
import { $ } from "./dom.js";
import { drawFacets, openSheet, redrawFacets, startFacets } from "./facets.js";
import { drawForm, drawLike, startForm } from "./form.js";
import { startFrame } from "./frame.js";
import { startKeys } from "./keys.js";
import { UnreadablePicture, keep, keptPicture, listenForPictures } from "./picture.js";
import { openProduct, startProduct } from "./product.js";
import { drawSession, openSignIn, startSession } from "./session.js";
import { clearSaid, redrawSaid, say, sayAbout, sayEmpty, saySearching } from "./saying.js";
import { Walk, startScrolling, watchEnd } from "./walk.js";
import { word } from "./words.js";

const READY_POLL_MS = 2000;

let state = fromAddress();
let walk = null;

// --- asking ------------------------------------------------------------------------------------------------------

function go(changes) {
  state = { ...state, ...changes };
  const address = toAddress(state);
  if (address !== (location.search || location.pathname)) history.pushState(null, "", address);
  return ask();
}

async function ask() {
  document.body.dataset.mode = isHome(state) ? "home" : "results";
  $("results").dataset.view = state.view;
  document.title = state.text ? `${state.text} · Tejido` : "Tejido";
  clearSaid();
  const picture = state.picture ? keptPicture(state.picture) : null;
  drawForm(state, picture);
  if (!isSignedIn()) return showStranger();
  document.body.classList.remove("stranger");
  if (state.picture && !picture) return complain(new Refusal({ message: word("pictureGone") }));
  const asked = state;
  walk = new Walk((after, signal) => fetchPage(asked, { after, picture, signal }));
  if (state.like) nameLike(asked, walk);
  drawSkeletons();
  saySearching();
  return nextPage(walk);
}

// A title more or less: where it cannot be had, the search itself says why.
function nameLike({ like }, { signal }) {
  fetchProduct(like).then((product) => { if (!signal.aborted) drawLike(like, product); }, () => {});
}

async function nextPage(mine) {
  const begun = performance.now();
  $("more").disabled = true;
  try {
    const isFirst = mine.shown === 0;
    const page = await mine.next();
    if (!page) return;
    if (isFirst) showFirst(page, mine, performance.now() - begun);
    if (mine.failed) say("");
    mine.failed = false;
    addCards(page.edges);
    $("more").hidden = !mine.hasMore;
    watchEnd();
  } catch (error) {
    mine.failed = mine.shown > 0 && keepsResults(error);
    if (mine.failed) say(inWords(error), () => nextPage(mine));
    else await complain(error);
  } finally {
    $("more").disabled = false;
  }
}

function showFirst(page, mine, tookMs) {
  clearCards();
  if (page.edges.length) sayAbout(page, Math.round(tookMs), isQuestion(state));
  else sayEmpty(Object.keys(state.chosen).length > 0);
  drawFacets(page.facets, state.chosen);
  $("filters-close").textContent = word("showProducts", page.totalCount);
  addAlternatives(page.facets, mine).catch((error) => {
    if (!mine.isOver) say(inWords(error), ask);
  });
}

// Of an attribute of which something is chosen, the answer counts only that: the others can be chosen too.
async function addAlternatives(facets, { signal }) {
  if (!Object.keys(state.chosen).length) return;
  const others = new Map((await fetchAlternatives(state.chosen, signal)).map((facet) => [facet.attribute, facet]));
  if (signal.aborted) return;
  const known = new Map(facets.map((facet) => [facet.attribute, facet]));
  drawFacets([...new Map([...known, ...others]).values()], state.chosen);
}

// What was found stays where only the next page was not to be had.
const keepsResults = (error) => !needsSignIn(error) && error.code !== "api.index_changed";

// --- when it cannot be answered ------------------------------------------------------------------------------------

async function complain(error) {
  if (error.name === "AbortError") return;
  if (error.code === "api.index_changed") {
    await ask();
    say(word("indexChanged"));
    return;
  }
  stopShowing();
  if (needsSignIn(error)) {
    showStranger();
    openSignIn(word("expired"));
  } else if (error.code === "api.search_not_ready") {
    waitUntilReady();
  } else if (error instanceof UnreadablePicture) {
    say(word("badPicture"));
  } else {
    say(inWords(error), ask);
  }
}

const inWords = (error) => (error instanceof Refusal ? error.message : word("unreachable"));

function stopShowing() {
  walk?.leave();
  clearCards();
  clearSaid();
  $("more").hidden = true;
}

function showStranger() {
  stopShowing();
  drawSession();
  drawFacets([], {});
  document.body.classList.add("stranger");
}

async function waitUntilReady() {
  const what = await missing().catch(() => word("unreachable"));
  if (!what) return ask();
  say(`${word("notReady")} ${what}.`);
  setTimeout(waitUntilReady, READY_POLL_MS);
  return undefined;
}

// --- beginning -----------------------------------------------------------------------------------------------------

const QUESTION = { text: "", like: null, picture: "", weight: NOTHING.weight };

function searchLike(product) {
  scrollTo({ top: 0 });
  go({ ...NOTHING, view: state.view, like: product.id });
}

async function searchByPicture(file) {
  try {
    const key = await keep(file);
    scrollTo({ top: 0 });
    await go({ ...QUESTION, picture: key });
  } catch (error) {
    complain(error);
  }
}

startSession(ask);
startFrame(() => {
  redrawCards();
  redrawFacets();
  redrawSaid();
});
startForm({ onAsk: go, nothing: QUESTION, current: () => state });
startFacets({
  onChoose: (attribute, value) => go({ chosen: toggled(state.chosen, attribute, value) }),
  onReplace: (attribute, values) => go({ chosen: replaced(state.chosen, attribute, values) }),
  onClear: () => go({ chosen: {} }),
});
startCards({ onOpen: openProduct, onLike: searchLike });
startProduct({ onLike: searchLike });
startScrolling(() => { if (walk) nextPage(walk); });
startKeys({ onEscape: () => openSheet(false) });
listenForPictures(searchByPicture);
$("stranger-sign-in").onclick = () => openSignIn();
addEventListener("popstate", () => {
  state = fromAddress();
  ask();
});
ask();
