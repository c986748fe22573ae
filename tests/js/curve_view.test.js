// The layout of the curve editor: one dot per frame, on the curve, and readable numbers.
import assert from "node:assert/strict";
import { test } from "node:test";

import { layout, nearestDot, numbered } from "../../js/lib/curve_view.js";
import { short, ticks } from "../../js/lib/scale.js";
import { easingFunction } from "../../js/lib/easing.js";

const SIZE = { width: 320, height: 180 };
const view = (frames, ending, easing = "ease in") =>
  layout({ frames, ending, ease: easingFunction(easing) }, SIZE);

for (const ending of ["stop", "ping-pong", "loop"])
  test(`${ending}: a dot per frame, from left to right, inside the plot`, () => {
    for (const frames of [3, 4, 16, 4096]) {
      const { dots, plot } = view(frames, ending);
      assert.equal(dots.length, frames);
      assert.ok(dots.every((dot, k) => k === 0 || dot.x > dots[k - 1].x));
      assert.ok(dots.every((dot) => dot.x >= plot.left && dot.x <= plot.right + 1e-9));
      assert.ok(dots.every((dot) => dot.y >= plot.top - 1e-9 && dot.y <= plot.bottom + 1e-9));
    }
  });

test("dots are on the curve, and the scales can be inverted", () => {
  const ease = easingFunction("ease in-out");
  const { dots, x, y } = layout({ frames: 9, ending: "stop", ease }, SIZE);
  for (const dot of dots) {
    assert.ok(Math.abs(y.back(dot.y) - ease(x.back(dot.x))) < 1e-9);
    assert.ok(Math.abs(x(x.back(dot.x)) - dot.x) < 1e-9);
  }
});

test("a ping-pong's way back mirrors the way there", () => {
  const { dots, ghost } = view(15, "ping-pong");
  dots.forEach((dot, k) => assert.ok(Math.abs(dot.y - dots.at(-1 - k).y) < 1e-9));
  assert.ok(ghost.length > 2);
  assert.equal(dots[7].t, 1);
});

test("the right edge of a loop is its first frame again", () => {
  const { dots, closing, plot } = view(8, "loop");
  assert.equal(closing.x, plot.right);
  assert.ok(dots.at(-1).x < plot.right - 10);
});

test("a single frame is drawn too", () => {
  assert.equal(view(1, "stop").dots.length, 1);
});

test("frame numbers run from the first to the last and never crowd", () => {
  for (const frames of [1, 2, 3, 7, 16, 24, 100, 999, 4096]) {
    const shown = numbered(frames, 280);
    assert.equal(shown[0], 1);
    assert.equal(shown.at(-1), frames);
    assert.ok(shown.length <= 12);
    assert.ok(shown.every((n, k) => k === 0 || n > shown[k - 1]));
  }
});

test("the dot under the mouse is the nearest", () => {
  const { dots } = view(16, "stop");
  assert.equal(nearestDot(dots, dots[5].x + 2), 5);
  assert.equal(nearestDot([], 5), -1);
});

test("axis ticks are round, start at 0 and reach the largest value", () => {
  for (const most of [0.00037, 0.02, 0.9, 1, 7, 1234]) {
    const found = ticks(most);
    assert.equal(found[0], 0);
    assert.ok(found.at(-1) >= most);
    assert.ok(found.length <= 8);
  }
  assert.deepEqual(ticks(0), [0, 1]);
  assert.equal(short(0.0123456), "0.01235");
  assert.equal(short(0), "0");
});
