// Prompts as text are read as Python reads them (tests/golden).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { describePrompts, describeText } from "../../js/lib/film_strip.js";
import { nextFirstFrame } from "../../js/lib/long_film.js";
import { parse, PromptTextError, timeline } from "../../js/lib/prompt_text.js";

const golden = JSON.parse(
  readFileSync(new URL("../golden/prompt_text.json", import.meta.url), "utf-8"),
);

for (const { text, frames, fps, ending, stops, forward, line } of golden)
  test(`${ending}: ${JSON.stringify(text)}`, () => {
    const film = () => timeline(parse(text), { frames, fps, ending });
    if (line !== undefined) {
      assert.throws(film, (error) => error instanceof PromptTextError && error.line === line);
      return;
    }
    const found = film();
    assert.equal(found.forward, forward);
    assert.deepEqual(
      found.stops.map((s) => [s.text, s.first, s.last, s.frames, s.easing, s.method]),
      stops,
    );
  });

test("a long film goes on after each run, and only then", () => {
  assert.equal(nextFirstFrame(100, 50, "go on"), 150);
  assert.equal(nextFirstFrame(100, 50, "stay"), 100);
  assert.equal(nextFirstFrame(100, 0, "go on"), 100);
});

const say = (key, values = {}) => `${key} ${Object.values(values).join(" ")}`.trim();
const FILM = { frames: 11, fps: 24, ending: "stop", method: "optimal transport" };

test("a film's strip: stations where prompts begin, ways between them, holds", () => {
  const { stations, legs } = describeText("2: a\n4: b | random\n+2 hold\n8: c", FILM, say);
  assert.deepEqual(
    stations.map(({ share, label }) => [share, label]),
    [
      [0, "a"],
      [0.4, "b"],
      [0.8, "c"],
    ],
  );
  assert.deepEqual(
    legs.map(({ from, to, style }) => [from, to, style]),
    [
      [0, 0.2, "hold"],
      [0.4, 0.6, "hold"],
      [0.2, 0.4, "dotted"],
      [0.8, 1, "hold"],
      [0.6, 0.8, "solid"],
    ],
  );
});

test("a loop's strip leads on to its first prompt", () => {
  const { legs } = describeText("0: a\n5: b", { ...FILM, frames: 10, ending: "loop" }, say);
  assert.deepEqual(
    legs.map(({ from, to }) => [from, to]),
    [
      [0, 0.5],
      [0.5, 1],
    ],
  );
});

test("what cannot be drawn is said", () => {
  assert.equal(describeText(undefined, FILM, say).message, "filmUnknown");
  assert.equal(
    describeText("0: a\n3: b", { ...FILM, fps: Number.NaN }, say).message,
    "filmUnknown",
  );
  assert.match(describeText("0: a\nfoo", FILM, say).message, /^filmUnread 2 /);
  assert.equal(describePrompts("", ["a"], FILM, say).message, "filmConnect");
  assert.match(describePrompts("0, 3", ["a", "b", "c"], FILM, say).message, /^filmUnread 1 3 ≠ 2/);
});

test("connected prompts show their words, or their numbers where these are unknown", () => {
  const { stations } = describePrompts("", ["a fox", null, "fog"], FILM, say);
  assert.deepEqual(
    stations.map(({ share, label }) => [share, label]),
    [
      [0, "a fox"],
      [0.5, "stripPrompt 2"],
      [1, "fog"],
    ],
  );
});
