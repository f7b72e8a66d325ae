import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { read, until } from "../src/run.js";
import { summary, words } from "../src/words.js";

const forms = JSON.parse(readFileSync(new URL("form.json", import.meta.url), "utf8"));
const run = read(forms.float32);
/** @type {any} */
const state = { update: 10, quantity: "gradient_norm", layer: "" };

test("the run in sentences: where the reader stands, and what stands out there", () => {
  assert.equal(
    words(run, state),
    "Update 10 of 30. Training loss 0.5. Smallest by RMS gradient norm since the last record: " +
      "block1_b, 0.01; largest: block1_a, 100.",
  );
});

test("a run beside a longer one is told as it was when it ended", () => {
  assert.equal(words(run, { ...state, update: 90 }), words(run, { ...state, update: 30 }));
});

test("a layer without a value is neither the nearest nor the farthest", () => {
  const told = words(run, { ...state, quantity: "distance", layer: "block1_b" });
  assert.match(told, /Nearest to its end by .*: block1_a, 1; farthest: block1_a, 1\./);
  assert.match(told, /Chosen: block1_b, –\.$/);
});

test("what went wrong is said from then on", () => {
  assert.doesNotMatch(words(run, state), /went wrong/);
  assert.match(words(run, { ...state, update: 30 }), /went wrong at update 25/);
});

test("the summary tells length and optimizer, and nothing before training", () => {
  assert.equal(summary(run), "2 layers, 30 updates with SGD.");
  assert.equal(summary(until(run, 0)), "2 layers, before training.");
});
