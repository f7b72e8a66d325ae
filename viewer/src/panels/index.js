// All panels, in the order in which they stand: what they need of a run, and how they are made.
import { hasFrequencies, frequencies } from "./frequencies.js";
import { functions, hasFunctions } from "./functions.js";
import { hasLoss, loss } from "./loss.js";
import { quantity } from "./quantity.js";
import { hasSlices, slices } from "./slices.js";

/**
 * @typedef {import("../context.js").Context} Context
 * @typedef {{update(changed: Set<string>): void, destroy(): void}} Panel
 * @typedef {object} Kind
 * @property {string} name
 * @property {(run: import("../run.js").Run) => boolean} needs
 * @property {(host: HTMLElement, context: Context) => Panel} make
 */

/** @type {Kind[]} */
export const PANELS = [
  { name: "quantity", needs: () => true, make: quantity },
  { name: "functions", needs: hasFunctions, make: functions },
  { name: "loss", needs: hasLoss, make: loss },
  { name: "slices", needs: hasSlices, make: slices },
  { name: "frequencies", needs: hasFrequencies, make: frequencies },
];

/**
 * The panels to show: those for which the run has something, or those that were asked for, an
 * example of which is "quantity:gradient_norm", a panel that keeps to its quantity.
 * @param {import("../run.js").Run} run
 * @param {string[]} [wanted]
 * @returns {{name: string, quantity?: string, make: Kind["make"]}[]}
 */
export function panelsOf(run, wanted) {
  if (!wanted?.length) return PANELS.filter(({ needs }) => needs(run));
  return wanted.flatMap((asked) => {
    const [name, quantity] = asked.split(":");
    const found = PANELS.find((panel) => panel.name === name);
    return found ? [{ name, quantity, make: found.make }] : [];
  });
}
