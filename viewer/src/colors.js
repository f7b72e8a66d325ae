// Colours: plasma for depth, as in the figures of Python, and viridis for values.
import { interpolatePlasma, interpolateViridis } from "d3-scale-chromatic";

// The stretches of plasma with a contrast of 3 : 1 to their background; see `plotting/style.py`.
const ON_LIGHT = [0, 0.64];
const ON_DARK = [0.42, 1];

/**
 * @param {number} place Index from shallow to deep.
 * @param {number} count
 * @param {boolean} dark
 */
export function depthColor(place, count, dark) {
  const [start, stop] = dark ? ON_DARK : ON_LIGHT;
  return interpolatePlasma(count > 1 ? start + ((stop - start) * place) / (count - 1) : start);
}

/** @param {number} share From 0 to 1. */
export function valueColor(share) {
  return Number.isNaN(share) ? "transparent" : interpolateViridis(Math.min(1, Math.max(0, share)));
}

/**
 * What stands out on a value's colour.
 * @param {number} share
 */
export function inkOn(share) {
  return share > 0.445 ? "#000000" : "#ffffff";
}

/**
 * Whether an element stands on a dark page: as the notebook says, or else the reader's system.
 * @param {Element} element
 */
export function isDark(element) {
  const set = element.closest("[data-theme]")?.getAttribute("data-theme");
  if (set) return set === "dark";
  const { body } = document;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (body.dataset.vscodeThemeKind) return body.dataset.vscodeThemeKind.includes("dark");
  return matchMedia("(prefers-color-scheme: dark)").matches;
}
