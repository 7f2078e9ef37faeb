// The page: a search box, cards, a sign-in. It keeps no state but the query in the address and the token in the tab.

import { Refusal, isSignedIn, missing, needsSignIn, picture, search, signIn, signOut } from "./client.js";
import { FILTERS, switchLanguage, translate, valueName, word } from "./words.js";

const MAX_SIDE_PX = 512;
const PICTURES_AT_ONCE = 4;
const READY_POLL_MS = 2000;

const $ = (id) => document.getElementById(id);
const dialog = $("sign-in");

let query = null; // what is shown: {text} or {picture}, and its filter
let page = null; // the last answer: its cursor, its index
let shown = 0;
let tookMs = 0;
let run = 0; // a newer search makes an older one's answer void

// --- searching -------------------------------------------------------------------------------------------------

async function start(next) {
  query = { ...next, filter: chosenFilter() };
  page = null;
  shown = 0;
  clearPictures();
  $("results").replaceChildren();
  const address = query.text ? `?q=${encodeURIComponent(query.text)}` : location.pathname;
  history.replaceState(null, "", address);
  await fetchPage();
}

async function fetchPage() {
  const mine = ++run;
  $("more").hidden = true;
  say("");
  $("facts").textContent = word("searching");
  const begun = performance.now();
  try {
    const answer = await search({ ...query, after: page?.pageInfo.endCursor ?? null });
    if (mine !== run) return;
    tookMs = Math.round(performance.now() - begun);
    show(answer);
  } catch (error) {
    if (mine === run) complain(error);
  }
}

function show(answer) {
  page = answer;
  shown += answer.edges.length;
  drawFacts();
  $("more").hidden = !answer.pageInfo.hasNextPage;
  const cards = answer.edges.map(card);
  $("results").append(...cards.map(({ element }) => element));
  fillPictures(cards, run);
}

function drawFacts() {
  if (!page) return;
  const about = [word("found", shown), word("facts", page.modelVersion, page.indexVersion, page.exact)];
  $("facts").textContent = shown ? [...about, `${tookMs} ms`].join(" · ") : word("nothing");
}

function complain(error) {
  $("facts").textContent = "";
  if (needsSignIn(error)) {
    reflectSession();
    openSignIn(word("expired"));
  } else if (error instanceof Refusal) {
    say(error.message);
    if (error.code === "api.search_not_ready") waitUntilReady();
  } else {
    say(error.name === "UnreadablePicture" ? word("badPicture") : word("unreachable"));
  }
}

function chosenFilter() {
  const [gender, season, baseColour] = ["gender", "season", "colour"].map((id) => $(id).value || undefined);
  return gender || season || baseColour ? { gender, season, baseColour } : null;
}

function repeat() {
  if (query) start(query.picture ? { picture: query.picture } : { text: query.text });
}

// --- cards -----------------------------------------------------------------------------------------------------

let urls = [];

function card({ score, node: product }) {
  const element = $("card").content.firstElementChild.cloneNode(true);
  translate(element);
  element.querySelector("h3").textContent = product.productDisplayName;
  const { articleType, baseColour, gender, season, year, usage } = product;
  const tags = [articleType, baseColour, gender, season, year, usage].filter((value) => value && value !== "NA");
  element.querySelector(".tags").append(...tags.map((value) => {
    const tag = document.createElement("span");
    tag.dataset.value = value;
    tag.textContent = valueName(value);
    return tag;
  }));
  element.querySelector("meter").value = Math.max(0, score);
  element.querySelector(".score span").textContent = score.toFixed(2);
  element.querySelector(".score").title = word("score", score.toFixed(4));
  const similar = element.querySelector("button");
  similar.disabled = true; // until its picture is there to search by
  return { element, id: product.id, similar, name: product.productDisplayName };
}

async function fillPictures(cards, mine) {
  const waiting = [...cards];
  const work = async () => {
    for (let next = waiting.shift(); next && mine === run; next = waiting.shift()) await fillPicture(next, mine);
  };
  await Promise.all(Array.from({ length: PICTURES_AT_ONCE }, work));
}

async function fillPicture({ element, id, similar, name }, mine) {
  const blob = await picture(id).catch(() => null);
  if (!blob || mine !== run) return;
  const image = element.querySelector("img");
  image.src = URL.createObjectURL(blob);
  urls.push(image.src);
  image.alt = name;
  image.hidden = false;
  similar.disabled = false;
  similar.onclick = () => searchByPicture(blob);
}

function clearPictures() {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
}

// --- search by picture -----------------------------------------------------------------------------------------

async function searchByPicture(file) {
  try {
    const small = await shrunk(file);
    preview(small);
    $("text").value = "";
    scrollTo({ top: 0, behavior: "smooth" });
    await start({ picture: small });
  } catch (error) {
    complain(error);
  }
}

// A photo of a phone has megabytes; the model sees a fraction of them.
async function shrunk(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw Object.assign(new Error(), { name: "UnreadablePicture" });
  });
  const scale = Math.min(1, MAX_SIDE_PX / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.type === "image/jpeg") return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // what is transparent was photographed on nothing
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.92); });
}

function preview(blob) {
  const image = $("preview");
  if (image.src) URL.revokeObjectURL(image.src);
  image.hidden = !blob;
  if (blob) image.src = URL.createObjectURL(blob);
  else image.removeAttribute("src");
}

// --- session ---------------------------------------------------------------------------------------------------

function openSignIn(problem = "") {
  problemOf(problem);
  if (!dialog.open) dialog.showModal();
}

function problemOf(text) {
  $("sign-in-problem").textContent = text;
  $("sign-in-problem").hidden = !text;
}

async function submitCredentials(event) {
  event.preventDefault();
  const { username, password } = event.target.elements;
  try {
    await signIn(username.value, password.value);
    password.value = "";
    dialog.close();
    reflectSession();
    repeat();
  } catch (error) {
    const reason = error instanceof Refusal ? error.message : word("unreachable");
    problemOf(needsSignIn(error) ? word("refused") : reason);
  }
}

function toggleSession() {
  if (!isSignedIn()) return openSignIn();
  signOut();
  query = page = null;
  run += 1;
  clearPictures();
  $("results").replaceChildren();
  $("facts").textContent = "";
  $("more").hidden = true;
  return reflectSession();
}

function reflectSession() {
  $("session").dataset.word = isSignedIn() ? "signOut" : "signIn";
  $("session").textContent = word($("session").dataset.word);
}

// --- the page itself -------------------------------------------------------------------------------------------

function say(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

async function waitUntilReady() {
  const what = await missing().catch(() => word("unreachable"));
  if (!what) {
    say("");
    repeat();
    return;
  }
  say(`${word("notReady")} ${what}.`);
  setTimeout(waitUntilReady, READY_POLL_MS);
}

function drawWords() {
  translate(document);
  $("language").textContent = word("other");
  drawFacts();
  for (const tag of document.querySelectorAll("[data-value]")) tag.textContent = valueName(tag.dataset.value);
  for (const [id, values] of Object.entries(FILTERS)) {
    const chosen = $(id).value;
    const options = [["", `${word(id)}: ${word("any")}`], ...values.map((value) => [value, valueName(value)])];
    $(id).replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
  }
  $("examples").replaceChildren(...word("examples").map((text) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "chip", textContent: text });
    button.onclick = () => { $("text").value = text; preview(null); start({ text }); };
    return button;
  }));
}

function switchTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (isDark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
}

function listen() {
  $("search").onsubmit = (event) => {
    event.preventDefault();
    const text = $("text").value.trim();
    if (text) { preview(null); start({ text }); } else repeat();
  };
  $("picture").onchange = ({ target }) => { if (target.files[0]) searchByPicture(target.files[0]); target.value = ""; };
  for (const id of Object.keys(FILTERS)) $(id).onchange = repeat;
  $("more").onclick = fetchPage;
  $("session").onclick = toggleSession;
  $("credentials").onsubmit = submitCredentials;
  $("cancel").onclick = () => dialog.close();
  $("language").onclick = () => { switchLanguage(); drawWords(); reflectSession(); };
  $("theme").onclick = switchTheme;
  addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("dropping"); });
  addEventListener("dragleave", () => $("drop").classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("dropping");
    if (event.dataTransfer.files[0]) searchByPicture(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (file) searchByPicture(file);
  });
}

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
drawWords();
reflectSession();
listen();
const asked = new URLSearchParams(location.search).get("q");
if (asked) {
  $("text").value = asked;
  start({ text: asked });
} else {
  missing().then((what) => { if (what) waitUntilReady(); }, () => say(word("unreachable")));
}
