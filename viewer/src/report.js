// The viewer in a report: it reads the run that is in the page, and follows its table.
import { mount } from "./viewer.js";
import { prominent } from "./store.js";

const data = document.getElementById("lcb-run");
const host = document.getElementById("lcb-viewer");
if (data?.textContent && host) {
  const viewer = mount(host, [{ form: JSON.parse(data.textContent) }]);
  host.closest("section")?.removeAttribute("hidden");
  followTable(viewer.store);
  Object.assign(window, { lcbViewer: viewer });
}

/**
 * Table rows and lines of figures stand out together with the layer; the filter holds for both.
 * @param {import("./store.js").Store} store
 */
function followTable(store) {
  const rows = [...document.querySelectorAll("table.layers tbody tr")];
  const nameOf = (/** @type {Element} */ row) =>
    row.querySelector("th")?.getAttribute("data-value") ?? "";
  for (const row of rows) {
    row.addEventListener("pointerenter", () => store.set({ hovered: nameOf(row) }));
    row.addEventListener("pointerleave", () => store.set({ hovered: "" }));
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
