// All panels, in the order in which they stand: what they need of a run, and how they are made.
import { hasFrequencies, frequencies } from "./frequencies.js";
import { functions, hasFunctions } from "./functions.js";
import { hasLoss, loss } from "./loss.js";
import { quantity } from "./quantity.js";

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
  { name: "frequencies", needs: hasFrequencies, make: frequencies },
];
