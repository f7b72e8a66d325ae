// The viewer: one or more runs, their panels, and the controls that all share.
import { createContext, firstQuantity, firstUpdate, keptTo } from "./context.js";
import { isDark } from "./colors.js";
import { controls } from "./controls.js";
import { element, say } from "./dom.js";
import { whole } from "./format.js";
import { lazily } from "./lazily.js";
import { diagram } from "./panels/diagram.js";
import { panelsOf } from "./panels/index.js";
import { MANY } from "./rows.js";
import { joined, lastUpdate, read, until } from "./run.js";
import { createStore } from "./store.js";
import { summary, words } from "./words.js";

/**
 * @typedef {import("./run.js").Run} Run
 * @typedef {import("./run.js").Form} Form
 * @typedef {import("./store.js").State} State
 * @typedef {{title?: string, form: Form, until?: number}} Shown
 */

const ROWS = ["filter", "grouped", "open"];
// The words follow once nothing has changed for so many milliseconds, or, while something does,
// after so many at most.
const REST = 600;
const LONGEST = 3000;

/**
 * Shows runs in an element.
 * @param {HTMLElement} host
 * @param {Shown[]} shown One run, or several side by side on the same scales.
 * @param {Partial<State>} [start]
 * @param {string[]} [wanted] The panels to show; by default all for which the runs have something.
 */
export function mount(host, shown, start = {}, wanted = []) {
  let runs = shown.map(runOf);
  const root = element("div", { class: "lcb-viewer" });
  host.append(root);
  root.classList.toggle("lcb-dark", isDark(root));
  const store = createStore({ ...firstState(runs), ...start });
  const [bar, columns, live] = frame(root);
  const control = controls(bar, store, () => runs);
  const make = (/** @type {Shown[]} */ which) => build(columns, which, store, () => runs, root, wanted);
  let shownColumns = make(shown);
  let titles = shown.map(({ title }) => title);
  const tell = lazily(() => say(live, sentences(runs, titles, store.get())), LONGEST);

  /** @param {Set<string>} changed */
  function update(changed) {
    if (ROWS.some((name) => changed.has(name))) changed.add("rows");
    control.update(changed);
    shownColumns.forEach((column) => column.update(changed));
    tell(changed.has("runs") ? 0 : REST);
  }
  function themed() {
    root.classList.toggle("lcb-dark", isDark(root));
    update(new Set(["theme"]));
  }
  const unwatch = watchTheme(themed);
  store.subscribe((changed) => {
    const last = Math.max(...runs.map(lastUpdate));
    if (store.get().update > last) store.set({ update: last });
    else update(new Set(changed));
  });
  update(new Set(["runs", "rows"]));
  onceVisible(root, themed);
  return {
    store,
    root,
    runs: () => runs,
    /** Shows other runs; what was chosen stays as far as it can. @param {Shown[]} next */
    show(next) {
      const before = runs;
      [runs, titles] = [next.map(runOf), next.map(({ title }) => title)];
      if (!alike(before, runs, wanted)) {
        shownColumns.forEach((column) => column.destroy());
        shownColumns = make(next);
      }
      shownColumns.forEach((column, index) => column.entitle(next[index].title));
      store.set(kept(before, runs, store.get()));
      update(new Set(["runs", "rows"]));
    },
    /** Adds to the last of the runs what is new, as training goes on. @param {Form} form */
    more(form) {
      const before = runs.slice(-1); // the run that goes on is the one to follow
      runs = [...runs.slice(0, -1), joined(before[0], read(form))];
      store.set(kept(before, runs.slice(-1), store.get()));
      update(new Set(["more"]));
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

/**
 * Draws again once the element is on the page, which gives it its colours and sizes: some
 * notebooks make a widget before they show it.
 * @param {HTMLElement} root
 * @param {() => void} draw
 */
function onceVisible(root, draw) {
  if (root.clientWidth) return;
  const observer = new ResizeObserver(() => {
    if (!root.clientWidth) return;
    observer.disconnect();
    draw();
  });
  observer.observe(root);
}

/**
 * Where the choices, the runs and the words stand.
 * @param {HTMLElement} root
 */
function frame(root) {
  const bar = element("div", { class: "lcb-choices", role: "group", "aria-label": "What is shown" });
  const columns = element("div", { class: "lcb-columns" });
  const live = element("p", { class: "lcb-words", role: "status" });
  root.append(bar, columns, live);
  return [bar, columns, live];
}

/**
 * All runs in words, each after its title.
 * @param {Run[]} runs
 * @param {(string | undefined)[]} titles
 * @param {State} state
 */
function sentences(runs, titles, state) {
  return runs.map((run, i) => [titles[i], words(run, state)].filter(Boolean).join(". ")).join(" ");
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

/**
 * Whether the same panels can show other runs.
 * @param {Run[]} before
 * @param {Run[]} now
 * @param {string[]} wanted
 */
function alike(before, now, wanted) {
  /** @param {Run} run */
  const panels = (run) => panelsOf(run, wanted).map(({ name }) => name).join();
  return before.length === now.length && before.every((run, i) => panels(run) === panels(now[i]));
}

/**
 * Whether a training that went on is over.
 * @param {Run[]} before
 * @param {Run[]} now
 */
function ended(before, now) {
  const [was, is] = [before, now].map((runs) => runs[runs.length - 1].attributes.provisional);
  return Boolean(was) && !is;
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
    update: ended(before, now)
      ? firstUpdate(now[now.length - 1])
      : wasLast ? last : Math.min(last, state.update),
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
 * @param {string[]} wanted
 */
function build(host, shown, store, runs, root, wanted) {
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
      ...panelsOf(run(), wanted).map(({ make, name, quantity }) => {
        const panel = element("div", { class: `lcb-panel lcb-${name}` });
        grid.append(panel);
        return make(panel, keptTo(context, quantity));
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
        if (changed.has("runs") || changed.has("more")) {
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

