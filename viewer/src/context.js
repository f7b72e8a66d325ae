// What a panel may ask: the run it shows, and what of it is chosen.
import { isDark } from "./colors.js";
import { hasValues, lastPlanned, lastUpdate, quantities } from "./run.js";
import { rowKey, rows } from "./rows.js";
import { isWayLeft, scaleOf } from "./scale.js";

/**
 * @typedef {import("./run.js").Run} Run
 * @typedef {import("./rows.js").Row} Row
 * @typedef {import("./store.js").Store} Store
 */

/**
 * @param {Store} store
 * @param {() => Run} run The run of this panel.
 * @param {() => Run[]} all Those beside it included: all have the same scales.
 * @param {HTMLElement} root
 */
export function createContext(store, run, all, root) {
  /** @type {number | null} */
  let pointed = null;
  return {
    store,
    run,
    all,
    dark: () => isDark(root),
    rows: () => rows(run(), store.get()),
    variable: () => run().variables.get(store.get().quantity),
    scale: () => commonScale(all(), store.get().quantity),
    /** The updates that all axes reach over. @returns {[number, number]} */
    span: () => [0, Math.max(...all().map(lastPlanned))],
    /** The update that the pointer is at, or else the one that is shown. */
    pointed: () => pointed ?? store.get().update,
    /** @param {number | null} update */
    pointAt(update) {
      if (pointed === update) return;
      pointed = update;
      store.tell(new Set(/** @type {const} */ (["pointed"])));
    },
    /** Chooses a layer, or lets go of it; opens a block, or closes it. @param {Row} row */
    choose(row) {
      const { layer, open } = store.get();
      if (!row.isBlock) store.set({ layer: layer === row.name ? "" : row.name });
      else if (open.includes(row.name)) store.set({ open: open.filter((each) => each !== row.name) });
      else store.set({ open: [...open, row.name] });
    },
    key: rowKey,
  };
}

/**
 * The context of a panel that keeps to a quantity, whichever is chosen.
 * @param {Context} context
 * @param {string} [name]
 * @returns {Context}
 */
export function keptTo(context, name) {
  if (!name) return context;
  return {
    ...context,
    variable: () => context.run().variables.get(name),
    scale: () => commonScale(context.all(), name),
  };
}

/** @typedef {ReturnType<typeof createContext>} Context */

/**
 * @param {Run[]} runs
 * @param {string} name
 */
export function commonScale(runs, name) {
  const variables = runs.flatMap((run) => run.variables.get(name) ?? []);
  // What is left of a way has its end on the scale, even where no layer arrives there.
  const end = isWayLeft(name) ? [[0]] : [];
  return scaleOf([...variables.flatMap(({ values, low, high }) => [values, low ?? [], high ?? []]), ...end]);
}

/**
 * The update to begin with: where layers are half-way on average, since all arrive in the end. A
 * training that goes on is shown as far as it is, one that broke as it was before.
 * @param {Run} run
 */
export function firstUpdate(run) {
  const broken = Number(run.attributes.nonfinite);
  if (broken >= 0) return run.steps.findLast((step) => step < broken) ?? run.steps[0];
  const variable = run.variables.get("normalized_distance");
  if (!variable || run.attributes.provisional) return lastUpdate(run);
  const { at, size, values } = variable;
  const means = at.map((_, record) => mean(values.subarray(record * size, (record + 1) * size)));
  const half = means.findIndex((value) => value <= 0.5);
  return half < 0 ? lastUpdate(run) : at[half];
}

/** @param {Float32Array} values */
function mean(values) {
  const finite = values.filter(Number.isFinite);
  return finite.reduce((sum, value) => sum + value, 0) / finite.length;
}

const FIRST = ["normalized_distance", "distance", "angle", "gradient_norm"];

/**
 * The quantity to begin with: the distance, or, where there is none, what has values.
 * @param {Run[]} runs
 */
export function firstQuantity(runs) {
  const found = quantities(runs[0]).filter(hasValues);
  const names = found.map(({ name }) => name);
  return FIRST.find((name) => names.includes(name)) ?? names[0] ?? "";
}
