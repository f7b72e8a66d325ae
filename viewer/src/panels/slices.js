// The loss along random directions within each layer, at the newest moment it was measured.
import { chart } from "../chart.js";
import { element, say } from "../dom.js";
import { number, whole } from "../format.js";
import { holds, rowOf } from "../rows.js";
import { recordAt } from "../run.js";
import { scaleOf } from "../scale.js";
import { prominent } from "../store.js";
import { colorOf } from "./quantity.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {import("../run.js").Run} Run
 */

const NAME = "layer_slice";
const DRAWN_ANEW = ["runs", "more", "rows", "theme", "update"];

/** @param {Run} run */
export const hasSlices = (run) => run.variables.has(NAME) && "alpha" in run.axes;

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
export function slices(host, context) {
  const label = "Slices of the loss around each layer, over the distance in filter norms.";
  const picture = element("div", { class: "lcb-plot", role: "img", "aria-label": label });
  const reading = element("p", { class: "lcb-reading" });
  host.append(element("h3", {}, "Slices of the loss"), picture, reading);
  /** @type {import("../chart.js").Chart | null} */
  let drawn = null;

  /** @param {Set<string>} changed */
  function update(changed) {
    if (DRAWN_ANEW.some((what) => changed.has(what))) {
      drawn?.destroy();
      drawn = draw(picture, context);
    }
    const row = rowOf(context.run(), context.rows(), prominent(context.store.get()));
    drawn?.focus(row?.name ?? null);
    say(reading, readingOf(context));
  }
  return { update, destroy: () => drawn?.destroy() };
}

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
function draw(host, context) {
  const { store } = context;
  const shown = context.rows().filter(({ isBlock }) => !isBlock);
  const all = context.all().map(({ variables }) => variables.get(NAME)?.values ?? []);
  const scale = scaleOf(all);
  return chart(host, {
    x: context.run().axes.alpha ?? [-1, 1],
    range: [scale.low, scale.high],
    log: scale.log,
    named: true,
    xLabel: "filter norms away",
    yLabel: "loss",
    lines: shown.map((row) => ({
      label: row.name,
      color: colorOf(context, row),
      values: slice(context, row.layers[0]),
    })),
    onFocus: (index) => store.set({ hovered: index === null ? "" : shown[index].name }),
    onPoint: (x) => x === null && store.set({ hovered: "" }),
  });
}

/**
 * @param {Context} context
 * @param {number} layer
 */
function slice(context, layer) {
  const { axes, variables } = context.run();
  const points = axes.alpha?.length ?? 2;
  const variable = variables.get(NAME);
  const record = variable ? recordAt(variable, context.store.get().update) : -1;
  if (!variable || record < 0) return new Array(points).fill(NaN);
  const start = record * variable.size + layer * points;
  return variable.values.subarray(start, start + points);
}

/** @param {Context} context */
function readingOf(context) {
  const run = context.run();
  const { update } = context.store.get();
  const variable = run.variables.get(NAME);
  const record = variable ? recordAt(variable, update) : -1;
  if (!variable || record < 0) return "Not measured yet.";
  const told = `Measured at update ${whole(variable.at[record])}.`;
  const name = prominent(context.store.get());
  const row = context.rows().find((each) => !each.isBlock && holds(run, each, name));
  if (!row) return `${told} Point at a line to read it.`;
  const values = slice(context, row.layers[0]);
  const ends = [values[0], values[values.length - 1]].map(number);
  return `${told} ${row.name}: loss ${ends.join(" and ")} at the ends.`;
}
