// What is asked, as the page's address: every page can be bookmarked, and Back goes back.

export const ATTRIBUTES = [
  "masterCategory", "articleType", "gender", "baseColour", "brand", "season", "usage", "year", "subCategory", "owner",
];
/** Bounds, each of one year; they stand among the choices as an attribute of one value does. */
export const YEARS = ["yearFrom", "yearTo"];
export const NOTHING = Object.freeze({
  text: "", like: null, picture: "", weight: 0.5, without: "", unique: false, varied: false, view: "grid", chosen: {},
});

/** The state that an address stands for; whatever it cannot mean is left out. */
export function fromAddress(search = location.search) {
  const given = new URLSearchParams(search);
  const like = Number(given.get("like"));
  const weight = Number(given.get("weight") ?? NOTHING.weight);
  const lists = ATTRIBUTES.map((attribute) => [attribute, [...new Set(given.getAll(attribute).filter(Boolean))]]);
  const years = YEARS.map((bound) => [bound, [given.get(bound)].filter((year) => /^\d{4}$/.test(year ?? ""))]);
  const [[from], [to]] = years.map(([, year]) => year);
  return {
    text: given.get("q") ?? "",
    like: Number.isInteger(like) && like > 0 ? like : null,
    picture: given.get("picture") ?? "",
    weight: weight >= 0 && weight <= 1 ? weight : NOTHING.weight,
    without: given.get("without") ?? "",
    unique: given.has("unique"),
    varied: given.has("varied"),
    view: given.get("view") === "list" ? "list" : "grid",
    chosen: Object.fromEntries([...lists, ...(from > to ? [] : years)].filter(([, values]) => values.length)),
  };
}

/** The address of a state, with nothing in it that goes without saying. */
export function toAddress(state) {
  const said = new URLSearchParams();
  const say = (name, value) => { if (value) said.append(name, value); };
  say("q", state.text);
  say("like", state.like);
  say("picture", state.picture);
  if (state.picture && state.text && state.weight !== NOTHING.weight) said.append("weight", state.weight);
  say("without", state.without);
  say("unique", state.unique && "1");
  say("varied", state.varied && "1");
  say("view", state.view === "list" && "list");
  for (const attribute of [...ATTRIBUTES, ...YEARS]) for (const value of state.chosen[attribute] ?? []) said.append(attribute, value);
  const text = said.toString();
  return text ? `?${text}` : location.pathname;
}

export const isQuestion = (state) => Boolean(state.text || state.like || state.picture);
export const isHome = (state) => !isQuestion(state) && !Object.keys(state.chosen).length;

/** The choices with one value more, or without it where it was among them. */
export function toggled(chosen, attribute, value) {
  const before = chosen[attribute] ?? [];
  const after = before.includes(value) ? before.filter((other) => other !== value) : [...before, value];
  return replaced(chosen, attribute, after);
}

/** The choices with these values of an attribute and no others; none: without the attribute. */
export function replaced(chosen, attribute, values) {
  const { [attribute]: _, ...others } = chosen;
  return values.length ? { ...others, [attribute]: values } : others;
}
