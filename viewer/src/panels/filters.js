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
 * Draws a layer's filters into a canvas, a pixel for each weight; the style sheet makes it larger.
 * @param {HTMLCanvasElement} canvas
 * @param {Run} run
 * @param {number} layer
 * @param {number} update
 */
export function drawFilters(canvas, run, layer, update) {
  const found = tiles(run, layer, update);
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
 */
export function tiles(run, layer, update) {
  const variable = run.variables.get(NAME);
  const record = variable ? recordAt(variable, update) : -1;
  if (!variable || record < 0) return null;
  const { count, rows, columns, reach } = outlines(variable)[layer];
  if (!count) return null;
  const [, filters, allRows, allColumns] = variable.shape;
  const width = count * (columns + GAP) - GAP;
  const grey = new Float32Array(width * rows).fill(NaN);
  const start = (record * variable.shape[0] + layer) * filters * allRows * allColumns;
  for (let filter = 0; filter < count; filter += 1) {
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const weight = variable.values[start + (filter * allRows + row) * allColumns + column];
        grey[row * width + filter * (columns + GAP) + column] = ZERO + (ZERO - 1) * (weight / reach);
      }
    }
  }
  return { width, height: rows, grey };
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
