// The names at the ends of lines: short, apart, and within the chart.
import assert from "node:assert/strict";
import { test } from "node:test";
import { apart, brief, evenly } from "../src/ends.js";

test("layers that only a number tells apart are called by it", () => {
  assert.deepEqual(brief(["hidden_0", "hidden_1", "head"], 10), ["0", "1", "head"]);
  assert.deepEqual(brief(["dense", "dense_1"], 10), ["dense", "1"]);
  const blocks = ["conv_1", "stage1_block2_conv1", "dense_2"];
  assert.deepEqual(brief(blocks, 10), ["conv_1", "s1_b2_c1", "dense_2"]);
  assert.equal(new Set(brief(["conv_1", "dense_1"], 10)).size, 2);
});

test("names keep apart, in their order, and within the chart", () => {
  assert.deepEqual(apart([10, 50, 90], 10, 0, 100), [10, 50, 90]);
  assert.deepEqual(apart([100, 100, 100], 10, 0, 100), [80, 90, 100]);
  assert.deepEqual(apart([0, 0, 50], 10, 0, 100), [0, 10, 50]);
  assert.deepEqual(apart([52, 50], 10, 0, 100), [60, 50]);
  const many = Array.from({ length: 11 }, () => 70);
  const placed = apart(many, 10, 0, 100);
  assert.deepEqual(placed, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
});

test("of too many layers, some at equal intervals are named", () => {
  const layers = Array.from({ length: 20 }, (_, i) => i);
  assert.deepEqual(evenly(layers, 30), layers);
  const some = evenly(layers, 6);
  assert.deepEqual([some.length, some[0], some[5]], [6, 0, 19]);
  assert.deepEqual([evenly(layers, 1), evenly(layers, 0)], [[0], []]);
});
