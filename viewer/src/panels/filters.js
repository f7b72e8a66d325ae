// Some filters of a layer, as grey tiles inside its node: mid-grey is 0, for any colour of the node.
import { recordAt } from "../run.js";

/**
 * @typedef {import("../run.js").Run} Run
 * @typedef {import("../run.js").Variable} Variable
 */

const NAME = "filters";
const GAP = 1; // between two tiles, in pixels of the filters
const ZERO = 128;

/** @param {Run} run */
export const hasFilters = (run) => Boolean(run.variables.get(NAME)?.at.length);

/**
 * Draws filters of the first layer that has some, a pixel for each weight; the style sheet makes
 * them larger.
 * @param {HTMLCanvasElement} canvas
 * @param {Run} run
 * @param {number[]} layers
 * @param {number} update
 * @param {number} across How many tiles stand beside each other.
 */
export function drawFilters(canvas, run, layers, update, across) {
  const found = layers.map((layer) => tiles(run, layer, update, across)).find(Boolean);
  canvas.hidden = !found;
  if (!found) return;
  const { width, height, grey } = found;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pixels = new Uint8ClampedArray(4 * grey.length);
  grey.forEach((value, i) => pixels.set(Number.isNaN(value) ? [0, 0, 0, 0] : [value, value, value, 255], 4 * i));
  canvas.getContext("2d")?.putImageData(new ImageData(pixels, width, height), 0, 0);
}

/**
 * The filters of a layer beside each other, as greys from 0 to 255; NaN between them. The largest
 * weight that the layer has in the run is white or black, so that one sees them grow.
 * @param {Run} run
 * @param {number} layer
 * @param {number} update
 * @param {number} [across] How many tiles stand beside each other.
 */
export function tiles(run, layer, update, across = Infinity) {
  const variable = run.variables.get(NAME);
  const record = variable ? recordAt(variable, update) : -1;
  if (!variable || record < 0) return null;
  const { count, rows, columns, reach } = outlines(variable)[layer];
  if (!count) return null;
  const [layers, filters, allRows, allColumns] = variable.shape;
  const inLine = Math.min(count, across);
  const width = inLine * (columns + GAP) - GAP;
  const height = Math.ceil(count / inLine) * (rows + GAP) - GAP;
  const grey = new Float32Array(width * height).fill(NaN);
  const start = (record * layers + layer) * filters * allRows * allColumns;
  for (let filter = 0; filter < count; filter += 1) {
    const top = Math.floor(filter / inLine) * (rows + GAP);
    const left = (filter % inLine) * (columns + GAP);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const weight = variable.values[start + (filter * allRows + row) * allColumns + column];
        grey[(top + row) * width + left + column] = ZERO + (ZERO - 1) * (weight / reach);
      }
    }
  }
  return { width, height, grey };
}

/**
 * How many filters each layer has, how large they are, and its largest weight in the run.
 * @typedef {{count: number, rows: number, columns: number, reach: number}} Outline
 */

/** @type {WeakMap<Variable, Outline[]>} */
const known = new WeakMap();

/** @param {Variable} variable */
function outlines(variable) {
  const found = known.get(variable) ?? measured(variable);
  known.set(variable, found);
  return found;
}

/** @param {Variable} variable @returns {Outline[]} */
function measured({ shape, values }) {
  const [layers, filters, rows, columns] = shape;
  const made = Array.from({ length: layers }, () => ({ count: 0, rows: 0, columns: 0, reach: 0 }));
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    const own = made[Math.floor(i / (filters * rows * columns)) % layers];
    own.columns = Math.max(own.columns, (i % columns) + 1);
    own.rows = Math.max(own.rows, (Math.floor(i / columns) % rows) + 1);
    own.count = Math.max(own.count, (Math.floor(i / (columns * rows)) % filters) + 1);
    own.reach = Math.max(own.reach, Math.abs(value));
  });
  return made.map((own) => ({ ...own, reach: own.reach || 1 }));
}
