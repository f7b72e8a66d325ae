// The viewer in a report: it reads the run that is in the page, and follows its table.
import { mount } from "./viewer.js";
import { prominent } from "./store.js";

const data = document.getElementById("lcb-run");
const host = document.getElementById("lcb-viewer");
if (data?.textContent && host) {
  host.closest("section")?.removeAttribute("hidden");
  const viewer = mount(host, [{ form: JSON.parse(data.textContent) }]);
  followTable(viewer.store);
  followFigures(viewer.store);
  Object.assign(window, { lcbViewer: viewer });
}

/**
 * Rows of the table stand out with their layer, and choose it; the filter holds for them, too.
 * @param {import("./store.js").Store} store
 */
function followTable(store) {
  const rows = [...document.querySelectorAll("table.layers tbody tr")];
  const nameOf = (/** @type {Element} */ row) =>
    row.querySelector("th")?.getAttribute("data-value") ?? "";
  for (const row of rows) {
    point(row, nameOf(row), store);
    row.addEventListener("click", () => {
      const name = nameOf(row);
      store.set({ layer: store.get().layer === name ? "" : name });
    });
  }
  store.subscribe(() => {
    const state = store.get();
    const wanted = state.filter.trim().toLowerCase();
    for (const row of rows) {
      const name = nameOf(row);
      row.classList.toggle("lcb-hovered", name === prominent(state));
      row.toggleAttribute("hidden", !name.toLowerCase().includes(wanted));
    }
  });
}

/**
 * Lines of the figures, which name their layer in a title, stand out by the others' fading.
 * @param {import("./store.js").Store} store
 */
function followFigures(store) {
  const lines = [...document.querySelectorAll("figure svg g > title")].flatMap((title) =>
    title.parentElement ? [{ line: title.parentElement, name: title.textContent ?? "" }] : [],
  );
  lines.forEach(({ line, name }) => point(line, name, store));
  store.subscribe(() => {
    const name = prominent(store.get());
    const known = lines.some((each) => each.name === name);
    lines.forEach((each) => each.line.classList.toggle("lcb-faded", known && each.name !== name));
  });
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {import("./store.js").Store} store
 */
function point(element, name, store) {
  element.addEventListener("pointerenter", () => store.set({ hovered: name }));
  element.addEventListener("pointerleave", () => store.set({ hovered: "" }));
}
