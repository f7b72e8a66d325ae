// Numbers from text; the counterpart of `encoding.py`.

/**
 * @typedef {object} Encoded
 * @property {number[]} shape
 * @property {string} data In base64: float32, or bytes where `low` and `high` are given.
 * @property {number} [low]
 * @property {number} [high]
 * @property {boolean} [log]
 */

const STEPS = 253;
const INFINITE = 254;
const NOT_A_NUMBER = 255;

/**
 * @param {Encoded} encoded
 * @returns {Float32Array}
 */
export function decoded({ data, low, high, log }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  if (low === undefined || high === undefined) return floats(bytes);
  const values = new Float32Array(256);
  for (let code = 0; code <= STEPS; code += 1) {
    const value = low + ((high - low) * code) / STEPS;
    values[code] = log ? Math.exp(value) : value;
  }
  values[INFINITE] = Infinity;
  values[NOT_A_NUMBER] = NaN;
  return Float32Array.from(bytes, (code) => values[code]);
}

/** @param {Uint8Array} bytes */
function floats(bytes) {
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
