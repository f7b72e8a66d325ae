// What is drawn upon charts over updates: where the reader stands, and what happened when.
import { colorsOf } from "./chart.js";

/**
 * @typedef {import("uplot")} Plot
 * @typedef {import("./run.js").Event} Event
 */

const ROOM = 15;

/**
 * @param {HTMLElement} host
 * @param {Event[]} events
 * @param {() => number} update
 */
export function marks(host, events, update) {
  const inks = colorsOf(host);
  return (/** @type {Plot} */ plot) => {
    const { ctx } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.lineWidth = ratio;
    ctx.font = `${11 * ratio}px sans-serif`;
    ctx.textAlign = "center";
    let taken = -Infinity;
    events.forEach((event, index) => {
      const color = event.kind === "not finite" ? inks.warning : inks.text;
      const left = upright(plot, event.update, color, inks.card, [4 * ratio, 3 * ratio]);
      if (left - taken < ROOM * ratio) return; // numbers would overlap; the list has them all
      taken = left;
      ctx.fillStyle = color;
      ctx.fillText(String(index + 1), left, plot.bbox.top - 3 * ratio);
    });
    ctx.lineWidth = 1.5 * ratio;
    upright(plot, update(), inks.accent, inks.card, []);
    ctx.restore();
  };
}

/**
 * @param {Plot} plot
 * @param {number} update
 * @param {string} color
 * @param {string} halo
 * @param {number[]} dash
 */
function upright(plot, update, color, halo, dash) {
  const { ctx, bbox } = plot;
  const left = Math.round(plot.valToPos(update, "x", true));
  const width = ctx.lineWidth;
  // Beneath it a broader line in the colour of the page, so that it stands out on a map, too.
  for (const [stroke, lineWidth, lineDash] of /** @type {const} */ ([
    [halo, 3 * width, []],
    [color, width, dash],
  ])) {
    ctx.strokeStyle = stroke;
    ctx.lineWidth = lineWidth;
    ctx.setLineDash([...lineDash]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.lineWidth = width;
  return left;
}
