// Every word that people read, in the language that they chose; the words themselves stand in words_en.js and words_es.js.

import { WORDS as en } from "./words_en.js";
import { VALUES, WORDS as es } from "./words_es.js";

const LANGUAGES = { en, es };

let language = localStorage.getItem("language") || (navigator.language.startsWith("es") ? "es" : "en");

/** What `name` says, with `values` in it. */
export const word = (name, ...values) => {
  const found = LANGUAGES[language][name];
  return typeof found === "function" ? found(...values) : found;
};

/** Values of the catalogue stay as they are stored; only what is shown is translated. */
export const valueName = (value) => (language === "es" && VALUES[value]) || value;

export const inNumbers = (value) => value.toLocaleString(language);
export const inDigits = (value, digits) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const inPercent = (share, digits = 1) => `${inDigits(100 * share, digits)} %`;
// 11/25 or 25/11: a language is written in several ways, and the reader's browser knows which.
const writing = () => navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
export const inTime = (text) => new Date(text).toLocaleString(writing(), { dateStyle: "medium", timeStyle: "short" });
export const inBytes = (bytes) => (bytes < 1e6 ? `${inDigits(bytes / 1e3, 0)} kB` : `${inDigits(bytes / 1e6, 1)} MB`);

export function switchLanguage() {
  language = language === "es" ? "en" : "es";
  localStorage.setItem("language", language);
}

/** Write the words of the current language into every element under `root` that asks for some. */
export function translate(root) {
  const each = (attribute, write) => {
    for (const element of root.querySelectorAll(`[data-${attribute}]`)) write(element, word(element.dataset[attribute]));
  };
  each("word", (element, text) => { element.textContent = text; });
  each("placeholder", (element, text) => { element.placeholder = text; });
  each("title", (element, text) => { element.title = text; });
  each("label", (element, text) => { element.setAttribute("aria-label", text); });
  if (root === document) document.documentElement.lang = language;
}
