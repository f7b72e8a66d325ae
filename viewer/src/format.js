// Numbers and names as people read them.

/**
 * Three digits, thousands apart.
 * @param {number} value
 */
export function number(value) {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e7 || size < 1e-3) {
    const [digits, exponent] = value.toExponential(2).split("e");
    return `${Number(digits)}·10${superscript(Number(exponent))}`.replace("-", "−");
  }
  const text = size >= 1000 ? whole(Math.round(value)) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

/** @param {number} value */
export function whole(value) {
  return value.toLocaleString("en-US");
}

/** @param {number} exponent */
function superscript(exponent) {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  return [...String(exponent)].map((sign) => (sign === "-" ? "⁻" : digits[Number(sign)])).join("");
}

/**
 * A quantity's meaning and unit.
 * @param {{longName: string, units: string}} quantity
 */
export function meaning({ longName, units }) {
  const bare = units === "1" || longName.split(" ").includes(units);
  return bare ? longName : `${longName} (${units})`;
}

/** @param {string} text */
export function capitalised(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/**
 * A name that fits, without its middle if it does not.
 * @param {string} name
 * @param {number} limit
 */
export function short(name, limit = 18) {
  if (name.length <= limit) return name;
  const head = Math.floor(limit / 2) - 1;
  return `${name.slice(0, head)}…${name.slice(head + 1 - limit)}`;
}
