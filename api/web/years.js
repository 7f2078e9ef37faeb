// From which year to which: two fields below the chips of the years.

import { YEARS } from "./address.js";
import { make } from "./dom.js";
import { word } from "./words.js";

/** `known` are the years to choose from; `replace(bound, values)` is called when one is written or taken away. */
export function bounds(known, chosen, replace) {
  const years = known.map(Number).sort((one, other) => one - other);
  const [from, to] = YEARS.map((bound) => chosen[bound]?.[0]);
  return make("div", { className: "years" },
    field("yearFrom", from, { least: 1000, most: to ?? 9999, hint: years[0] }, replace),
    field("yearTo", to, { least: from ?? 1000, most: 9999, hint: years.at(-1) }, replace));
}

function field(bound, year, { least, most, hint }, replace) {
  const input = make("input", {
    type: "number", min: least, max: most, step: 1, defaultValue: year ?? "", placeholder: hint ?? "", data: { chip: bound },
    attributes: { inputmode: "numeric", "aria-label": `${word("year")}: ${word(bound)}` },
  });
  input.oninput = () => input.setCustomValidity("");
  input.onchange = () => {
    if (input.validity.valid) replace(bound, input.value ? [String(Number(input.value))] : []);
    else {
      input.setCustomValidity(word("badYears"));
      input.reportValidity();
    }
  };
  return make("label", {}, word(bound), input);
}
