// The runs of all chapters, as they arrive; the counterpart of `packing.py`.
import { bytesOf } from "../bytes.js";

/**
 * @typedef {import("../run.js").Form & {outcome: {answer: string, text: string}}} AtlasForm
 * @typedef {Map<string, AtlasForm>} Chapter
 */

export function createLibrary() {
  /** @type {Map<string, {promise: Promise<Chapter>, resolve: (chapter: Chapter) => void}>} */
  const shelves = new Map();

  /** @param {string} name */
  function shelf(name) {
    let found = shelves.get(name);
    if (!found) {
      found = Promise.withResolvers();
      shelves.set(name, found);
    }
    return found;
  }
  return {
    /**
     * @param {string} name
     * @param {string} packed
     */
    async add(name, packed) {
      shelf(name).resolve(await unpacked(packed));
    },
    /** @param {string} name */
    chapter: (name) => shelf(name).promise,
  };
}

/** @typedef {ReturnType<typeof createLibrary>} Library */

/**
 * @param {string} packed
 * @returns {Promise<Chapter>}
 */
export async function unpacked(packed) {
  const stream = new Blob([bytesOf(packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const content = await new Response(stream).arrayBuffer();
  const length = new DataView(content).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(content, 4, length));
  const numbers = new Uint8Array(content, 4 + length);
  const forms = JSON.parse(text, (name, value) =>
    name === "data" ? numbers.subarray(value[0], value[0] + value[1]) : value,
  );
  return new Map(Object.entries(forms));
}
