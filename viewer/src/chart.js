// A chart of lines over updates or positions, on uPlot; sharp on any screen, drawn in a millisecond.
import uPlot from "uplot";
import { ends } from "./ends.js";
import { number, whole } from "./format.js";
import { logTicks } from "./scale.js";

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} color
 * @property {ArrayLike<number | undefined>} values Undefined where there is no record.
 * @property {number} [width]
 * @property {number[]} [dash]
 * @property {ArrayLike<number | undefined>} [low] The lower end of a band.
 * @property {ArrayLike<number | undefined>} [high]
 */

/**
 * @typedef {object} Spec
 * @property {ArrayLike<number>} x
 * @property {Line[]} lines
 * @property {string} xLabel
 * @property {string} yLabel
 * @property {string} [yUnits] What stands there instead where the label is too long.
 * @property {boolean} [log]
 * @property {[number, number]} [range] Of the vertical axis, common to charts side by side.
 * @property {[number, number]} [span] Of the horizontal axis.
 * @property {boolean} [named] Whether each line has its name at its end.
 * @property {(plot: uPlot) => void} [draw] Draws upon the lines.
 * @property {(plot: uPlot) => void} [paint] Draws instead of lines, beneath the axes.
 * @property {(line: number | null) => void} [onFocus] Told which line the pointer is at.
 * @property {(x: number | null, y: number, plot: uPlot) => void} [onPoint] Told where it is: at
 *   which of the `x`, or, where the program paints, exactly.
 * @property {Partial<uPlot.Axis>} [yAxis]
 */

const FADED = 0.2;
const LETTER = 5.5; // pixels that a letter of an axis takes

/**
 * @param {HTMLElement} host
 * @param {Spec} spec
 */
export function chart(host, spec) {
  const inks = colorsOf(host);
  const bandless = spec.lines.filter(({ low }) => !low);
  const banded = spec.lines.filter(({ low }) => low);
  const lines = [...bandless, ...banded];
  const width = Math.max(200, host.clientWidth);
  const names = spec.named ? ends(spec.lines, width, inks.letter, inks.family) : null;
  /** @type {string | null} */
  let focused = null;
  const plot = new uPlot(
    {
      width,
      padding: [null, names?.room ?? null, null, null],
      height: inks.height,
      legend: { show: false },
      scales: {
        x: { time: false, ...(spec.span && { range: () => spec.span ?? [0, 1] }) },
        y: { distr: spec.log ? 3 : 1, ...(spec.range && { range: () => padded(spec) }) },
      },
      axes: [axis(inks, spec.xLabel, 28, 60), { ...axis(inks, upright(spec, inks), 52, 34, spec.log), ...spec.yAxis }],
      focus: { alpha: FADED },
      cursor: { y: false, drag: { x: false, y: false }, focus: { prox: spec.paint ? -1 : 40 } },
      series: [{}, ...lines.map((line) => series(line, inks.size)), ...banded.flatMap(({ color }) => bounds(color))],
      bands: banded.map((line, index) => ({
        series: [lines.length + 2 * index + 2, lines.length + 2 * index + 1],
        fill: transparent(line.color),
      })),
      hooks: hooks(spec, lines, (drawn) => {
        names?.draw(drawn, focused);
        spec.draw?.(drawn);
      }),
    },
    dataOf(spec.x, lines, banded, spec.log),
    host,
  );
  const resized = new ResizeObserver(() => {
    const width = Math.max(200, host.clientWidth);
    if (width !== plot.width) plot.setSize({ width, height: inks.height });
  });
  resized.observe(host);
  return {
    plot,
    /** @param {string | null} label Of the line that stands out; null for none. */
    focus(label) {
      const index = lines.findIndex((line) => line.label === label);
      focused = index < 0 ? null : label;
      plot.setSeries(index < 0 ? null : index + 1, { focus: index >= 0 });
    },
    redraw: () => plot.redraw(false),
    destroy() {
      resized.disconnect();
      plot.destroy();
    },
  };
}

/** @typedef {ReturnType<typeof chart>} Chart */

/**
 * @param {Spec} spec
 * @param {Line[]} lines
 * @param {(plot: uPlot) => void} draw
 * @returns {uPlot.Hooks.Arrays}
 */
function hooks({ paint, onFocus, onPoint }, lines, draw) {
  return {
    drawAxes: paint ? [paint] : [],
    draw: [draw],
    setSeries: [
      (plot, index) => {
        // A focus set by the program is no word of the pointer's.
        if (plot.cursor.left === undefined || plot.cursor.left < 0) return;
        onFocus?.(index === null || index > lines.length ? null : index - 1);
      },
    ],
    setCursor: [
      (plot) => {
        const { left = -1, top = -1, idx } = plot.cursor;
        if (left < 0) onPoint?.(null, 0, plot);
        else onPoint?.(paint ? plot.posToVal(left, "x") : plot.data[0][idx ?? 0], plot.posToVal(top, "y"), plot);
      },
    ],
  };
}

/**
 * @param {Line} line
 * @param {number} size Of the text, relative to the usual one; lines are as much broader.
 * @returns {uPlot.Series}
 */
function series({ label, color, width = 2, dash }, size) {
  return { label, stroke: color, width: width * size, dash, points: { show: false }, spanGaps: false };
}

/**
 * The ends of a band have no line of their own.
 * @param {string} color
 * @returns {uPlot.Series[]}
 */
function bounds(color) {
  const bare = { stroke: color, width: 0, points: { show: false } };
  return [{ ...bare }, { ...bare }];
}

/**
 * @param {ArrayLike<number>} x
 * @param {Line[]} lines
 * @param {Line[]} banded
 * @param {boolean} [log]
 * @returns {uPlot.AlignedData}
 */
function dataOf(x, lines, banded, log) {
  /** Undefined values have no record, null ones break the line. @param {Line["values"]} [values] */
  const drawn = (values = []) =>
    Array.from(values, (value) => {
      if (value === undefined) return undefined;
      return Number.isFinite(value) && (!log || value > 0) ? value : null;
    });
  return [
    Array.from(x),
    ...lines.map(({ values }) => drawn(values)),
    ...banded.flatMap(({ low, high }) => [drawn(low), drawn(high)]),
  ];
}

/**
 * @param {Spec} spec
 * @returns {[number, number]}
 */
function padded({ range = [0, 1], log, paint }) {
  const [low, high] = range;
  if (paint) return range;
  if (log) return [low / 1.15, high * 1.15];
  const room = 0.04 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

/**
 * The label of the vertical axis, where it has room.
 * @param {Spec} spec
 * @param {ReturnType<typeof colorsOf>} inks
 */
function upright({ yLabel, yUnits = "" }, { size, height }) {
  return yLabel.length * LETTER * size <= height - 45 ? yLabel : yUnits;
}

/**
 * @param {ReturnType<typeof colorsOf>} inks
 * @param {string} label
 * @param {number} size
 * @param {number} space
 * @param {boolean} [log]
 * @returns {uPlot.Axis}
 */
function axis(inks, label, size, space, log = false) {
  return {
    stroke: inks.text,
    label,
    labelSize: 22 * inks.size,
    labelFont: inks.font,
    font: inks.font,
    size: size * inks.size,
    space: space * inks.size,
    grid: { stroke: inks.rule, width: 1 },
    ticks: { stroke: inks.rule, width: 1, size: 5 },
    values: (_, ticks) => ticks.map(tick),
    // uPlot's own steps never end where a logarithmic scale begins between powers of ten.
    ...(log && { splits: (_, __, low, high) => logTicks(low, high) }),
  };
}

/** @param {number | null} value */
function tick(value) {
  if (value === null) return "";
  return Math.abs(value) >= 1000 && Number.isInteger(value) ? whole(value) : number(value);
}

/** @param {HTMLElement} host */
export function colorsOf(host) {
  const style = getComputedStyle(host);
  /** @param {string} name */
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    text: value("--lcb-muted"),
    strong: value("--lcb-text"),
    rule: value("--lcb-rule"),
    accent: value("--lcb-accent"),
    warning: value("--lcb-warning"),
    card: value("--lcb-card"),
    size: parseFloat(style.fontSize) / 15,
    height: parseFloat(style.minHeight) || 260,
    font: `${0.8 * parseFloat(style.fontSize)}px ${style.fontFamily}`,
    letter: 0.8 * parseFloat(style.fontSize),
    family: style.fontFamily,
  };
}

/** @param {string} color As `rgb(…)` or `#rrggbb`. */
function transparent(color) {
  return color.startsWith("#") ? `${color}33` : color.replace("rgb(", "rgba(").replace(")", ",0.2)");
}
