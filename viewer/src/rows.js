// Which layers are shown: each by itself, or in blocks that open.

/**
 * @typedef {import("./run.js").Run} Run
 * @typedef {import("./run.js").Variable} Variable
 * @typedef {import("./store.js").State} State
 */

/**
 * @typedef {object} Row
 * @property {string} name Of the layer, or of the block.
 * @property {number[]} layers Their places in the run.
 * @property {string} block The block it opens, or, in an open one, belongs to; "" without blocks.
 * @property {boolean} isBlock Whether it stands for a block.
 */

/** More lines than this are drawn as a map, and layers beyond stand in blocks at first. */
export const MANY = 20;
const BLOCKS_BY_DEPTH = 12;

/**
 * The rows to show.
 * @param {Run} run
 * @param {Pick<State, "filter" | "grouped" | "open">} state
 * @returns {Row[]}
 */
export function rows(run, { filter, grouped, open }) {
  const wanted = filter.trim().toLowerCase();
  const chosen = run.layers
    .map((_, index) => index)
    .filter((index) => run.layers[index].name.toLowerCase().includes(wanted));
  if (!grouped) return chosen.map((index) => single(run, index, ""));
  const groups = blocks(run);
  return groups.flatMap(({ name, layers }) => {
    const own = layers.filter((index) => chosen.includes(index));
    if (own.length < 2) return own.map((index) => single(run, index, ""));
    const row = { name, layers: own, block: name, isBlock: true };
    return open.includes(name)
      ? [row, ...own.map((index) => single(run, index, name))]
      : [row];
  });
}

/**
 * @param {Run} run
 * @param {number} index
 * @param {string} block
 * @returns {Row}
 */
function single(run, index, block) {
  return { name: run.layers[index].name, layers: [index], block, isBlock: false };
}

/**
 * The blocks by name, or, where names tell of none, parts of about equal depth.
 * @param {Run} run
 * @returns {{name: string, layers: number[]}[]}
 */
export function blocks(run) {
  /** @type {Map<string, number[]>} */
  const named = new Map();
  run.layers.forEach(({ block }, index) => {
    named.set(block, [...(named.get(block) ?? []), index]);
  });
  const count = run.layers.length;
  if (named.size <= Math.max(MANY, count / 2)) {
    return [...named].map(([name, layers]) => ({ name, layers }));
  }
  const size = Math.ceil(count / BLOCKS_BY_DEPTH);
  return Array.from({ length: Math.ceil(count / size) }, (_, part) => {
    const layers = run.layers.map((_, i) => i).slice(part * size, (part + 1) * size);
    const [first, last] = [layers[0], layers[layers.length - 1]];
    return { name: `${run.layers[first].name} … ${run.layers[last].name}`, layers };
  });
}

/**
 * The mean over a row's layers at a record; layers without a value are left out.
 * @param {Float32Array} values
 * @param {number} start Where the record begins.
 * @param {Row} row
 */
export function rowValue(values, start, { layers }) {
  if (layers.length === 1) return values[start + layers[0]];
  let sum = 0;
  let count = 0;
  for (const layer of layers) {
    const value = values[start + layer];
    if (!Number.isNaN(value)) {
      sum += value;
      count += 1;
    }
  }
  return count ? sum / count : NaN;
}

/**
 * Whether a row is, or holds, the layer of a name.
 * @param {Run} run
 * @param {Row} row
 * @param {string} name
 */
export function holds(run, row, name) {
  return name !== "" && (row.name === name || row.layers.some((i) => run.layers[i].name === name));
}

/**
 * The row that stands for a layer or block: the layer itself, where its block is open.
 * @param {Run} run
 * @param {Row[]} shown
 * @param {string} name
 */
export function rowOf(run, shown, name) {
  return shown.find((row) => row.name === name) ?? shown.findLast((row) => holds(run, row, name));
}

/**
 * What tells a row apart from all others, its block of the same name included.
 * @param {Row} row
 */
export function rowKey({ name, isBlock }) {
  return `${isBlock ? "block" : "layer"}:${name}`;
}
