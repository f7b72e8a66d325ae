// The viewer in notebooks, as anywidget has it: a model with traits, an element to draw into.
import { mount } from "./viewer.js";

/**
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, listener: () => void) => void} on
 * @property {(event: string, listener: () => void) => void} off
 */

// What the notebook may read and set; the rest is between the reader and the page.
const SHARED = /** @type {const} */ (["update", "quantity", "layer"]);

/** @param {{model: Model, el: HTMLElement}} given */
function render({ model, el }) {
  const viewer = mount(el, model.get("shown"), startOf(model));
  const shown = () => viewer.show(model.get("shown"));
  const fromModel = () => viewer.store.set(startOf(model));
  const unsubscribe = viewer.store.subscribe((changed) => {
    const own = SHARED.filter((name) => changed.has(name));
    own.forEach((name) => model.set(name, viewer.store.get()[name]));
    if (own.length) model.save_changes();
  });
  model.on("change:shown", shown);
  SHARED.forEach((name) => model.on(`change:${name}`, fromModel));
  return () => {
    unsubscribe();
    model.off("change:shown", shown);
    SHARED.forEach((name) => model.off(`change:${name}`, fromModel));
    viewer.destroy();
  };
}

/** Where the notebook wants to begin; -1 and "" leave it to the viewer. @param {Model} model */
function startOf(model) {
  const wanted = SHARED.map((name) => [name, model.get(name)]);
  return Object.fromEntries(wanted.filter(([, value]) => value !== -1 && value !== ""));
}

export default { render };
