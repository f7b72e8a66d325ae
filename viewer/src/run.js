// A run, read from the compact form that `compact.py` writes.
import { decoded } from "./bytes.js";

/** @typedef {import("./bytes.js").Encoded} Encoded */

/**
 * @typedef {object} Layer
 * @property {string} name
 * @property {string} block
 * @property {string} [kind]
 * @property {string} [role]
 * @property {number} [parameters]
 */

/**
 * @typedef {object} Event
 * @property {number} update
 * @property {string} kind
 * @property {string} text
 * @property {string[]} layers
 */

/**
 * @typedef {Encoded & {longName: string, title?: string, units: string, dims: string[], at: number[], of?: number,
 *   band?: {low: Encoded, high: Encoded}}} Described
 */

/**
 * @typedef {object} Form
 * @property {string} format
 * @property {number} version
 * @property {Layer[]} layers
 * @property {number[]} steps
 * @property {Record<string, number[]>} axes
 * @property {Record<string, Described>} variables
 * @property {Event[]} events
 * @property {Record<string, string>} missing
 * @property {Record<string, string | number>} attributes
 */

/**
 * @typedef {object} Variable
 * @property {string} name
 * @property {string} longName
 * @property {string} title The same in short.
 * @property {string} units
 * @property {string[]} dims Beside the one along training.
 * @property {number[]} at The updates it was recorded at.
 * @property {number} of How many records there were, of which these are some.
 * @property {number[]} shape Of a record.
 * @property {number} size How many values a record has.
 * @property {Float32Array} values Record by record.
 * @property {Float32Array} [low] Over seeds.
 * @property {Float32Array} [high]
 */

/**
 * @typedef {object} Run
 * @property {Layer[]} layers
 * @property {number[]} steps
 * @property {Record<string, number[]>} axes
 * @property {Map<string, Variable>} variables
 * @property {Event[]} events
 * @property {Record<string, string>} missing
 * @property {Record<string, string | number>} attributes
 */

/**
 * @param {Form} form
 * @returns {Run}
 */
export function read(form) {
  if (form.format !== "keras-lcb-run" || form.version !== 1) {
    throw new Error(`This is no run that the viewer reads: ${form.format} ${form.version}.`);
  }
  const variables = new Map(
    Object.entries(form.variables).map(([name, described]) => [name, variable(name, described)]),
  );
  const { layers, steps, axes, events, missing, attributes } = form;
  return { layers, steps, axes, variables, events, missing, attributes };
}

/**
 * @param {string} name
 * @param {Described} described
 * @returns {Variable}
 */
function variable(name, described) {
  const { longName, title = longName, units, dims, at, of, band } = described;
  const values = decoded(described);
  return {
    name,
    longName,
    title,
    units,
    dims,
    at,
    of: of ?? at.length,
    shape: at.length ? described.shape.slice(1) : described.shape,
    size: at.length ? values.length / at.length : values.length,
    values,
    ...(band && { low: decoded(band.low), high: decoded(band.high) }),
  };
}

/**
 * A run up to an update, as if it had not gone on.
 * @param {Run} run
 * @param {number} update
 * @returns {Run}
 */
export function until(run, update) {
  const variables = [...run.variables].flatMap(([name, variable]) => {
    const { at, size, values, low, high } = variable;
    if (!at.length) return [[name, variable]];
    const count = recordAt(variable, update) + 1;
    const cut = { at: at.slice(0, count), values: values.subarray(0, count * size) };
    const bounds = low && high ? { low: low.subarray(0, count * size), high: high.subarray(0, count * size) } : {};
    return count ? [[name, { ...variable, ...cut, ...bounds }]] : [];
  });
  return {
    ...run,
    steps: run.steps.filter((step) => step <= update),
    variables: new Map(/** @type {[string, Variable][]} */ (variables)),
    events: run.events.filter((event) => event.update <= update),
  };
}

/**
 * A run that has gone on: records that are newer than those it has are added, and records of the
 * same updates are replaced, as for distances, which the newest weights change from the start on.
 * @param {Run} run
 * @param {Run} more
 * @returns {Run}
 */
export function joined(run, more) {
  const variables = new Map(run.variables);
  for (const [name, piece] of more.variables) {
    const before = variables.get(name);
    variables.set(name, before?.at.length && piece.at.length ? appended(before, piece) : piece);
  }
  const [first] = more.steps;
  const steps = [...run.steps.filter((step) => step < first), ...more.steps];
  return { ...more, layers: run.layers, axes: run.axes, missing: run.missing, steps, variables };
}

/**
 * @param {Variable} before
 * @param {Variable} piece
 * @returns {Variable}
 */
function appended(before, piece) {
  const at = [...before.at.filter((update) => update < piece.at[0]), ...piece.at];
  const values = new Float32Array(at.length * piece.size);
  const start = (at.length - piece.at.length) * piece.size;
  values.set(before.values.subarray(0, start));
  values.set(piece.values, start);
  return { ...piece, at, of: at.length, values };
}

/**
 * The newest record at or before an update; -1 where there is none.
 * @param {Pick<Variable, "at">} variable
 * @param {number} update
 */
export function recordAt({ at }, update) {
  let low = 0;
  let high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] <= update) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * The update of the newest record at or before an update, of which all that is shown then tells;
 * the update itself where there is none.
 * @param {Pick<Variable, "at"> | undefined} variable
 * @param {number} update
 */
export function recordedAt(variable, update) {
  return variable?.at[recordAt(variable, update)] ?? update;
}

/**
 * One value of a variable, NaN where there is no record yet.
 * @param {Variable} variable
 * @param {number} update
 * @param {number} place Within the record.
 */
export function valueAt(variable, update, place = 0) {
  const record = recordAt(variable, update);
  return record < 0 ? NaN : variable.values[record * variable.size + place];
}

/**
 * The quantities of layers along training, those with something to show first.
 * @param {Run} run
 */
export function quantities(run) {
  return [...run.variables.values()].filter(
    ({ dims, at }) => at.length > 0 && dims.length === 1 && dims[0] === "layer",
  );
}

/** @param {Variable} variable */
export function hasValues({ values }) {
  return values.some((value) => Number.isFinite(value));
}

/** @param {Run} run */
export function lastUpdate({ steps }) {
  return steps[steps.length - 1];
}

/** Where the axes of updates end: for a run that goes on, where it will. @param {Run} run */
export function lastPlanned(run) {
  return Math.max(lastUpdate(run), Number(run.attributes.planned ?? 0));
}
