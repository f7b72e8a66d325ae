// The loss, in training and validation.
import { chart, colorsOf } from "../chart.js";
import { element, say } from "../dom.js";
import { number, whole } from "../format.js";
import { marks } from "../marks.js";
import { lastUpdate, valueAt } from "../run.js";
import { scaleOf } from "../scale.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {import("../run.js").Run} Run
 */

const NAMES = { loss: "training", validation_loss: "validation" };

/** @param {Run} run */
function curves(run) {
  return Object.entries(NAMES).flatMap(([name, label]) => {
    const variable = run.variables.get(name);
    return variable?.dims.length === 0 && variable.at.length ? [{ label, variable }] : [];
  });
}

/** @param {Run} run */
export const hasLoss = (run) => curves(run).length > 0;

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
export function loss(host, context) {
  const picture = element("div", { class: "lcb-plot", role: "img", "aria-label": "Loss, over updates." });
  const reading = element("p", { class: "lcb-reading" });
  host.append(element("h3", {}, "Loss"), picture, reading);
  /** @type {import("../chart.js").Chart | null} */
  let drawn = null;

  /** @param {Set<string>} changed */
  function update(changed) {
    if (["runs", "more", "theme"].some((what) => changed.has(what))) {
      drawn?.destroy();
      drawn = draw(picture, context);
    } else if (changed.has("update")) {
      drawn?.redraw();
    }
    const now = Math.min(context.pointed(), lastUpdate(context.run()));
    const told = curves(context.run()).map(
      ({ label, variable }) => `${label} ${number(valueAt(variable, now))}`,
    );
    const lines = told.length > 1 ? " Solid: training; dashed: validation." : "";
    say(reading, `Update ${whole(Math.round(now))}: ${told.join(", ")}.${lines}`);
  }
  return { update, destroy: () => drawn?.destroy() };
}

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
function draw(host, context) {
  const run = context.run();
  const inks = colorsOf(host);
  const own = curves(run);
  const everywhere = context.all().flatMap(curves);
  const scale = scaleOf(everywhere.flatMap(({ variable: v }) => [v.values, v.low ?? [], v.high ?? []]));
  const x = [...new Set(own.flatMap(({ variable }) => variable.at))].sort((a, b) => a - b);
  return chart(host, {
    x,
    span: context.span(),
    range: [scale.low, scale.high],
    log: scale.log,
    xLabel: "updates",
    yLabel: "loss",
    lines: own.map(({ label, variable }) => {
      /** @param {Float32Array} values */
      const spread = (values) => {
        const at = new Map(variable.at.map((update, i) => [update, values[i]]));
        return x.map((update) => at.get(update));
      };
      return {
        label,
        color: label === "training" ? inks.accent : inks.strong,
        dash: label === "training" ? undefined : [6, 4],
        values: spread(variable.values),
        ...(variable.low && { low: spread(variable.low) }),
        ...(variable.high && { high: spread(variable.high) }),
      };
    }),
    draw: marks(host, run.events, () => context.store.get().update),
    onPoint: (at) => context.pointAt(at),
  });
}
