// The network: a node a layer or block, in order, coloured by the chosen quantity as it is now.
import { inkOn, valueColor } from "../colors.js";
import { element, say, svgElement } from "../dom.js";
import { capitalised, number } from "../format.js";
import { telling } from "../names.js";
import { MANY, holds, rowKey, rowValue } from "../rows.js";
import { recordAt } from "../run.js";
import { isWayLeft, share } from "../scale.js";
import { prominent } from "../store.js";
import { drawFilters, hasFilters } from "./filters.js";
import { outline } from "./outline.js";
import { colorOf } from "./quantity.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {import("../rows.js").Row} Row
 * @typedef {{row: Row, button: HTMLButtonElement, face: HTMLElement, value: HTMLElement,
 *   path: SVGElement, tiles: HTMLCanvasElement}} Node
 */

const LETTERS = 22; // of a name below a node

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
export function diagram(host, context) {
  const list = element("ol", { class: "lcb-nodes" });
  const ends = element("p", { class: "lcb-ends" });
  host.append(list, ends);
  list.addEventListener("keydown", (event) => move(event, list));
  /** @type {Node[]} */
  let nodes = [];

  function build() {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.key;
    const rows = context.rows();
    const names = telling(rows.map(({ name }) => name), LETTERS);
    nodes = rows.map((row, i) => node(row, names[i], context));
    list.classList.toggle("lcb-dense", nodes.length > MANY);
    list.replaceChildren(...nodes.map(({ button, row }) => item(button, row)));
    const current = nodes.find(({ row }) => rowKey(row) === focused) ?? nodes[0];
    nodes.forEach(({ button }) => (button.tabIndex = button === current?.button ? 0 : -1));
    if (focused) nodes.find(({ row }) => rowKey(row) === focused)?.button.focus();
  }

  /** @param {Set<string>} changed */
  function update(changed) {
    if (["runs", "rows", "theme"].some((what) => changed.has(what))) build();
    colour(nodes, context);
    legend(ends, context);
  }
  return { update, destroy() {} };
}

/**
 * @param {HTMLElement} button
 * @param {Row} row
 */
function item(button, row) {
  const inside = row.block !== "" && !row.isBlock;
  return element("li", { class: inside ? "lcb-inside" : false }, button);
}

/**
 * @param {Row} row
 * @param {string} told Its name, short enough.
 * @param {Context} context
 * @returns {Node}
 */
function node(row, told, context) {
  const { store } = context;
  const path = svgElement("path", { fill: "none", "stroke-width": 2, "vector-effect": "non-scaling-stroke" });
  const drawing = svgElement("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true" });
  drawing.append(path);
  const tiles = element("canvas", { class: "lcb-tiles", "aria-hidden": "true" });
  const face = element("span", { class: "lcb-face" }, drawing, tiles);
  const value = element("span", { class: "lcb-value" });
  const name = element("span", { class: "lcb-name" }, ...breakable(told));
  const button = element("button", { type: "button", class: "lcb-node", "data-key": rowKey(row), title: row.name }, face, name, value);
  if (row.isBlock) {
    button.classList.add("lcb-block");
    value.before(element("span", { class: "lcb-value" }, `×${row.layers.length}`));
    button.setAttribute("aria-expanded", String(store.get().open.includes(row.name)));
  }
  button.style.setProperty("--lcb-depth", colorOf(context, row));
  button.addEventListener("click", () => context.choose(row));
  button.addEventListener("pointerenter", () => store.set({ hovered: row.name }));
  button.addEventListener("pointerleave", () => store.set({ hovered: "" }));
  button.addEventListener("focus", () => store.set({ hovered: row.name }));
  button.addEventListener("blur", () => store.set({ hovered: "" }));
  return { row, button, face, value, path, tiles };
}

/** A name that breaks between its parts first. @param {string} name */
function breakable(name) {
  return name.split(/(?<=[_/])/).flatMap((part) => [part, element("wbr")]);
}

/**
 * @param {Node[]} nodes
 * @param {Context} context
 */
function colour(nodes, context) {
  const { store } = context;
  const state = store.get();
  const variable = context.variable();
  const record = variable ? recordAt(variable, state.update) : -1;
  const scale = context.scale();
  for (const { row, button, face, value, path, tiles } of nodes) {
    const now = variable && record >= 0 ? rowValue(variable.values, record * variable.size, row) : NaN;
    const place = share(scale, now);
    face.style.backgroundColor = valueColor(place);
    face.classList.toggle("lcb-empty", Number.isNaN(place));
    path.setAttribute("d", row.isBlock ? "" : outline(context.run(), row.layers[0], state.update));
    path.setAttribute("stroke", Number.isNaN(place) ? "currentColor" : inkOn(place));
    drawFilters(tiles, context.run(), row.layers, state.update, nodes.length > MANY ? 2 : Infinity);
    say(value, number(now));
    const chosen = holds(context.run(), row, state.layer);
    button.classList.toggle("lcb-chosen", chosen);
    button.classList.toggle("lcb-hovered", holds(context.run(), row, prominent(state)));
    if (!row.isBlock) button.setAttribute("aria-pressed", String(chosen));
  }
}

/**
 * What the colours mean.
 * @param {HTMLElement} host
 * @param {Context} context
 */
function legend(host, context) {
  const variable = context.variable();
  if (!variable) return;
  const { low, high, log } = context.scale();
  const [near, far] = isWayLeft(variable.name) ? ["converged, ", "unconverged, "] : ["", ""];
  const text = `${capitalised(variable.longName)}: ${near}${number(low)}`;
  const bar = element("span", { class: "lcb-bar" });
  const end = `${far}${number(high)}${log ? "; logarithmic" : ""}`;
  const told = hasFilters(context.run()) ? " Tiles: filters; grey is 0." : "";
  host.replaceChildren(text, bar, `${end}${told && "."}${told}`);
}

/**
 * The arrow keys go from node to node, of which one is in the order of the tab key.
 * @param {KeyboardEvent} event
 * @param {HTMLElement} list
 */
function move(event, list) {
  const buttons = [...list.querySelectorAll("button")];
  const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
  /** @type {Record<string, number>} */
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 };
  if (at < 0 || !(event.key in to)) return;
  event.preventDefault();
  const next = buttons[Math.min(buttons.length - 1, Math.max(0, to[event.key]))];
  buttons[at].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
