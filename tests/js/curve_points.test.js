// Every edit of a curve gives a curve that Python accepts.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as curve from "../../js/lib/curve_points.js";
import { easingFunction } from "../../js/lib/easing.js";

/** A small random generator with a seed, so that a failing run can be repeated. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

function check(points) {
  assert.deepEqual(curve.parse(curve.format(points)), points);
  assert.ok(points.length <= curve.MAX_POINTS);
}

test("a thousand random edits keep a curve a curve", () => {
  const next = random(7);
  const anywhere = () => [next() * 1.6 - 0.3, next() * 1.6 - 0.3];
  let points = [
    [0, 0],
    [1, 1],
  ];
  for (let k = 0; k < 1000; k++) {
    const index = Math.floor(next() * points.length);
    const kind = next();
    if (kind < 0.5) points = curve.move(points, index, anywhere());
    else if (kind < 0.85) points = curve.add(points, anywhere()).points;
    else points = curve.remove(points, index);
    check(points);
  }
});

test("nothing is changed in place", () => {
  const points = Object.freeze([
    Object.freeze([0, 0]),
    Object.freeze([0.5, 0.5]),
    Object.freeze([1, 1]),
  ]);
  curve.move(points, 1, [0.2, 0.9]);
  curve.add(points, [0.7, 0.1]);
  curve.remove(points, 1);
});

test("the ends keep their u and can't be removed", () => {
  const points = [
    [0, 0],
    [0.5, 0.5],
    [1, 1],
  ];
  assert.deepEqual(curve.move(points, 0, [0.4, 0.3])[0], [0, 0.3]);
  assert.deepEqual(curve.move(points, 2, [0.4, 0.3])[2], [1, 0.3]);
  assert.equal(curve.remove(points, 0), points);
  assert.equal(curve.remove(points, 2), points);
  assert.deepEqual(curve.remove(points, 1), [
    [0, 0],
    [1, 1],
  ]);
});

test("a point stops before its neighbour", () => {
  const moved = curve.move(
    [
      [0, 0],
      [0.3, 0.3],
      [0.6, 0.6],
      [1, 1],
    ],
    1,
    [0.9, 0.5],
  );
  assert.ok(moved[1][0] < 0.6 && moved[1][0] > 0.59);
});

test("between crowded neighbours a point only moves up and down", () => {
  const crowded = curve.parse("[[0, 0], [0.5, 0.5], [0.5005, 0.6], [0.501, 0.7], [1, 1]]");
  for (const u of [0, 0.4, 0.6, 1]) {
    const moved = curve.move(crowded, 2, [u, 0.1]);
    check(moved);
    assert.deepEqual(moved[2], [0.5005, 0.1]);
  }
});

test("adding returns the point's index; a point on top of another is refused", () => {
  const { points, index } = curve.add(
    [
      [0, 0],
      [0.5, 0.5],
      [1, 1],
    ],
    [0.7, 0.2],
  );
  assert.equal(index, 2);
  assert.deepEqual(points[2], [0.7, 0.2]);
  assert.equal(curve.add(points, [0.7, 0.9]).index, -1);
  assert.equal(curve.add(points, [0, 0.9]).index, -1);
  // Too near to be told apart.
  assert.equal(curve.add(points, [0.7 + curve.GAP / 2, 0.9]).index, -1);
});

test("text that is not a curve is recognised", () => {
  for (const text of [
    "",
    "{}",
    "[[0,0]]",
    "[[0,0],[0,1]]",
    "[[0,0],[1,2]]",
    "[[0.1,0],[1,1]]",
    "[[0,0],[0.5],[1,1]]",
    "[[0,0],[null,1],[1,1]]",
    '[["0",0],[1,1]]',
  ])
    assert.equal(curve.parse(text), null, text);
  assert.deepEqual(curve.parse("[[0, 0.5], [1, 0.5]]"), [
    [0, 0.5],
    [1, 0.5],
  ]);
});

test("an easing becomes points that lie on it", () => {
  const ease = easingFunction("ease in-out");
  const points = curve.sample(ease);
  check(points);
  for (const [u, t] of points) assert.ok(Math.abs(ease(u) - t) < 1e-4);
});

test("snapping moves to a near frame and a near eighth, and otherwise not at all", () => {
  const shares = [0, 1 / 15, 2 / 15];
  assert.deepEqual(curve.snap([0.07, 0.26], shares, [0.02, 0.02]), [1 / 15, 0.25]);
  assert.deepEqual(curve.snap([0.1, 0.31], shares, [0.02, 0.02]), [0.1, 0.31]);
});

test("the keyboard adds in the longer gap beside a point, on the curve", () => {
  const points = [
    [0, 0],
    [0.2, 0.2],
    [1, 1],
  ];
  assert.deepEqual(
    curve.roomBeside(points, 1, (u) => u),
    [0.6, 0.6],
  );
  assert.deepEqual(
    curve.roomBeside(points, 0, (u) => u),
    [0.1, 0.1],
  );
  assert.deepEqual(
    curve.roomBeside(points, 2, (u) => u),
    [0.6, 0.6],
  );
});
