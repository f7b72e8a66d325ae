import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { hasFilters, tiles } from "../src/panels/filters.js";
import { joined, read, until } from "../src/run.js";

const forms = JSON.parse(readFileSync(new URL("form.json", import.meta.url), "utf8"));
const run = read(forms.float32);

/** @param {import("../src/run.js").Run} of @param {number} layer @param {number} update */
function greys(of, layer, update) {
  const found = tiles(of, layer, update);
  return found && { ...found, grey: [...found.grey].map(Math.round) };
}

test("zero is mid-grey, and the largest weight of the layer in the run black or white", () => {
  assert.deepEqual(greys(run, 0, 30), { width: 5, height: 1, grey: [255, 1, NaN, 192, 128] });
});

test("they change with the update, and nothing is drawn of a layer without filters", () => {
  assert.deepEqual(greys(run, 0, 12)?.grey, [192, 65, NaN, 192, 128]);
  assert.equal(tiles(run, 1, 30), null);
});

test("tiles stand in lines where nodes are small", () => {
  const found = tiles(run, 0, 30, 1);
  assert.deepEqual([found?.width, found?.height], [2, 3]);
  assert.deepEqual([...(found?.grey ?? [])].map(Math.round), [255, 1, NaN, NaN, 192, 128]);
});

test("a run that goes on shows its newest filters", () => {
  const early = until(run, 10);
  assert.deepEqual(greys(early, 0, 10)?.grey, [255, 1, NaN, 255, 128]);
  assert.deepEqual(greys(joined(early, run), 0, 30)?.grey, [255, 1, NaN, 192, 128]);
});

test("what is not finite is not drawn, and a run without filters has none", () => {
  const broken = read(forms.float32);
  broken.variables.get("filters")?.values.fill(NaN);
  assert.equal(tiles(broken, 0, 30), null);
  assert.ok(hasFilters(run) && !hasFilters(until(run, -1)));
});
