// What is to be learned, what the network gives, and what each layer adds to it.
import { chart, colorsOf } from "../chart.js";
import { depthColor } from "../colors.js";
import { element, say } from "../dom.js";
import { number, whole } from "../format.js";
import { recordAt, recordedAt } from "../run.js";
import { scaleOf } from "../scale.js";
import { prominent } from "../store.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {import("../run.js").Run} Run
 */

const DRAWN_ANEW = new Set(["runs", "more", "theme", "update", "layer", "hovered"]);

/** @param {Run} run */
export const hasFunctions = (run) => run.variables.has("prediction") && "x" in run.axes;

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
export function functions(host, context) {
  const picture = element("div", {
    class: "lcb-plot",
    role: "img",
    "aria-label": "Target and prediction, over positions, with what each layer adds.",
  });
  const reading = element("p", { class: "lcb-reading" });
  host.append(element("h3", {}, "Target and prediction"), picture, reading);
  /** @type {import("../chart.js").Chart | null} */
  let drawn = null;

  /** @param {Set<string>} changed */
  function update(changed) {
    if (![...changed].some((what) => DRAWN_ANEW.has(what))) return;
    const run = context.run();
    const { update: now } = context.store.get();
    const rest = () => say(reading, readingOf(run, now));
    drawn?.destroy();
    drawn = draw(picture, context, now, (x) => {
      if (x === null) rest();
      else say(reading, readingAt(context, now, x));
    });
    rest();
  }
  return { update, destroy: () => drawn?.destroy() };
}

/**
 * @param {HTMLElement} host
 * @param {Context} context
 * @param {number} update
 * @param {(x: number | null) => void} onPoint
 */
function draw(host, context, update, onPoint) {
  const run = context.run();
  const inks = colorsOf(host);
  const scale = scaleOf(context.all().flatMap(({ variables }) => [
    variables.get("target")?.values ?? [],
    variables.get("prediction")?.values ?? [],
  ]));
  const target = run.variables.get("target");
  return chart(host, {
    x: run.axes.x,
    range: [scale.low, scale.high],
    onPoint,
    xLabel: "position x",
    yLabel: "value",
    lines: [
      ...contributions(run, update, context),
      ...(target ? [{ label: "target", color: inks.text, width: 4, values: target.values }] : []),
      { label: "prediction", color: inks.accent, width: 2.5, values: slice(run, "prediction", update, 0) },
    ],
  });
}

/**
 * @param {Run} run
 * @param {number} update
 * @param {Context} context
 */
function contributions(run, update, context) {
  if (!run.variables.has("contribution")) return [];
  const chosen = prominent(context.store.get());
  return run.layers.map((layer, index) => ({
    label: layer.name,
    color: depthColor(index, run.layers.length, context.dark()),
    width: layer.name === chosen ? 3 : 1,
    values: slice(run, "contribution", update, index),
  }));
}

/**
 * One function of a record.
 * @param {Run} run
 * @param {string} name
 * @param {number} update
 * @param {number} place
 */
function slice(run, name, update, place) {
  const points = run.axes.x.length;
  const variable = run.variables.get(name);
  const record = variable ? recordAt(variable, update) : -1;
  if (!variable || record < 0) return new Array(points).fill(NaN);
  const start = record * variable.size + place * points;
  return variable.values.subarray(start, start + points);
}

/**
 * @param {Run} run
 * @param {number} update
 */
function readingOf(run, update) {
  const target = run.variables.get("target");
  const parts = run.variables.has("contribution") ? "; thinnest lines: what each layer adds" : "";
  const lines = `Thick grey line: target; thinner line: prediction${parts}.`;
  if (!target) return lines;
  const prediction = slice(run, "prediction", update, 0);
  let squares = 0;
  for (let i = 0; i < prediction.length; i += 1) squares += (prediction[i] - target.values[i]) ** 2;
  const error = number(Math.sqrt(squares / prediction.length));
  const when = whole(recordedAt(run.variables.get("prediction"), update));
  return `${lines} Root mean square error at update ${when}: ${error}`;
}

/**
 * What all functions are at a position.
 * @param {Context} context
 * @param {number} update
 * @param {number} x
 */
function readingAt(context, update, x) {
  const run = context.run();
  const positions = run.axes.x;
  const spacing = (positions[positions.length - 1] - positions[0]) / (positions.length - 1);
  const at = Math.max(0, Math.min(positions.length - 1, Math.round((x - positions[0]) / spacing)));
  const target = run.variables.get("target");
  const told = [
    ...(target ? [`target ${number(target.values[at])}`] : []),
    `prediction ${number(slice(run, "prediction", update, 0)[at])}`,
  ];
  const chosen = run.layers.findIndex(({ name }) => name === prominent(context.store.get()));
  if (chosen >= 0 && run.variables.has("contribution")) {
    const added = number(slice(run, "contribution", update, chosen)[at]);
    told.push(`${run.layers[chosen].name} adds ${added}`);
  }
  const when = whole(recordedAt(run.variables.get("prediction"), update));
  return `x = ${number(positions[at])}, update ${when}: ${told.join(", ")}`;
}
