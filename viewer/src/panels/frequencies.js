// Which layer carries which frequency, as a table of colours.
import { inkOn, valueColor } from "../colors.js";
import { element, freshId, say } from "../dom.js";
import { capitalised, number, whole } from "../format.js";
import { holds } from "../rows.js";
import { recordAt } from "../run.js";
import { scaleOf, share } from "../scale.js";
import { prominent } from "../store.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {import("../run.js").Run} Run
 */

/** @param {Run} run */
function carried(run) {
  return ["frequency_share", "r2"].map((name) => run.variables.get(name)).find((each) => each?.at.length);
}

/** @param {Run} run */
export const hasFrequencies = (run) => carried(run) !== undefined && "frequency" in run.axes;

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
export function frequencies(host, context) {
  const title = element("h3", { id: freshId() });
  const box = element("div", { class: "lcb-scroll", tabindex: 0, role: "region", "aria-labelledby": title.id });
  const reading = element("p", { class: "lcb-reading" });
  host.append(title, box, reading);
  /** @type {{cells: HTMLElement[][], lines: HTMLElement[]}} */
  let table = { cells: [], lines: [] };

  /** @param {Set<string>} changed */
  function update(changed) {
    const run = context.run();
    const variable = carried(run);
    if (!variable) {
      say(title, "Which layer carries which frequency");
      say(reading, "Not measured yet.");
      return;
    }
    if (changed.has("runs") || changed.has("rows") || !table.cells.length) {
      say(title, capitalised(variable.title));
      table = build(box, run, context.store);
    }
    const record = recordAt(variable, context.store.get().update);
    const { high } = scaleOf(context.all().map((each) => carried(each)?.values ?? []));
    const width = run.axes.frequency.length;
    const scale = { low: 0, high: Math.max(1, high), log: false };
    table.cells.forEach((cells, layer) => {
      cells.forEach((cell, k) => {
        const value = record < 0 ? NaN : variable.values[record * variable.size + layer * width + k];
        const place = share(scale, value);
        cell.style.backgroundColor = valueColor(place);
        cell.style.color = Number.isNaN(place) ? "" : inkOn(place);
        say(cell, Number.isNaN(value) ? "–" : number(Math.round(value * 100) / 100));
      });
      const row = { name: run.layers[layer].name, layers: [layer], block: "", isBlock: false };
      table.lines[layer].classList.toggle("lcb-hovered", holds(run, row, prominent(context.store.get())));
    });
    const when = record < 0 ? "not recorded yet" : `at update ${whole(variable.at[record])}`;
    say(reading, `Layers down, wave numbers across; ${when}.`);
  }
  return { update, destroy() {} };
}

/**
 * @param {HTMLElement} host
 * @param {Run} run
 * @param {import("../store.js").Store} store
 */
function build(host, run, store) {
  const cells = run.layers.map(() => run.axes.frequency.map(() => element("td")));
  const heads = run.axes.frequency.map((k) => element("th", { scope: "col" }, `k = ${k}`));
  const lines = run.layers.map(({ name }, layer) => {
    const line = element("tr", {}, element("th", { scope: "row" }, name), ...cells[layer]);
    line.addEventListener("pointerenter", () => store.set({ hovered: name }));
    line.addEventListener("pointerleave", () => store.set({ hovered: "" }));
    return line;
  });
  const head = element("tr", {}, element("th", { scope: "col" }, "layer"), ...heads);
  host.replaceChildren(
    element("table", { class: "lcb-map" }, element("thead", {}, head), element("tbody", {}, ...lines)),
  );
  return { cells, lines };
}
