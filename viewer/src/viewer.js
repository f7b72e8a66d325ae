// The viewer: one or more runs, their panels, and the controls that all share.
import { createContext, firstQuantity, firstUpdate } from "./context.js";
import { isDark } from "./colors.js";
import { controls } from "./controls.js";
import { element, say } from "./dom.js";
import { whole } from "./format.js";
import { lazily } from "./lazily.js";
import { diagram } from "./panels/diagram.js";
import { PANELS } from "./panels/index.js";
import { MANY } from "./rows.js";
import { lastUpdate, read, until } from "./run.js";
import { createStore } from "./store.js";
import { summary, words } from "./words.js";

/**
 * @typedef {import("./run.js").Run} Run
 * @typedef {import("./run.js").Form} Form
 * @typedef {import("./store.js").State} State
 * @typedef {{title?: string, form: Form, until?: number}} Shown
 */

const ROWS = ["filter", "grouped", "open"];
// Milliseconds of rest after which the words follow, and how long they may lag without any.
const REST = 600;
const LONGEST = 3000;

/**
 * Shows runs in an element.
 * @param {HTMLElement} host
 * @param {Shown[]} shown One run, or several side by side on the same scales.
 * @param {Partial<State>} [start]
 */
export function mount(host, shown, start = {}) {
  let runs = shown.map(runOf);
  const root = element("div", { class: "lcb-viewer" });
  host.append(root);
  root.classList.toggle("lcb-dark", isDark(root));
  const store = createStore({ ...firstState(runs), ...start });
  const bar = element("div", { class: "lcb-choices", role: "group", "aria-label": "What is shown" });
  const columns = element("div", { class: "lcb-columns" });
  const live = element("p", { class: "lcb-words", role: "status" });
  root.append(bar, columns, live);
  const control = controls(bar, store, () => runs);
  let shownColumns = build(columns, shown, store, () => runs, root);
  let titles = shown.map(({ title }) => title);
  const sentences = () =>
    runs.map((run, i) => [titles[i], words(run, store.get())].filter(Boolean).join(". "));
  const tell = lazily(() => say(live, sentences().join(" ")), LONGEST);

  /** @param {Set<string>} changed */
  function update(changed) {
    if (ROWS.some((name) => changed.has(name))) changed.add("rows");
    control.update(changed);
    shownColumns.forEach((column) => column.update(changed));
    tell(changed.has("runs") ? 0 : REST);
  }
  const unwatch = watchTheme(() => {
    root.classList.toggle("lcb-dark", isDark(root));
    update(new Set(["theme"]));
  });
  store.subscribe((changed) => {
    const last = Math.max(...runs.map(lastUpdate));
    if (store.get().update > last) store.set({ update: last });
    else update(new Set(changed));
  });
  update(new Set(["runs", "rows"]));

  return {
    store,
    root,
    runs: () => runs,
    /** Shows other runs; what was chosen stays as far as it can. @param {Shown[]} next */
    show(next) {
      const before = runs;
      runs = next.map(runOf);
      titles = next.map(({ title }) => title);
      if (!alike(before, runs)) {
        shownColumns.forEach((column) => column.destroy());
        shownColumns = build(columns, next, store, () => runs, root);
      }
      shownColumns.forEach((column, index) => column.entitle(next[index].title));
      store.set(kept(before, runs, store.get()));
      update(new Set(["runs", "rows"]));
    },
    play: control.play,
    destroy() {
      unwatch();
      control.destroy();
      shownColumns.forEach((column) => column.destroy());
      root.remove();
    },
  };
}

/** @param {Shown} shown */
function runOf({ form, until: end }) {
  return end === undefined ? read(form) : until(read(form), end);
}

/** @param {Run[]} runs @returns {State} */
function firstState(runs) {
  return {
    update: firstUpdate(runs[0]),
    quantity: firstQuantity(runs),
    layer: "",
    hovered: "",
    filter: "",
    grouped: runs.some(({ layers }) => layers.length > MANY),
    open: [],
    drawn: "auto",
  };
}

/** Whether the same panels can show other runs. @param {Run[]} before @param {Run[]} now */
function alike(before, now) {
  /** @param {Run} run */
  const panels = (run) => PANELS.filter(({ needs }) => needs(run)).map(({ name }) => name).join();
  return before.length === now.length && before.every((run, i) => panels(run) === panels(now[i]));
}

/**
 * What stays chosen as other runs come: the newest update stays the newest.
 * @param {Run[]} before
 * @param {Run[]} now
 * @param {State} state
 * @returns {Partial<State>}
 */
function kept(before, now, state) {
  const last = Math.max(...now.map(lastUpdate));
  const wasLast = state.update >= Math.max(...before.map(lastUpdate));
  const has = now[0].variables.has(state.quantity);
  return {
    update: wasLast ? last : Math.min(last, state.update),
    ...(!has && { quantity: firstQuantity(now) }),
  };
}

/**
 * A column for each run.
 * @param {HTMLElement} host
 * @param {Shown[]} shown
 * @param {import("./store.js").Store} store
 * @param {() => Run[]} runs
 * @param {HTMLElement} root
 */
function build(host, shown, store, runs, root) {
  host.replaceChildren();
  host.classList.toggle("lcb-several", shown.length > 1);
  return shown.map(({ title }, index) => {
    const run = () => runs()[Math.min(index, runs().length - 1)];
    const context = createContext(store, run, runs, root);
    const column = element("section", { class: "lcb-column" });
    const heading = element("h2");
    const about = element("p", { class: "lcb-about" });
    const network = element("div", { class: "lcb-network", role: "group", "aria-label": "Network" });
    const list = element("ol", { class: "lcb-events" });
    const grid = element("div", { class: "lcb-panels" });
    column.append(heading, network, list, grid);
    host.append(column);
    const panels = [
      diagram(network, context),
      ...PANELS.filter(({ needs }) => needs(run())).map(({ make, name }) => {
        const panel = element("div", { class: `lcb-panel lcb-${name}` });
        grid.append(panel);
        return make(panel, context);
      }),
    ];
    network.append(about);
    /** @param {string} [text] */
    function entitle(text = "") {
      heading.hidden = !text;
      say(heading, text);
      column.setAttribute("aria-label", text || "Run");
    }
    entitle(title);
    return {
      entitle,
      /** @param {Set<string>} changed */
      update(changed) {
        if (changed.has("runs")) {
          say(about, summary(run()));
          events(list, run(), store);
        }
        panels.forEach((panel) => panel.update(changed));
      },
      destroy: () => panels.forEach((panel) => panel.destroy()),
    };
  });
}

/**
 * What happened on the way, each a button that goes there.
 * @param {HTMLElement} list
 * @param {Run} run
 * @param {import("./store.js").Store} store
 */
function events(list, run, store) {
  list.hidden = run.events.length === 0;
  const items = run.events.map(({ update, text, kind }) => {
    const button = element("button", { type: "button", class: kind === "not finite" ? "lcb-bad" : false }, `${text} (update ${whole(update)})`);
    button.addEventListener("click", () => store.set({ update }));
    return element("li", {}, button);
  });
  list.replaceChildren(...items);
}

/**
 * Tells when the page turns light or dark.
 * @param {() => void} changed
 */
function watchTheme(changed) {
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", changed);
  const observer = new MutationObserver(changed);
  const attributeFilter = ["data-theme", "data-jp-theme-light", "data-vscode-theme-kind"];
  for (const watched of [document.documentElement, document.body]) {
    observer.observe(watched, { attributes: true, attributeFilter });
  }
  return () => {
    media.removeEventListener("change", changed);
    observer.disconnect();
  };
}

