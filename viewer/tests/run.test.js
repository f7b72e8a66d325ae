import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { unpacked } from "../src/atlas/library.js";
import { joined, lastPlanned, lastUpdate, quantities, read, recordAt, recordedAt, until, valueAt } from "../src/run.js";

// Written by Python, which checks that it still writes the same: tests/viewer/test_compact.py.
const forms = JSON.parse(readFileSync(new URL("form.json", import.meta.url), "utf8"));
const run = read(forms.float32);

/** @param {string} name @param {import("../src/run.js").Run} [of] */
function variable(name, of = run) {
  const found = of.variables.get(name);
  assert.ok(found, name);
  return found;
}

test("numbers are those that Python wrote", () => {
  const { values, at, size } = variable("distance");
  assert.deepEqual([...values], [4, 2, 1, NaN, 0, 1]);
  assert.deepEqual(at, [0, 10, 30]);
  assert.equal(size, 2);
  assert.deepEqual(variable("loss").at, [10, 30]);
});

test("what is shown tells of the update of its record", () => {
  const told = [-1, 0, 9, 10, 29, 30, 90].map((update) => recordedAt(variable("distance"), update));
  assert.deepEqual(told, [-1, 0, 0, 10, 10, 30, 30]);
  assert.equal(recordedAt(undefined, 7), 7);
});

test("bytes are within half a step, of the logarithm where values span much", () => {
  const bytes = read(forms.byte);
  const step = 4 / 253;
  const exact = variable("distance").values;
  variable("distance", bytes).values.forEach((value, i) => {
    if (Number.isNaN(exact[i])) assert.ok(Number.isNaN(value));
    else assert.ok(Math.abs(value - exact[i]) <= step / 2 + 1e-6);
  });
  const norms = variable("gradient_norm", bytes).values;
  [100, 0.01, 1, 1].forEach((expected, i) => {
    assert.ok(Math.abs(Math.log(norms[i] / expected)) <= Math.log(1e4) / 253 / 2 + 1e-4);
  });
});

test("packed forms are the forms", async () => {
  const found = (await unpacked(forms.packed)).get("0.1");
  assert.ok(found);
  const values = variable("distance", read(found)).values;
  assert.deepEqual([...values], [...variable("distance", read(forms.byte)).values]);
  assert.deepEqual(found.layers, forms.byte.layers);
});

test("the record at an update is the newest one", () => {
  const at = { at: [0, 10, 30] };
  assert.deepEqual([-1, 0, 9, 10, 29, 30, 99].map((update) => recordAt(at, update)), [-1, 0, 0, 1, 1, 2, 2]);
  assert.ok(Number.isNaN(valueAt(variable("loss"), 9)));
  assert.equal(valueAt(variable("distance"), 15, 0), 1);
});

test("quantities of layers are found, others are not", () => {
  assert.deepEqual(quantities(run).map(({ name }) => name), ["distance", "gradient_norm"]);
});

test("a run up to an update knows nothing of what came later", () => {
  const early = until(run, 10);
  assert.equal(lastUpdate(early), 10);
  assert.deepEqual([...variable("distance", early).values], [4, 2, 1, NaN]);
  assert.equal(early.events.length, 0);
  assert.equal(run.events.length, 1);
  const before = until(run, 0);
  assert.deepEqual([...before.variables.keys()], ["distance", "filters"]);
});

test("other forms are refused", () => {
  assert.throws(() => read({ ...forms.float32, version: 2 }), /no run that the viewer reads/);
});

test("a run that goes on has what was new, in place of what it had from there on", () => {
  const form = structuredClone(forms.float32);
  const more = read({ ...form, steps: [10, 30], attributes: { ...form.attributes, planned: 50 } });
  const newest = variable("distance", more);
  more.variables.set("distance", { ...newest, at: [10, 40], values: Float32Array.of(7, 8, 9, 10) });
  const whole = joined(run, more);
  assert.deepEqual(whole.steps, [0, 10, 30]);
  assert.deepEqual(variable("distance", whole).at, [0, 10, 40]);
  assert.deepEqual([...variable("distance", whole).values], [4, 2, 7, 8, 9, 10]);
  assert.deepEqual(variable("distance").at, [0, 10, 30]);
  assert.deepEqual([lastUpdate(whole), lastPlanned(whole), lastPlanned(run)], [30, 50, 30]);
});
