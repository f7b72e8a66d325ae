// The run in sentences: what the pictures show, for those who do not see them.
import { number, whole } from "./format.js";
import { lastUpdate, recordAt, valueAt } from "./run.js";
import { isWayLeft } from "./scale.js";

/**
 * @typedef {import("./run.js").Run} Run
 * @typedef {import("./store.js").State} State
 */

/**
 * @param {Run} run
 * @param {State} state
 */
export function words(run, { update, quantity, layer }) {
  const last = lastUpdate(run);
  if (last === 0) return "Before training.";
  // Beside a longer run, one that has ended is shown as it was then.
  const sentences = [`Update ${whole(Math.min(update, last))} of ${whole(last)}.`];
  const loss = run.variables.get("loss");
  const now = loss && loss.dims.length === 0 ? valueAt(loss, update) : NaN;
  if (!Number.isNaN(now)) sentences.push(`Training loss ${number(now)}.`);
  sentences.push(extremes(run, quantity, update));
  if (layer) sentences.push(of(run, quantity, update, layer));
  const broken = Number(run.attributes.nonfinite);
  if (broken >= 0 && update >= broken) {
    sentences.push(`Training went wrong at update ${whole(broken)}: NaN or infinity.`);
  }
  return sentences.filter(Boolean).join(" ");
}

/**
 * @param {Run} run
 * @param {string} quantity
 * @param {number} update
 */
function extremes(run, quantity, update) {
  const variable = run.variables.get(quantity);
  const record = variable ? recordAt(variable, update) : -1;
  if (!variable || record < 0) return "";
  const ranked = run.layers
    .map(({ name }, index) => ({ name, value: variable.values[record * variable.size + index] }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => a.value - b.value);
  if (!ranked.length) return `No layer has a finite value of ${variable.longName}.`;
  const [least, most] = [ranked[0], ranked[ranked.length - 1]];
  const [low, high] = isWayLeft(quantity) ? ["Nearest to its end", "farthest"] : ["Smallest", "largest"];
  const title = variable.longName;
  return `${low} by ${title}: ${least.name}, ${number(least.value)}; ${high}: ${most.name}, ${number(most.value)}.`;
}

/**
 * @param {Run} run
 * @param {string} quantity
 * @param {number} update
 * @param {string} layer
 */
function of(run, quantity, update, layer) {
  const variable = run.variables.get(quantity);
  const index = run.layers.findIndex(({ name }) => name === layer);
  if (!variable || index < 0) return "";
  return `Chosen: ${layer}, ${number(valueAt(variable, update, index))}.`;
}

/**
 * The whole run in a few sentences, wherever the reader stands.
 * @param {Run} run
 */
export function summary(run) {
  const { layers, attributes } = run;
  const last = lastUpdate(run);
  if (last === 0) return `${layers.length} layers, before training.`;
  const seeds = Number(attributes.seeds ?? 1);
  const optimizer = attributes.optimizer ? ` with ${attributes.optimizer}` : "";
  const sentences = [`${layers.length} layers, ${whole(last)} updates${optimizer}.`];
  if (seeds > 1) sentences.push(`Mean of ${seeds} seeds; bands reach from the lowest to the highest.`);
  const thinned = [...run.variables.values()].find(({ at, of: all }) => all > at.length + 1 && at.length > 300);
  if (thinned) sentences.push(`Of ${whole(thinned.of)} records, ${thinned.at.length} are drawn.`);
  if (attributes.provisional) sentences.push("Provisional: training was not over.");
  return sentences.join(" ");
}
