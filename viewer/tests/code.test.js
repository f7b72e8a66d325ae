import assert from "node:assert/strict";
import test from "node:test";
import { addressOf, isHereOnly, squares } from "../src/address.js";

test("an address has the settings, and no secret key that was in it", () => {
  const place = new URL("https://labs.example/voila/?token=secret&depth=2");
  assert.equal(addressOf(place, "depth=3"), "https://labs.example/voila/?depth=3");
});

test("a machine's own names are known", () => {
  for (const name of ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "lab.localhost"]) {
    assert.ok(isHereOnly(name), name);
  }
  for (const name of ["labs.example", "localhost.example", "10.127.0.0", "1270.0.1.2"]) {
    assert.ok(!isHereOnly(name), name);
  }
});

test("a code has its three corners, with white around them", () => {
  const { path, size } = squares("https://labs.example/");
  const dark = new Set(path.match(/M\d+ \d+/g));
  const finder = (/** @type {number} */ left, /** @type {number} */ top) =>
    [0, 6].every((side) => [0, 1, 2, 3, 4, 5, 6].every((i) => dark.has(`M${left + i} ${top + side}`) && dark.has(`M${left + side} ${top + i}`)));
  const far = size - 4 - 7;
  assert.deepEqual([finder(4, 4), finder(far, 4), finder(4, far), finder(far, far)], [true, true, true, false]);
  assert.ok([...dark].every((place) => place.slice(1).split(" ").map(Number).every((at) => at >= 4 && at < size - 4)));
});
