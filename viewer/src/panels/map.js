// Layers over updates as a map of colours, for networks with more layers than lines can show.
import { chart, colorsOf } from "../chart.js";
import { valueColor } from "../colors.js";
import { marks } from "../marks.js";
import { telling } from "../names.js";
import { rowOf, rowValue } from "../rows.js";
import { lastUpdate } from "../run.js";
import { share } from "../scale.js";
import { prominent } from "../store.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {import("../run.js").Variable} Variable
 * @typedef {import("uplot")} Plot
 */

const LETTER = 7; // pixels that a letter takes
const LINE = 16; // pixels between names, at least

/**
 * @param {HTMLElement} host
 * @param {Context} context
 * @param {Variable} variable
 */
export function map(host, context, variable) {
  const { store } = context;
  const rows = context.rows();
  const mark = marks(host, context.run().events, () => store.get().update);
  const letter = LETTER * colorsOf(host).size;
  /** How long a name may be, which depends on the width of the window. */
  const letters = () => Math.max(8, Math.floor(Math.min(150, 0.36 * host.clientWidth) / letter) - 2);
  const labels = () => labelsOf(rows, letters());
  /** @param {number} y Rows go up from 0, as in the figures of Python. */
  const rowAt = (y) => rows[Math.floor(y)];
  const made = chart(host, {
    x: [0, lastUpdate(context.run())],
    span: context.span(),
    range: [0, rows.length],
    xLabel: "updates",
    yLabel: "",
    lines: [{ label: "", color: "transparent", values: [NaN, NaN] }],
    paint: painter(context, variable),
    draw: (plot) => {
      mark(plot);
      frame(plot, context, host);
    },
    onPoint: (x, y) => {
      // A cell tells of the updates up to its record.
      context.pointAt(x === null ? null : (variable.at.find((update) => update >= x) ?? x));
      store.set({ hovered: x === null ? "" : (rowAt(y)?.name ?? "") });
    },
    yAxis: {
      size: () => 20 + Math.max(4, ...labels().map(({ length }) => length)) * letter,
      labelSize: 0,
      label: undefined,
      grid: { show: false },
      splits: (plot) => places(rows.length, plot.height),
      values: (_, places) => {
        const made = labels();
        return places.map((place) => made[Math.floor(place)] ?? "");
      },
    },
  });
  made.plot.over.addEventListener("click", () => {
    const { top = -1 } = made.plot.cursor;
    const row = top < 0 ? undefined : rowAt(made.plot.posToVal(top, "y"));
    if (row) context.choose(row);
  });
  return { ...made, focus: () => made.redraw() };
}

/**
 * The names of rows in so many letters, those of blocks with how many layers they hold.
 * @param {import("../rows.js").Row[]} rows
 * @param {number} letters
 */
function labelsOf(rows, letters) {
  const counts = rows.map(({ isBlock, layers }) => (isBlock ? ` ×${layers.length}` : ""));
  const room = letters - Math.max(0, ...counts.map(({ length }) => length));
  return telling(rows.map(({ name }) => name), room).map((name, i) => name + counts[i]);
}

/**
 * The middles of the rows that get a name: as many as have room.
 * @param {number} count
 * @param {number} height
 */
function places(count, height) {
  const every = Math.max(1, Math.ceil((count * LINE) / (height - 60)));
  const found = [];
  for (let row = 0; row < count; row += every) found.push(row + 0.5);
  return found;
}

/**
 * Paints the map once for each size, since it stays the same as the reader moves about.
 * @param {Context} context
 * @param {Variable} variable
 */
function painter(context, variable) {
  /** @type {OffscreenCanvas | null} */
  let kept = null;
  return (/** @type {Plot} */ plot) => {
    const { left, top, width, height } = plot.bbox;
    if (kept?.width !== Math.round(width) || kept.height !== Math.round(height)) {
      kept = new OffscreenCanvas(Math.max(1, Math.round(width)), Math.max(1, Math.round(height)));
      paint(kept, plot, context, variable);
    }
    plot.ctx.drawImage(kept, left, top);
  };
}

/**
 * @param {OffscreenCanvas} canvas
 * @param {Plot} plot
 * @param {Context} context
 * @param {Variable} variable
 */
function paint(canvas, plot, context, variable) {
  const ctx = canvas.getContext("2d");
  if (!ctx) return;
  const rows = context.rows();
  const scale = context.scale();
  const last = lastUpdate(context.run());
  const { at, size, values } = variable;
  const height = canvas.height / rows.length;
  /** @param {number} update */
  const place = (update) => plot.valToPos(update, "x", true) - plot.bbox.left;
  at.forEach((update, record) => {
    // A record tells of the updates since the one before.
    const from = place(record ? at[record - 1] : 0);
    const to = place(record || update ? update : (at[1] ?? last) / 20);
    rows.forEach((row, index) => {
      const value = rowValue(values, record * size, row);
      ctx.fillStyle = valueColor(share(scale, value));
      ctx.fillRect(from, canvas.height - (index + 1) * height, Math.max(1, to - from + 0.5), height + 0.5);
    });
  });
}

/**
 * A frame around the row that stands out.
 * @param {Plot} plot
 * @param {Context} context
 * @param {HTMLElement} host
 */
function frame(plot, context, host) {
  const { ctx, bbox } = plot;
  const rows = context.rows();
  const name = prominent(context.store.get());
  const row = rowOf(context.run(), rows, name);
  if (!row) return;
  const index = rows.indexOf(row);
  const height = bbox.height / rows.length;
  ctx.save();
  const { accent, card } = colorsOf(host);
  const top = bbox.top + bbox.height - (index + 1) * height;
  for (const [stroke, width] of /** @type {const} */ ([[card, 6], [accent, 2]])) {
    ctx.strokeStyle = stroke;
    ctx.lineWidth = width * devicePixelRatio;
    ctx.strokeRect(bbox.left, top, bbox.width, height);
  }
  ctx.restore();
}

