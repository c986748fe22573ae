import assert from "node:assert/strict";
import { test } from "node:test";

import { isStored } from "../../js/lib/stored_widgets.js";

const WIDGETS = [
  { name: "frames" },
  { name: "chart", serialize: false },
  { name: "seed" },
  { name: "strength_unit" },
];

test("a file knows a widget where it has a value at its place", () => {
  assert.equal(isStored([17, 0, "absolute"], WIDGETS, "strength_unit"), true);
  assert.equal(isStored([17, 0], WIDGETS, "strength_unit"), false);
  assert.equal(isStored([17], WIDGETS, "seed"), false);
  assert.equal(isStored([17], WIDGETS, "frames"), true);
});

test("values by name are found by name, and without any there is no older file", () => {
  assert.equal(isStored({ frames: 17 }, WIDGETS, "seed"), false);
  assert.equal(isStored({ seed: 0 }, WIDGETS, "seed"), true);
  assert.equal(isStored(undefined, WIDGETS, "seed"), true);
});
