// The large panel: the chosen quantity of each layer along training, as lines or as a map.
import { chart } from "../chart.js";
import { depthColor } from "../colors.js";
import { element, say } from "../dom.js";
import { capitalised, meaning, number, whole } from "../format.js";
import { marks } from "../marks.js";
import { MANY, rowOf, rowValue } from "../rows.js";
import { recordAt } from "../run.js";
import { prominent } from "../store.js";
import { map } from "./map.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {import("../run.js").Variable} Variable
 * @typedef {import("../rows.js").Row} Row
 */

/** Lines break where layers play another part than hidden ones, as in the figures of Python. */
const DASHES = { head: [8, 3, 2, 3], normalization: [2, 3], embedding: [5, 4] };
// What the reading tells, whatever is drawn.
const BESIDE = ["normalized_distance", "gradient_norm"];

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
export function quantity(host, context) {
  const picture = element("div", { class: "lcb-plot", role: "img" });
  const reading = element("p", { class: "lcb-reading" });
  const title = element("h3");
  host.append(title, picture, reading);
  /** @type {import("../chart.js").Chart | null} */
  let drawn = null;

  /** @param {Set<string>} changed */
  function update(changed) {
    const variable = context.variable();
    if (["runs", "more", "theme", "rows", "quantity", "drawn"].some((what) => changed.has(what))) {
      drawn?.destroy();
      drawn = null;
      if (variable) {
        const { drawn: how } = context.store.get();
        const asMap = how === "map" || (how === "auto" && context.rows().length > MANY);
        drawn = asMap ? map(picture, context, variable) : lines(picture, context, variable);
        title.replaceChildren(...titleOf(variable));
        picture.setAttribute("aria-label", `${capitalised(variable.longName)}, over updates.`);
      }
    } else if (changed.has("update")) {
      drawn?.redraw();
    }
    if (!variable?.at.length) {
      say(reading, "Not measured yet.");
      return;
    }
    const row = rowOf(context.run(), context.rows(), prominent(context.store.get()));
    drawn?.focus(row?.name ?? null);
    say(reading, readingOf(context, variable, row));
  }
  return { update, destroy: () => drawn?.destroy() };
}

/**
 * What is drawn; which value of a further dimension, such as a step size, in small letters.
 * @param {Variable} variable
 */
function titleOf({ name, title }) {
  const end = name.includes("/") ? title.lastIndexOf(", ") : -1;
  if (end < 0) return [capitalised(title)];
  return [capitalised(title.slice(0, end)), element("small", {}, title.slice(end))];
}

/**
 * @param {HTMLElement} host
 * @param {Context} context
 * @param {Variable} variable
 */
function lines(host, context, variable) {
  const run = context.run();
  const shown = context.rows();
  const scale = context.scale();
  const { store } = context;
  return chart(host, {
    x: variable.at,
    span: context.span(),
    named: true,
    range: [scale.low, scale.high],
    log: scale.log,
    xLabel: "updates",
    yLabel: meaning(variable),
    yUnits: variable.units === "1" ? "" : variable.units,
    lines: shown.map((row) => ({
      label: row.name,
      color: colorOf(context, row),
      dash: DASHES[/** @type {keyof typeof DASHES} */ (roleOf(context, row))],
      values: column(variable, variable.values, row),
      ...(variable.low && { low: column(variable, variable.low, row) }),
      ...(variable.high && { high: column(variable, variable.high, row) }),
    })),
    draw: marks(host, run.events, () => store.get().update),
    onFocus: (index) => store.set({ hovered: index === null ? "" : shown[index].name }),
    onPoint: (x) => {
      context.pointAt(x);
      if (x === null) store.set({ hovered: "" });
    },
  });
}

/**
 * A row's values, record by record.
 * @param {Variable} variable
 * @param {Float32Array} values
 * @param {Row} row
 */
export function column(variable, values, row) {
  return variable.at.map((_, record) => rowValue(values, record * variable.size, row));
}

/**
 * @param {Context} context
 * @param {Row} row
 */
export function colorOf(context, row) {
  const middle = row.layers[Math.floor(row.layers.length / 2)];
  return depthColor(middle, context.run().layers.length, context.dark());
}

/**
 * @param {Context} context
 * @param {Row} row
 */
function roleOf(context, row) {
  return row.isBlock ? "hidden" : (context.run().layers[row.layers[0]].role ?? "hidden");
}

/**
 * Layer, update and value, where the pointer is or else where the reader stands.
 * @param {Context} context
 * @param {Variable} variable
 * @param {Row | undefined} row
 */
function readingOf(context, variable, row) {
  if (!row) return "Point at a line, or choose a layer, to read its values.";
  const record = recordAt(variable, context.pointed());
  if (record < 0) return `${row.name}: not recorded yet at update ${whole(context.pointed())}.`;
  const found = rowValue(variable.values, record * variable.size, row);
  const value = Number.isNaN(found) ? `– ${whyNot(context, variable, row)}` : number(found);
  const mean = row.layers.length > 1 ? ` (mean of ${row.layers.length} layers)` : "";
  const others = beside(context, variable, row, variable.at[record]);
  return [`${row.name}${mean}, update ${whole(variable.at[record])}: ${value}`, ...others].join(" · ");
}

/**
 * Distance and gradient of the layer at that update, where another quantity is drawn.
 * @param {Context} context
 * @param {Variable} variable
 * @param {Row} row
 * @param {number} update
 */
function beside(context, variable, row, update) {
  return BESIDE.flatMap((name) => {
    const other = context.run().variables.get(name);
    const record = other && other !== variable ? recordAt(other, update) : -1;
    if (!other || record < 0) return [];
    const value = rowValue(other.values, record * other.size, row);
    return Number.isFinite(value) ? [`${other.longName} ${number(value)}`] : [];
  });
}

/**
 * Why a layer has no value, as far as the run says.
 * @param {Context} context
 * @param {Variable} variable
 * @param {Row} row
 */
function whyNot(context, variable, row) {
  const { missing } = context.run();
  const [name] = variable.name.split("/"); // what follows is one value of a further dimension
  return missing[`${name}/${row.name}`] ?? missing[name] ?? "";
}
