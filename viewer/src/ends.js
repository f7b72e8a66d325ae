// The names of lines at their ends, beside the chart, so that nobody has to look up a colour.
import { telling } from "./names.js";

/**
 * @typedef {import("uplot")} Plot
 * @typedef {import("./chart.js").Line} Line
 */

const LETTER = 0.62; // of the size of the text, about
const WIDEST = 0.2; // of the width of the chart
const LINE = 1.15; // between two names, of the size of the text
const GAP = 5; // pixels between a chart and its names
const FADED = 0.35;

/**
 * What tells layers apart in few letters: their numbers, where all that have one are called alike.
 * @param {string[]} names
 * @param {number} letters
 */
export function brief(names, letters) {
  const parts = names.map((name) => /^(\D+)(\d+)$/.exec(name));
  const stems = new Set(parts.flatMap((part) => (part ? [part[1]] : [])));
  const told = telling(names, letters);
  return names.map((_, i) => (stems.size === 1 && parts[i]?.[2]) || told[i]);
}

/**
 * Places near those that are wanted, a gap apart; equal ones keep their order.
 * @param {number[]} wanted
 * @param {number} gap
 * @param {number} low
 * @param {number} high There must be room for all.
 */
export function apart(wanted, gap, low, high) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b] || a - b);
  const placed = [...wanted];
  let free = low;
  for (const i of order) {
    placed[i] = Math.max(wanted[i], free);
    free = placed[i] + gap;
  }
  free = high;
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i], free);
    free = placed[i] - gap;
  }
  return placed;
}

/**
 * Some of them at equal intervals, the first and the last included.
 * @template T
 * @param {T[]} all
 * @param {number} most
 */
export function evenly(all, most) {
  if (all.length <= most) return all;
  if (most < 2) return all.slice(0, most);
  return Array.from({ length: most }, (_, i) => all[Math.round((i * (all.length - 1)) / (most - 1))]);
}

/**
 * The names of lines: how much room they need on the right, and how they are drawn.
 * @param {Line[]} lines
 * @param {number} width Of the chart, in pixels.
 * @param {number} size Of the text, in pixels.
 * @param {string} family
 */
export function ends(lines, width, size, family) {
  const letters = Math.max(3, Math.min(10, Math.floor((WIDEST * width) / (LETTER * size))));
  const names = brief(lines.map(({ label }) => label), letters);
  return {
    room: Math.ceil(GAP + 2 + widest(names, fontOf(size, family))),
    /** @param {Plot} plot @param {string | null} focused The line that stands out. */
    draw(plot, focused) {
      const { ctx, bbox } = plot;
      const ratio = devicePixelRatio;
      const gap = LINE * size * ratio;
      const heights = lines.map((line) => lastHeight(plot, line));
      const ended = lines.map((_, i) => i).filter((i) => Number.isFinite(heights[i]));
      const named = evenly(ended, Math.floor(bbox.height / gap) + 1);
      const placed = apart(named.map((i) => heights[i]), gap, bbox.top, bbox.top + bbox.height);
      ctx.save();
      ctx.font = fontOf(size * ratio, family);
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      named.forEach((i, place) => {
        ctx.globalAlpha = focused === null || focused === lines[i].label ? 1 : FADED;
        ctx.fillStyle = lines[i].color;
        ctx.fillText(names[i], bbox.left + bbox.width + GAP * ratio, placed[place]);
      });
      ctx.restore();
    },
  };
}

/**
 * @param {number} size
 * @param {string} family
 */
function fontOf(size, family) {
  return `600 ${size}px ${family}`;
}

/**
 * How wide the widest of some texts is, in pixels.
 * @param {string[]} texts
 * @param {string} font
 */
function widest(texts, font) {
  const pen = document.createElement("canvas").getContext("2d");
  if (!pen) return 0;
  pen.font = font;
  return Math.max(0, ...texts.map((text) => pen.measureText(text).width));
}

/**
 * How high a line ends, within the chart; NaN for one that has no value to draw.
 * @param {Plot} plot
 * @param {Line} line
 */
function lastHeight(plot, { values }) {
  const { bbox } = plot;
  const log = plot.scales.y.distr === 3;
  for (let i = values.length - 1; i >= 0; i -= 1) {
    const value = values[i];
    if (value === undefined || !Number.isFinite(value) || (log && value <= 0)) continue;
    return Math.min(bbox.top + bbox.height, Math.max(bbox.top, plot.valToPos(value, "y", true)));
  }
  return NaN;
}
