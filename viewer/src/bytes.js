// Numbers from text; the counterpart of `encoding.py`.

/**
 * @typedef {object} Encoded
 * @property {number[]} shape
 * @property {string | Uint8Array} data Float32, or bytes where `low` and `high` are given; a text
 *   is base64.
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
export function decoded({ data, shape, low, high, log }) {
  const bytes = typeof data === "string" ? bytesOf(data) : data;
  if (low === undefined || high === undefined) return floats(bytes);
  const values = new Float32Array(256);
  for (let code = 0; code <= STEPS; code += 1) {
    const value = low + ((high - low) * code) / STEPS;
    values[code] = log ? Math.exp(value) : value;
  }
  values[INFINITE] = Infinity;
  values[NOT_A_NUMBER] = NaN;
  // Each record holds what changed since the one before.
  const size = bytes.length / (shape[0] || 1);
  const codes = Uint8Array.from(bytes);
  for (let i = size; i < codes.length; i += 1) codes[i] += codes[i - size];
  return Float32Array.from(codes, (code) => values[code]);
}

/** @param {string} base64 */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
function floats(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
