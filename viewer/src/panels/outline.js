// What a layer adds to the function that the network is, as a small line inside its node.
import { recordAt } from "../run.js";

/** @typedef {import("../run.js").Run} Run */

const WIDTH = 100;
const HEIGHT = 40;
const MOST_POINTS = 100;

/**
 * The path of a layer's contribution; empty where the run has none.
 * @param {Run} run
 * @param {number} layer
 * @param {number} update
 */
export function outline(run, layer, update) {
  const variable = run.variables.get("contribution");
  if (!variable) return "";
  const record = recordAt(variable, update);
  if (record < 0) return "";
  const points = run.axes.x.length;
  const start = record * variable.size + layer * points;
  const reach = reachOf(variable);
  const step = Math.max(1, Math.floor(points / MOST_POINTS));
  let path = "";
  for (let i = 0; i < points; i += step) {
    const value = variable.values[start + i];
    if (!Number.isFinite(value)) return "";
    const x = (WIDTH * i) / (points - 1);
    const y = HEIGHT / 2 - (HEIGHT / 2 - 2) * Math.max(-1, Math.min(1, value / reach));
    path += `${path ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`;
  }
  return path;
}

/** @type {WeakMap<import("../run.js").Variable, number>} */
const reaches = new WeakMap();

/**
 * The largest size that any layer's contribution has, so that all are drawn alike.
 * @param {import("../run.js").Variable} variable
 */
function reachOf(variable) {
  const known = reaches.get(variable);
  if (known !== undefined) return known;
  let reach = 0;
  for (const value of variable.values) {
    if (Number.isFinite(value)) reach = Math.max(reach, Math.abs(value));
  }
  reaches.set(variable, reach || 1);
  return reach || 1;
}
