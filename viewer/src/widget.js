// The viewer in notebooks, as anywidget has it: a model with traits, an element to draw into.
import { mount } from "./viewer.js";

/**
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, listener: (message?: any) => void) => void} on
 * @property {(event: string, listener: (message?: any) => void) => void} off
 */

// What the notebook may read and set; the rest is between the reader and the page.
const SHARED = /** @type {const} */ (["update", "quantity", "layer"]);

/** @param {{model: Model, el: HTMLElement}} given */
function render({ model, el }) {
  const viewer = mount(el, model.get("shown"), startOf(model), model.get("panels"));
  const shown = () => viewer.show(model.get("shown"));
  // Where a training is that goes on is no choice of the reader's, and is not sent back: it would
  // come again from there, late.
  let following = false;
  const heard = (/** @type {{more?: import("./run.js").Form}} */ { more }) => {
    following = true;
    if (more) viewer.more(more);
    following = false;
  };
  const fromModel = SHARED.map((name) => () => viewer.store.set(startOf(model, [name])));
  const unsubscribe = viewer.store.subscribe((changed) => {
    const own = SHARED.filter((name) => changed.has(name) && !following);
    own.forEach((name) => model.set(name, viewer.store.get()[name]));
    if (own.length) model.save_changes();
  });
  model.on("change:shown", shown);
  model.on("msg:custom", heard);
  SHARED.forEach((name, at) => model.on(`change:${name}`, fromModel[at]));
  return () => {
    unsubscribe();
    model.off("change:shown", shown);
    model.off("msg:custom", heard);
    SHARED.forEach((name, at) => model.off(`change:${name}`, fromModel[at]));
    viewer.destroy();
  };
}

/**
 * What the notebook wants to be shown; -1 and "" leave it to the viewer.
 * @param {Model} model
 * @param {readonly string[]} [names]
 */
function startOf(model, names = SHARED) {
  const wanted = names.map((name) => [name, model.get(name)]);
  return Object.fromEntries(wanted.filter(([, value]) => value !== -1 && value !== ""));
}

export default { render };
