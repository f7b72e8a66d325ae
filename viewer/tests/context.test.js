import assert from "node:assert/strict";
import { test } from "node:test";
import { commonScale, createContext, firstQuantity, firstUpdate } from "../src/context.js";

/**
 * @param {Record<string, number[][]>} variables By record and layer.
 * @param {Record<string, number>} [attributes]
 * @returns {any}
 */
function runOf(variables, attributes = {}) {
  const steps = [0, 10, 20, 30];
  const entries = Object.entries(variables).map(([name, values]) => [
    name,
    { name, dims: ["layer"], at: steps, size: values[0].length, values: Float32Array.from(values.flat()) },
  ]);
  return { steps, layers: [{ name: "a" }, { name: "b" }], attributes: { nonfinite: -1, ...attributes }, variables: new Map(/** @type {any} */ (entries)) };
}

const falling = { normalized_distance: [[1, 1], [0.8, 0.4], [0.6, 0.2], [0, 0]] };

test("a run opens where its layers are half-way on average", () => {
  assert.equal(firstUpdate(runOf(falling)), 20);
});

test("one that goes on opens at its end, one that broke before that", () => {
  assert.equal(firstUpdate(runOf(falling, { provisional: 1 })), 30);
  assert.equal(firstUpdate(runOf(falling, { nonfinite: 20 })), 10);
  assert.equal(firstUpdate(runOf({ gradient_norm: [[1, 1], [1, 1], [1, 1], [1, 1]] })), 30);
});

test("a quantity without values is not the first to be shown", () => {
  const nothing = [[NaN, NaN], [NaN, NaN], [NaN, NaN], [NaN, NaN]];
  const norms = [[1, 2], [1, 2], [1, 2], [1, 2]];
  assert.equal(firstQuantity([runOf({ other: norms, normalized_distance: nothing, gradient_norm: norms })]), "gradient_norm");
  assert.equal(firstQuantity([runOf({ ...falling, gradient_norm: norms })]), "normalized_distance");
});

test("runs side by side have one scale", () => {
  const [one, other] = [runOf({ angle: [[1, 2], [1, 2], [1, 2], [1, 2]] }), runOf({ angle: [[0, 9], [1, 2], [1, 2], [1, 2]] })];
  assert.deepEqual(commonScale([one, other], "angle"), { low: 0, high: 9, log: false });
});

test("before training all layers have their whole way left", () => {
  const untrained = [[1, 1], [1, 1], [1, 1], [1, 1]];
  assert.deepEqual(commonScale([runOf({ normalized_distance: untrained })], "normalized_distance"), { low: 0, high: 1, log: false });
  assert.deepEqual(commonScale([runOf({ angle: untrained })], "angle"), { low: 1, high: 1, log: false });
});

test("runs side by side reach over the same updates, planned ones included", () => {
  const [one, other] = [runOf(falling), runOf(falling, { planned: 500 })];
  const both = () => [one, other];
  const contexts = both().map((run) => createContext(/** @type {any} */ (null), () => run, both, /** @type {any} */ (null)));
  assert.deepEqual(contexts.map((context) => context.span()), [[0, 500], [0, 500]]);
});
