// What all panels show together, and who wants to know when it changes.

/**
 * @typedef {object} State
 * @property {number} update The update that is shown.
 * @property {string} quantity The quantity that colours the diagram and has the large panel.
 * @property {string} layer The layer that was chosen; "" for none.
 * @property {string} hovered The layer that is pointed at; "" for none.
 * @property {string} filter Names of layers hold this text.
 * @property {boolean} grouped Whether layers stand in blocks.
 * @property {readonly string[]} open The blocks that are open.
 * @property {"auto" | "lines" | "map"} drawn How the large panel is drawn.
 */

/** @typedef {keyof State | "runs" | "more" | "theme" | "pointed"} Change */
/** @typedef {(changed: Set<Change>) => void} Listener */

/** @param {State} initial */
export function createStore(initial) {
  let state = initial;
  /** @type {Set<Listener>} */
  const listeners = new Set();
  /** @param {Set<Change>} changed */
  const tell = (changed) => listeners.forEach((listener) => listener(changed));
  return {
    get: () => state,
    /** @param {Partial<State>} change */
    set(change) {
      const entries = Object.entries(change).filter(
        ([name, value]) => state[/** @type {keyof State} */ (name)] !== value,
      );
      if (!entries.length) return;
      state = { ...state, ...Object.fromEntries(entries) };
      tell(new Set(entries.map(([name]) => /** @type {keyof State} */ (name))));
    },
    tell,
    /** @param {Listener} listener */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** @typedef {ReturnType<typeof createStore>} Store */

/**
 * The layer that stands out: the one pointed at, or else the one chosen.
 * @param {State} state
 */
export function prominent({ hovered, layer }) {
  return hovered || layer;
}
