// The schedules that the curve editor draws are those that Python computes (tests/golden).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { parse } from "../../js/lib/curve_points.js";
import { easingFunction, monotoneCubic } from "../../js/lib/easing.js";
import { times } from "../../js/lib/times.js";

const golden = JSON.parse(readFileSync(new URL("../golden/times.json", import.meta.url)));
const TOLERANCE = 1e-6;

function near(mine, theirs, what) {
  assert.equal(mine.length, theirs.length, what);
  mine.forEach((value, k) =>
    assert.ok(
      Math.abs(value - theirs[k]) <= TOLERANCE,
      `${what}[${k}]: ${value}, not ${theirs[k]}`,
    ),
  );
}

for (const { curve, u, t } of golden.curves)
  test(`the curve ${curve} is Python's`, () => near(u.map(monotoneCubic(parse(curve))), t, curve));

test("every easing with every ending is the same as in Python", () => {
  assert.ok(golden.schedules.length >= 60);
  for (const { frames, easing, ending, curve, times: expected } of golden.schedules)
    near(
      times(frames, ending, easingFunction(easing, parse(curve))),
      expected,
      `${easing}, ${ending}, ${frames} frames`,
    );
});

test("a curve passes through its points exactly", () => {
  const points = [
    [0, 0.1],
    [0.2, 0.9],
    [0.7, 0.3],
    [1, 0.55],
  ];
  const ease = monotoneCubic(points);
  for (const [u, t] of points) assert.equal(ease(u), t);
});

test("no curve leaves [0, 1]", () => {
  const ease = monotoneCubic([
    [0, 0],
    [0.01, 1],
    [0.5, 1],
    [0.51, 0],
    [1, 0],
  ]);
  for (let k = 0; k <= 1000; k++) assert.ok(ease(k / 1000) >= 0 && ease(k / 1000) <= 1);
});
