// The strip shows the path that Python makes, and no two of its texts touch.
import assert from "node:assert/strict";
import { test } from "node:test";

import { describe, knots, layout } from "../../js/lib/keyframes.js";
import { captions, spread, wrap } from "../../js/lib/labels.js";

const say = (key, values = {}) => [key, ...Object.values(values)].join(" ");
const measure = (text, strong) => text.length * (strong ? 6 : 5.4);
const transport = { weight: 1, method: "optimal transport", seed: 0, prompt: "a fox", own: false };
const keyframe = (changed) => ({ ...transport, ...changed });
const path = (...changed) => ({ keyframes: changed.map(keyframe), whole: true });

/** A small random generator with a seed, so that a failing run can be repeated. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

test("shares are the same as in Python", () => {
  // geometry.legs.knots([1, 2, 1]) and the like, printed by Python
  const golden = [
    [[], [0]],
    [
      [1, 2, 1],
      [0, 0.25, 0.75, 1],
    ],
    [
      [0.01, 1000],
      [0, 9.99990000099999e-6, 1],
    ],
    [
      [1, 1, 1],
      [0, 0.3333333333333333, 0.6666666666666666, 1],
    ],
    [
      [3, 0.5, 2, 0.01],
      [0, 0.544464609800363, 0.6352087114337568, 0.9981851179673321, 1],
    ],
  ];
  for (const [weights, times] of golden) assert.deepEqual(knots(weights), times);
});

test("a leg's weight is that of the keyframe it ends at; the first one's closes a loop", () => {
  const { stations, legs } = describe(
    path(
      { weight: 50, method: "random", seed: 3 },
      { weight: 1 },
      { weight: 3, method: "row order", own: true },
    ),
    false,
    say,
  );
  assert.deepEqual(
    stations.map(({ share }) => share),
    [0, 0.25, 1],
  );
  assert.deepEqual(
    legs.map(({ from, to, weight, style }) => [from, to, weight, style]),
    [
      [0, 0.25, 1, "solid"],
      [0.25, 1, 3, "dashed"],
    ],
  );
  assert.deepEqual(
    stations.map(({ own }) => own),
    [false, false, true],
  );
  assert.match(stations[0].full, /stripClosing stripSeeded random 3 50/);
});

test("shares of the legs sum to 1, whatever the weights", () => {
  const next = random(11);
  for (let run = 0; run < 200; run++) {
    const count = 1 + Math.floor(next() * 25);
    const weights = Array.from({ length: count }, () => Math.max(0.01, 10 ** (6 * next() - 3)));
    const whole = path({}, ...weights.map((weight) => ({ weight })));
    const { legs, stations } = describe(whole, false, say);
    const sum = legs.reduce((total, { from, to }) => total + to - from, 0);
    assert.ok(Math.abs(sum - 1) < 1e-12);
    assert.equal(stations.at(-1).share, 1);
    assert.ok(legs.every(({ from, to }) => from <= to));
  }
});

test("a single keyframe is one station in the middle", () => {
  const one = describe(path({ own: true }), false, say);
  assert.equal(one.stations.length, 1);
  assert.deepEqual(one.legs, []);
  const { stations, labels } = layout(one, { width: 320, height: 84 }, measure);
  assert.deepEqual(stations, [{ x: 160 }]);
  assert.deepEqual(
    labels[0].lines.map(({ text }) => text),
    ["a fox"],
  );
});

test("unknown values are shown as unknown, and unknown weights count as 1", () => {
  const unknown = [undefined, null, "", 0, -1, NaN, "many"];
  for (const weight of unknown) {
    const { stations, legs } = describe(path({}, { weight }, { weight: 1 }), false, say);
    assert.deepEqual(
      stations.map(({ share }) => share),
      [0, 0.5, 1],
    );
    assert.equal(legs[0].weight, null);
    assert.deepEqual(
      legs.map(({ labels }) => labels[1]),
      ["stripWeight ?", "stripWeight 1"],
    );
  }
  const pathless = path({}, { method: undefined, prompt: null }, { prompt: " " });
  const { legs, stations } = describe(pathless, false, say);
  assert.equal(legs[0].style, "unknown");
  assert.deepEqual(
    stations.map(({ label }) => label),
    ["a fox", "stripPrompt 2", "stripEmpty"],
  );
});

test("a path with an unknown beginning has no shares, only weights", () => {
  const { stations, legs } = describe(
    { keyframes: [keyframe({ prompt: null }), keyframe({ weight: 2, own: true })], whole: false },
    false,
    say,
  );
  assert.deepEqual(
    stations.map(({ label }) => label),
    ["stripBefore", "stripPrompt ?", "a fox"],
  );
  assert.deepEqual(
    legs.map(({ labels }) => labels[1]),
    ["stripWeight 1", "stripWeight 2"],
  );
});

test("tiny and huge shares are not rounded to 0 and 100 %", () => {
  const { legs } = describe(path({}, { weight: 0.01 }, { weight: 100 }), false, say);
  assert.deepEqual(
    legs.map(({ labels }) => labels[1]),
    ["stripShare <1", "stripShare >99"],
  );
});

test("noises have seeds or images, and legs without a method", () => {
  const { stations, legs, words } = describe(
    path({ seed: 42 }, { inverted: true }, { seed: undefined, own: true }),
    true,
    say,
  );
  const names = ["stripSeed 42", "stripInverted", "stripSeed ?"];
  assert.deepEqual(
    stations.map(({ label }) => label),
    names,
  );
  assert.deepEqual(legs[0].labels, ["stripShare 50"]);
  assert.ok(names.every((name) => words.includes(name)));
});

test("the description of a path contains every prompt in order", () => {
  const three = path({ prompt: "one" }, { prompt: "two\n  lines" }, { prompt: "three" });
  const { words } = describe(three, false, say);
  assert.match(words, /one.*two lines.*three/);
  assert.match(words, /^stripPrompts 3/);
});

const WORDS = [
  "a",
  "red",
  "fox",
  "lighthouse",
  "sunflowers",
  "x".repeat(60),
  "雪の中",
  "🦊🦊🦊",
  "of",
];

test("no two texts touch and none leaves the strip, whatever the path and the size", () => {
  const next = random(5);
  const choose = (list) => list[Math.floor(next() * list.length)];
  const sentence = () =>
    Array.from({ length: Math.floor(next() * 12) }, () => choose(WORDS)).join(" ");
  for (let run = 0; run < 400; run++) {
    const keyframes = Array.from({ length: 1 + Math.floor(next() * 30) }, () =>
      keyframe({
        weight: 0.01 + 10 ** (5 * next() - 2),
        method: choose(["optimal transport", "row order", "random", undefined]),
        prompt: next() < 0.1 ? null : sentence(),
      }),
    );
    keyframes.at(-1).own = true;
    const description = describe({ keyframes, whole: next() < 0.8 }, next() < 0.3, say);
    const size = { width: 150 + next() * 600, height: 56 + next() * 120 };
    const { y, legs, labels, stations } = layout(description, size, measure);
    const boxes = labels.map(({ left, right, top, bottom }) => ({ left, right, top, bottom }));
    for (const { x1, x2, label } of legs)
      if (label) {
        const [middle, half] = [(x1 + x2) / 2, measure(label) / 2];
        assert.ok(half * 2 < x2 - x1);
        boxes.push({ left: middle - half, right: middle + half, top: y - 7, bottom: y + 7 });
      }
    for (const [k, a] of boxes.entries()) {
      assert.ok(a.left >= -1e-6 && a.right <= size.width + 1e-6, "inside, across");
      assert.ok(a.top >= 0 && a.bottom <= size.height, "inside, down");
      for (const b of boxes.slice(k + 1))
        assert.ok(a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top);
    }
    for (const { lines, left, right, station } of labels)
      for (const { text } of lines) {
        const { own } = description.stations[station];
        assert.ok(measure(text, own) <= right - left + 1e-6);
      }
    assert.ok(stations.every(({ x }) => x > 0 && x < size.width));
    assert.ok(
      labels.some(({ station }) => description.stations[station].own),
      "its own is shown",
    );
  }
});

test("twenty keyframes keep at least eight readable prompts", () => {
  const keyframes = Array.from({ length: 20 }, () =>
    keyframe({ prompt: "an old lighthouse by the sea" }),
  );
  const description = describe({ keyframes, whole: true }, false, say);
  const { labels } = layout(description, { width: 320, height: 84 }, measure);
  assert.ok(labels.length >= 8);
  assert.ok(labels.every(({ lines }) => lines.map(({ text }) => text).join(" ").length >= 10));
});

test("wrapping keeps the beginning, breaks between words and marks what is missing", () => {
  assert.deepEqual(wrap("a red fox in the snow", 60, 2, measure), ["a red fox", "in the snow"]);
  assert.deepEqual(wrap("a red fox in the fresh snow", 60, 2, measure), ["a red fox", "in the…"]);
  assert.deepEqual(wrap("Donaudampfschifffahrt", 54, 2, measure), ["Donaudampf", "schifffah…"]);
  assert.deepEqual(wrap("fox", 2, 2, measure), []);
  assert.deepEqual(wrap("🦊🦊", 11, 1, measure), ["…"]); // never half a fox
});

test("spreading keeps the order and the gaps, and does not move free labels", () => {
  assert.deepEqual(spread([10, 50, 90], [10, 10, 10], 5, [0, 100]), [10, 50, 90]);
  assert.deepEqual(spread([50, 50], [10, 10], 2, [0, 100]), [44, 56]);
  assert.deepEqual(spread([0, 100], [20, 20], 2, [0, 100]), [10, 90]);
});

test("a label that must stay is never left out", () => {
  const room = { span: [0, 30], lines: 2, gap: 8, least: 50, most: 200, reach: 20, measure };
  const items = [0, 5, 10, 15].map((x) => ({
    x,
    text: "a long prompt of words",
    strong: x === 15,
  }));
  assert.deepEqual(
    captions(items, room).map(({ item }) => item),
    [3],
  );
});

test("a text that fits is broken into lines of about equal length", () => {
  const room = { span: [0, 300], lines: 2, gap: 8, least: 50, most: 110, reach: 20, measure };
  const [{ lines }] = captions([{ x: 150, text: "a red fox in the fresh snow" }], room);
  assert.deepEqual(lines, ["a red fox in", "the fresh snow"]);
});
