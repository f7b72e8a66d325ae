import assert from "node:assert/strict";
import { test } from "node:test";
import { depthColor, inkOn, valueColor } from "../src/colors.js";
import { neighbour } from "../src/controls.js";
import { meaning, number, short } from "../src/format.js";
import { isWayLeft, logTicks, scaleOf, share } from "../src/scale.js";

test("numbers have three digits and their sign", () => {
  assert.deepEqual(
    [0, 0.82512, -1.5, 1234.4, 12345678, 0.00001234, NaN, Infinity, -Infinity].map(number),
    ["0", "0.825", "−1.5", "1,234", "1.23·10⁷", "1.23·10⁻⁵", "–", "∞", "−∞"],
  );
});

test("a unit stands beside a meaning that does not say it", () => {
  assert.equal(meaning({ longName: "time", units: "s" }), "time (s)");
  assert.equal(meaning({ longName: "distance", units: "1" }), "distance");
});

test("long names lose their middle, never their ends", () => {
  assert.equal(short("stage1_block2_conv1", 12), "stage…_conv1");
  assert.equal(short("conv", 12), "conv");
});

test("scales leave out what is not finite, and are logarithmic for wide positive values", () => {
  assert.deepEqual(scaleOf([[1, NaN, 5], [Infinity, 3]]), { low: 1, high: 5, log: false });
  assert.deepEqual(scaleOf([[0.01, 100]]), { low: 0.01, high: 100, log: true });
  assert.equal(scaleOf([[0, 100]]).log, false);
  assert.deepEqual(scaleOf([[NaN]]), { low: 0, high: 1, log: false });
});

test("places on a scale", () => {
  assert.equal(share({ low: 0, high: 4, log: false }, 1), 0.25);
  assert.ok(Math.abs(share({ low: 0.01, high: 100, log: true }, 1) - 0.5) < 1e-12);
  assert.ok(Number.isNaN(share({ low: 0, high: 1, log: false }, NaN)));
  assert.ok(isWayLeft("normalized_distance") && !isWayLeft("gradient_norm"));
});

test("ticks of a logarithmic axis are few and round, wherever it begins", () => {
  assert.deepEqual(logTicks(0.000974, 0.0927).map(number), ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05"]);
  assert.deepEqual(logTicks(0.3, 70), [0.5, 1, 2, 5, 10, 20, 50]);
  const wide = logTicks(1e-30, 1e12);
  assert.ok(wide.length >= 3 && wide.length <= 8);
});

test("colours of depth are those of the figures in Python", () => {
  // keras_lcb.plotting.style.depth_colors(3)
  const expected = [[13, 8, 135], [150, 19, 161], [232, 112, 89]];
  expected.forEach((channels, place) => {
    const found = channelsOf(depthColor(place, 3, false));
    channels.forEach((value, i) => assert.ok(Math.abs(value - found[i]) <= 3, `${found}`));
  });
});

test("ink on a value's colour has a contrast of 4.5 : 1 at least", () => {
  for (let i = 0; i <= 100; i += 1) {
    const [paper, ink] = [valueColor(i / 100), inkOn(i / 100)].map(luminance);
    const contrast = (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05);
    assert.ok(contrast >= 4.5, `${i}: ${contrast}`);
  }
});

test("the arrow keys go from record to record", () => {
  const steps = [0, 10, 20, 40];
  assert.equal(neighbour(steps, 10, 1), 20);
  assert.equal(neighbour(steps, 10, -1), 0);
  assert.equal(neighbour(steps, 15, -1), 10);
  assert.equal(neighbour(steps, 15, 1), 20);
  assert.equal(neighbour(steps, 40, 1), 40);
  assert.equal(neighbour(steps, 0, -10), 0);
});

/** @param {string} color */
function channelsOf(color) {
  const hex = color.match(/[0-9a-f]{2}/g);
  if (color.startsWith("#") && hex) return hex.map((part) => parseInt(part, 16));
  return (color.match(/\d+/g) ?? []).map(Number);
}

/** Relative luminance (WCAG 2.1). @param {string} color */
function luminance(color) {
  const [red, green, blue] = channelsOf(color).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
