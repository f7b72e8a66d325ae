// The scrubber, what is shown, and which layers.
import { element, freshId, say } from "./dom.js";
import { capitalised, whole } from "./format.js";
import { createPlayer } from "./player.js";
import { hasValues, lastUpdate, quantities } from "./run.js";

/**
 * @typedef {import("./run.js").Run} Run
 * @typedef {import("./store.js").Store} Store
 */

const FEW = 8; // layers that need no filter and no blocks

/**
 * @param {HTMLElement} host
 * @param {Store} store
 * @param {() => Run[]} runs
 */
export function controls(host, store, runs) {
  const scrub = scrubber(store, runs);
  const menu = quantityMenu(store, runs);
  const choice = layerChoice(store, runs);
  host.before(scrub.root);
  host.append(menu.root, ...choice.roots);
  return {
    /** @param {Set<string>} changed */
    update(changed) {
      scrub.update(changed);
      menu.update(changed);
      choice.update(changed);
    },
    play: scrub.play,
    destroy: scrub.stop,
  };
}

/**
 * @param {Store} store
 * @param {() => Run[]} runs
 */
function scrubber(store, runs) {
  const id = freshId();
  const last = () => Math.max(...runs().map(lastUpdate));
  const play = element("button", { type: "button", class: "lcb-play" }, "Play");
  const range = element("input", { type: "range", id, min: 0, step: "any" });
  const told = element("output", { for: id });
  const ticks = element("div", { class: "lcb-ticks", "aria-hidden": "true" });
  const player = createPlayer(
    last,
    () => store.get().update,
    (update) => store.set({ update: Math.round(update) }),
    (playing) => say(play, playing ? "Pause" : "Play"),
  );
  play.addEventListener("click", player.toggle);
  range.addEventListener("input", () => {
    player.stop();
    store.set({ update: Math.round(Number(range.value)) });
  });
  range.addEventListener("keydown", (event) => {
    /** @type {Record<string, number>} */
    const moves = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    player.stop();
    store.set({ update: neighbour(runs()[0].steps, store.get().update, moves[event.key]) });
  });
  const label = element("label", { for: id }, "Update ", told);
  return {
    root: element("div", { class: "lcb-scrubber" }, play, label, element("div", { class: "lcb-track" }, range, ticks)),
    stop: player.stop,
    play: player.play,
    /** @param {Set<string>} changed */
    update(changed) {
      const { update } = store.get();
      if (changed.has("runs") || changed.has("more")) {
        range.max = String(last());
        ticks.replaceChildren(...runs().flatMap(({ events }) => events).map((event) => tick(event, last())));
      }
      range.value = String(update);
      range.setAttribute("aria-valuetext", `update ${whole(update)} of ${whole(last())}`);
      say(told, `${whole(update)} of ${whole(last())}`);
    },
  };
}

/**
 * The record so many places away.
 * @param {number[]} steps
 * @param {number} update
 * @param {number} places
 */
export function neighbour(steps, update, places) {
  const after = steps.findIndex((step) => step > update);
  const at = (after < 0 ? steps.length : after) - 1;
  const between = steps[at] < update && places < 0 ? 1 : 0;
  return steps[Math.min(steps.length - 1, Math.max(0, at + places + between))];
}

/**
 * @param {import("./run.js").Event} event
 * @param {number} last
 */
function tick({ update, kind }, last) {
  const mark = element("span", { class: kind === "not finite" ? "lcb-bad" : false });
  mark.style.insetInlineStart = `${(100 * update) / Math.max(1, last)}%`;
  return mark;
}

/**
 * @param {Store} store
 * @param {() => Run[]} runs
 */
function quantityMenu(store, runs) {
  const select = element("select", { id: freshId() });
  select.addEventListener("change", () => store.set({ quantity: select.value }));
  const root = labelled("Show", select);
  return {
    root,
    /** @param {Set<string>} changed */
    update(changed) {
      if (changed.has("runs")) {
        const options = quantities(runs()[0]).map((each) => {
          const empty = hasValues(each) ? "" : " (no finite values)";
          return element("option", { value: each.name }, `${capitalised(each.longName)}${empty}`);
        });
        select.replaceChildren(...options);
      }
      select.value = store.get().quantity;
    },
  };
}

/**
 * @param {Store} store
 * @param {() => Run[]} runs
 */
function layerChoice(store, runs) {
  const filter = element("input", { type: "search", id: freshId(), placeholder: "part of a name", autocomplete: "off" });
  filter.addEventListener("input", () => store.set({ filter: filter.value }));
  const grouped = element("input", { type: "checkbox", id: freshId() });
  grouped.addEventListener("change", () => store.set({ grouped: grouped.checked }));
  const drawn = element(
    "select",
    { id: freshId() },
    ...[["auto", "as fits"], ["lines", "lines"], ["map", "map"]].map(([value, text]) => element("option", { value }, text)),
  );
  drawn.addEventListener("change", () =>
    store.set({ drawn: /** @type {"auto" | "lines" | "map"} */ (drawn.value) }),
  );
  const roots = [
    labelled("Drawn", drawn),
    labelled("Layers", filter),
    labelled("In blocks", grouped),
  ];
  return {
    roots,
    update(/** @type {Set<string>} */ changed) {
      const state = store.get();
      if (changed.has("runs")) {
        const few = runs().every(({ layers }) => layers.length <= FEW);
        roots.slice(1).forEach((root) => (root.hidden = few));
      }
      grouped.checked = state.grouped;
      drawn.value = state.drawn;
      if (filter.value !== state.filter) filter.value = state.filter;
    },
  };
}


/**
 * A control behind its label: inside it, its options would be part of the name.
 * @param {string} text
 * @param {HTMLElement} control
 */
function labelled(text, control) {
  return element("span", { class: "lcb-choice" }, element("label", { for: control.id }, text), control);
}
