// Curves over rounds, as a drawing that a screen reader can name; the figures themselves stand in a table beside it.

import { draw } from "./dom.js";

const WIDTH = 640;
const HEIGHT = 280;
const MARGIN = { top: 16, right: 20, bottom: 36, left: 60 };
const MOST_TICKS = 6;
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5];

/**
 * A chart of `curves`: `{name, points: [[x, y], …], isMain}`, y from 0 to 1, x whole numbers from 1.
 * `upTo` is the last round; `format(y)` writes a figure; `label` says what the drawing is.
 */
export function chart({ curves, upTo, label, format }) {
  const [low, high, step] = range(curves.flatMap(({ points }) => points.map(([, y]) => y)));
  const last = Math.max(2, upTo);
  const x = (value) => MARGIN.left + ((value - 1) / (last - 1)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value) => HEIGHT - MARGIN.bottom - ((value - low) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  return draw("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    ...levels(low, high, step).map((value) => level(value, y(value), format)),
    ...rounds(last).map((value) => text(value, { x: x(value), y: HEIGHT - 12, class: "tick", "text-anchor": "middle" })),
    ...curves.filter(({ isMain }) => !isMain).map((curve) => line(curve, { x, y, format })),
    ...curves.filter(({ isMain }) => isMain).map((curve) => line(curve, { x, y, format })));
}

function line({ name, points, isMain }, { x, y, format }) {
  const path = points.map(([at, value], place) => `${place ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const dots = points.map(([at, value]) => draw("circle", { cx: x(at), cy: y(value), r: isMain ? 4.5 : 3 },
    text(`${name} · ${at}: ${format(value)}`, {}, "title")));
  const [lastAt, lastValue] = points.at(-1) ?? [];
  const figure = isMain && points.length
    ? text(format(lastValue), { x: Math.min(x(lastAt), WIDTH - 40), y: y(lastValue) - 12, class: "figure", "text-anchor": "middle" })
    : null;
  return draw("g", { class: isMain ? "curve main" : "curve" }, draw("path", { d: path }), ...dots, figure);
}

function level(value, height, format) {
  return draw("g", {},
    draw("path", { class: "level", d: `M${MARGIN.left} ${height}H${WIDTH - MARGIN.right}` }),
    text(format(value), { x: MARGIN.left - 10, y: height + 4, class: "tick", "text-anchor": "end" }));
}

function text(content, attributes, tag = "text") {
  const element = draw(tag, attributes);
  element.textContent = content;
  return element;
}

// From a round figure below the lowest to one above the highest, in a few round steps.
function range(values) {
  const least = Math.min(...values, 1);
  const most = Math.max(...values, 0);
  if (!values.length || most <= least) return [Math.max(0, Math.floor((least - 0.1) * 10) / 10), Math.min(1, Math.ceil((least + 0.1) * 10) / 10), 0.1];
  const step = STEPS.find((candidate) => (most - least) / candidate <= MOST_TICKS - 2) ?? STEPS.at(-1);
  return [Math.max(0, Math.floor(least / step) * step), Math.min(1, Math.ceil(most / step + 0.2) * step), step];
}

const levels = (low, high, step) =>
  Array.from({ length: Math.round((high - low) / step) + 1 }, (_, place) => low + place * step);

function rounds(last) {
  const step = Math.ceil(last / 12);
  return Array.from({ length: last }, (_, place) => place + 1).filter((round) => round === 1 || round % step === 0);
}
