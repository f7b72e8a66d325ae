import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, keyOf, readAddress, settingInWords } from "../src/atlas/address.js";

/** @type {import("../src/atlas/address.js").Chapter[]} */
const chapters = [
  {
    name: "functions",
    title: "Functions",
    task: "",
    sample: null,
    dials: [
      { name: "target", label: "Target", texts: ["four sines", "chirp"], start: 0, kind: "choice" },
      { name: "depth", label: "Hidden layers", texts: ["2", "4", "8"], start: 1, kind: "slider" },
    ],
  },
  { name: "digits", title: "Digits", task: "", sample: null, dials: [{ name: "depth", label: "Convolutions", texts: ["2", "4"], start: 0, kind: "slider" }] },
];

test("without an address the page begins where the dials start", () => {
  const place = readAddress(chapters, "");
  assert.deepEqual(place.setting, { chapter: "functions", positions: [0, 1] });
  assert.equal(place.revealed, false);
  assert.equal(keyOf(place.setting), "0.1");
});

test("a place comes back from its address", () => {
  const place = {
    setting: { chapter: "functions", positions: [1, 2] },
    pinned: { chapter: "digits", positions: [1] },
    revealed: true,
    large: true,
    view: { update: 120, layer: "layer_1", quantity: "angle" },
  };
  const address = addressOf(chapters, place);
  assert.match(address, /^#in=functions&target=chirp&depth=8&/);
  assert.deepEqual(readAddress(chapters, address), place);
});

test("an address of something else begins at the start", () => {
  const { setting, view } = readAddress(chapters, "#in=nothing&depth=99&update=abc");
  assert.deepEqual(setting, { chapter: "functions", positions: [0, 1] });
  assert.deepEqual(view, {});
});

test("beside another setting, only what differs is said", () => {
  const [one, other] = [{ chapter: "functions", positions: [0, 1] }, { chapter: "functions", positions: [0, 2] }];
  assert.equal(settingInWords(chapters, one, other), "hidden layers 4");
  assert.equal(settingInWords(chapters, one, one), "the same training");
  assert.equal(settingInWords(chapters, one), "Functions: target four sines, hidden layers 4");
  assert.equal(settingInWords(chapters, { chapter: "digits", positions: [0] }, one), "Digits: convolutions 2");
});
