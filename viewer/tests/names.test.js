import assert from "node:assert/strict";
import { test } from "node:test";
import { telling } from "../src/names.js";

const stages = ["stem", ...[1, 2, 3].flatMap((s) => [1, 2, 10].map((b) => `stage${s}_block${b}`)), "head"];

test("names that fit stay, and so do their numbers where they do not", () => {
  assert.deepEqual(telling(stages, 14), stages);
  assert.deepEqual(telling(stages, 10).slice(0, 5), ["stem", "s1_block1", "s1_block2", "s1_block10", "s2_block1"]);
  assert.deepEqual(telling(stages, 6).slice(1, 4), ["s1_b1", "s1_b2", "s1_b10"]);
  assert.deepEqual(telling(stages, 5).slice(1, 4), ["s1b1", "s1b2", "s1b10"]);
});

test("layers in blocks keep their kind", () => {
  const layers = ["stage1_block2_conv1", "stage1_block2_norm1", "stage3_block2_conv1"];
  assert.deepEqual(telling(layers, 11), ["s1_b2_conv1", "s1_b2_norm1", "s3_b2_conv1"]);
  assert.deepEqual(telling(layers, 6), ["s1b2c1", "s1b2n1", "s3b2c1"]);
});

test("what all begin with is left out first", () => {
  assert.deepEqual(telling(["stem", "stage1_block1", "stage1_block2", "head"], 10), ["stem", "block1", "block2", "head"]);
});

test("numbers beside each other stay apart", () => {
  assert.deepEqual(telling(["conv2_block12_1_conv", "conv2_block1_21_conv"], 8), ["c2b12_1c", "c2b1_21c"]);
});

test("blocks by depth have both of their ends", () => {
  assert.deepEqual(telling(["dense_12 … dense_23", "dense_24 … dense_35"], 10), ["d12…d23", "d24…d35"]);
});

test("a name of one part is cut in its middle, as are names that would be alike", () => {
  assert.deepEqual(telling(["classification"], 8), ["cla…tion"]);
  const [one, other] = telling(["block_convolution", "block_concatenation"], 9);
  assert.notEqual(one, other);
});

test("60 layers of the three stages of a network all have names of their own", () => {
  const layers = [1, 2, 3].flatMap((s) => Array.from({ length: 10 }, (_, b) => ["conv1", "conv2"].map((c) => `stage${s}_block${b + 1}_${c}`)).flat());
  for (const limit of [22, 12, 10, 8, 7]) {
    const names = telling(layers, limit);
    assert.equal(new Set(names).size, 60, `${limit} letters`);
    assert.ok(names.every(({ length }) => length <= limit));
  }
});
