import assert from "node:assert/strict";
import { test } from "node:test";
import { blocks, holds, rowOf, rowValue, rows } from "../src/rows.js";

/** @param {[string, string][]} layers Names and blocks. @returns {any} */
const runOf = (layers) => ({ layers: layers.map(([name, block]) => ({ name, block })) });
const run = runOf([["stem", "stem"], ["b1_a", "b1"], ["b1_b", "b1"], ["head", "head"]]);
const state = { filter: "", grouped: true, open: [] };
const names = (/** @type {{name: string}[]} */ shown) => shown.map(({ name }) => name);

test("blocks stand for their layers, and open", () => {
  assert.deepEqual(names(rows(run, state)), ["stem", "b1", "head"]);
  const open = rows(run, { ...state, open: ["b1"] });
  assert.deepEqual(names(open), ["stem", "b1", "b1_a", "b1_b", "head"]);
  assert.deepEqual(names(rows(run, { ...state, grouped: false })), ["stem", "b1_a", "b1_b", "head"]);
});

test("the filter takes names by any part, whatever their case", () => {
  assert.deepEqual(names(rows(run, { ...state, grouped: false, filter: " B1_ " })), ["b1_a", "b1_b"]);
  assert.deepEqual(names(rows(run, { ...state, filter: "b1_b" })), ["b1_b"]);
  assert.deepEqual(rows(run, { ...state, filter: "nothing" }), []);
});

test("without names of blocks, depth makes them, each layer in one", () => {
  const deep = runOf(Array.from({ length: 108 }, (_, i) => [`dense_${i}`, `dense_${i}`]));
  const made = blocks(deep);
  assert.ok(made.length <= 12);
  assert.deepEqual(made.flatMap(({ layers }) => layers), deep.layers.map((/** @type {any} */ _, /** @type {number} */ i) => i));
  assert.equal(made[0].name, "dense_0 … dense_8");
});

test("a block's value is the mean of the layers that have one", () => {
  const values = Float32Array.of(9, 1, NaN, 3, 5);
  assert.equal(rowValue(values, 0, { name: "", layers: [1, 2, 3], block: "", isBlock: true }), 2);
  assert.ok(Number.isNaN(rowValue(values, 0, { name: "", layers: [2], block: "", isBlock: false })));
});

test("a layer stands out in its open block, or in the closed one", () => {
  const closed = rows(run, state);
  assert.equal(rowOf(run, closed, "b1_b")?.name, "b1");
  assert.equal(rowOf(run, rows(run, { ...state, open: ["b1"] }), "b1_b")?.name, "b1_b");
  assert.equal(rowOf(run, closed, ""), undefined);
  assert.equal(holds(run, closed[0], "b1_b"), false);
});
