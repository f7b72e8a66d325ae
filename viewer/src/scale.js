// From values to places: the range of a quantity, and whether its axis is logarithmic.

/** @typedef {import("./run.js").Variable} Variable */

/**
 * @typedef {object} Scale
 * @property {number} low
 * @property {number} high
 * @property {boolean} log
 */

const WIDE = 10;

/**
 * One scale for all that is shown together.
 * @param {Iterable<number>[]} all
 * @returns {Scale}
 */
export function scaleOf(all) {
  let low = Infinity;
  let high = -Infinity;
  for (const values of all) {
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return { low: 0, high: 1, log: false };
  return { low, high, log: low > 0 && high > WIDE * low };
}

/**
 * Where a value stands between the ends of a scale, from 0 to 1; NaN where it has no place.
 * @param {Scale} scale
 * @param {number} value
 */
export function share({ low, high, log }, value) {
  if (Number.isNaN(value)) return NaN;
  if (high === low) return 0.5;
  if (log) return (Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low));
  return (value - low) / (high - low);
}

// Quantities that fall to their end: what is small is near.
const NEAR_IF_SMALL = new Set(["distance", "normalized_distance", "angle_to_end"]);

/** Whether a quantity falls as a layer converges. @param {string} quantity */
export function isWayLeft(quantity) {
  return NEAR_IF_SMALL.has(quantity);
}

/**
 * The ticks of a logarithmic axis: 1, 2 and 5 within a few powers of ten, else some of the powers.
 * @param {number} low
 * @param {number} high
 */
export function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const every = Math.max(1, Math.ceil((last - first) / 6));
  const digits = last - first <= 3 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = first; power <= last; power += every) {
    found.push(...digits.map((digit) => digit * 10 ** power));
  }
  return found.filter((value) => value >= low && value <= high);
}
