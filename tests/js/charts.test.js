// The charts: every number is in its place, none is lost and none is outside.
import assert from "node:assert/strict";
import { test } from "node:test";

import { aligned, asText, cut, plotIn, share, walk } from "../../js/lib/chart_parts.js";
import * as analysis from "../../js/lib/analysis_chart.js";
import * as compare from "../../js/lib/compare_chart.js";
import * as coupling from "../../js/lib/coupling_chart.js";
import { marked } from "../../js/lib/lines.js";
import { nodeAt } from "../../js/lib/locator.js";
import { decades, ticksAcross } from "../../js/lib/scale.js";
import * as search from "../../js/lib/search_chart.js";
import * as steps from "../../js/lib/steps_chart.js";

const SIZE = { width: 360, height: 120 };
const wave = (count) => Array.from({ length: count }, (_, k) => 0.05 + 0.04 * Math.sin(k));

/** The corners of the bars: left, top and right of each. */
function corners(path) {
  return [...path.matchAll(/M([\d.]+) [\d.]+V([\d.]+)H([\d.]+)/g)].map((found) =>
    found.slice(1).map(Number),
  );
}

for (const count of [1, 2, 15, 300, 4095])
  test(`${count} steps: bars stand in the plot from left to right, higher ones higher`, () => {
    const distances = wave(count);
    const { plot, x, y, bars } = steps.layout(distances, SIZE);
    const found = corners(bars);
    const together = Math.max(1, Math.ceil(count / (plot.right - plot.left)));
    assert.equal(found.length, Math.ceil(count / together));
    found.forEach(([left, top, right], k) => {
      assert.ok(left >= plot.left && right <= plot.right + 0.01 && right > left);
      const shown = Math.max(...distances.slice(k * together, (k + 1) * together));
      assert.ok(Math.abs(top - y(shown)) < 0.01);
    });
    for (const step of [0, Math.floor(count / 2), count - 1])
      assert.equal(steps.stepAt(x(step + 0.5), x, count), step);
    assert.equal(steps.stepAt(-1000, x, count), 0);
    assert.equal(steps.stepAt(9999, x, count), count - 1);
  });

test("the step with the highest bar is chosen first", () => {
  assert.equal(steps.largestStep([0.1, null, 0.4, 0.4, 0]), 2);
  assert.equal(steps.largestStep([0, 0]), 0);
});

test("work is told in whole per cent", () => {
  assert.deepEqual([0.4567, 1, 1.204].map(steps.percent), ["46 %", "100 %", "120 %"]);
});

test("steps that are all 0 or not finite have an axis too", () => {
  for (const distances of [
    [0, 0],
    [null, null],
    [null, 0.1],
  ])
    assert.doesNotMatch(steps.layout(distances, SIZE).bars, /NaN|Infinity/);
});

test("every frame has its own cell on the sheet", () => {
  for (const [frames, columns] of [
    [1, 1],
    [3, 3],
    [7, 3],
    [64, 8],
    [4096, 64],
  ]) {
    const sheet = { frames, columns };
    const found = Array.from({ length: frames }, (_, k) => steps.cell(sheet, k));
    assert.equal(new Set(found.map((one) => one.backgroundPosition)).size, frames);
    assert.equal(found[0].backgroundPosition, "0% 0%");
    assert.ok(found.every((one) => !/NaN/.test(one.backgroundPosition)));
    const isFull = frames > 1 && frames === columns ** 2;
    if (isFull) assert.equal(found.at(-1).backgroundPosition, "100% 100%");
  }
});

test("the film shows the first and the last frame, in order, none twice", () => {
  for (const frames of [2, 5, 16, 500]) {
    const found = steps.film({ frames, width: 96, height: 64 }, 300, 26);
    assert.equal(found[0], 0);
    assert.equal(found.at(-1), frames - 1);
    assert.ok(found.every((frame, k) => k === 0 || frame > found[k - 1]));
  }
  assert.deepEqual(steps.film({ frames: 9, width: 96, height: 96 }, 20, 26), [0]);
});

test("arrow keys move inside the row, Home and End to its ends", () => {
  const press = (key, place, shiftKey = false) => walk({ key, shiftKey }, place, 30);
  assert.equal(press("ArrowRight", 3), 4);
  assert.equal(press("ArrowLeft", 3, true), 0);
  assert.equal(press("ArrowRight", 25, true), 29);
  assert.equal(press("ArrowRight", null), 0);
  assert.equal(press("ArrowLeft", null), 29);
  assert.equal(press("Home", 9), 0);
  assert.equal(press("End", 9), 29);
  assert.equal(press("Delete", 9), null);
  assert.equal(press("ArrowUp", 9), null);
});

test("pointer positions are shares, so that zoom does not matter", () => {
  for (const zoom of [0.3, 1, 2.5]) {
    const box = { left: 40, top: 20, width: 200 * zoom, height: 100 * zoom };
    const event = { clientX: 40 + 50 * zoom, clientY: 20 + 75 * zoom };
    const currentTarget = { getBoundingClientRect: () => box };
    const { x, y } = share({ ...event, currentTarget });
    assert.ok(Math.abs(x - 0.25) < 1e-9 && Math.abs(y - 0.75) < 1e-9);
  }
});

test("numbers in a column have the same number of decimals", () => {
  assert.deepEqual(aligned([0.5, 0.01234, 0]), ["0.5000", "0.0123", "0.0000"]);
  assert.deepEqual(aligned([12.3456, null]), ["12.35", "∞"]);
  assert.deepEqual(aligned([0, 0]), ["0.000", "0.000"]);
  assert.deepEqual(aligned([1.2e-7, 3e-9]), ["1.20e-7", "3.00e-9"]);
  assert.equal(asText(null), "∞");
});

test("the axis leaves room for its longest number", () => {
  const wide = plotIn(SIZE, [0, 0.0005, 0.001]);
  assert.ok(wide.left > plotIn(SIZE, [0, 1]).left);
  assert.ok(wide.left < wide.right && wide.top < wide.bottom);
});

test("a cut text fits, ends in an ellipsis and has only whole characters", () => {
  assert.equal(cut("lighthouse", 10), "lighthouse");
  assert.equal(cut("lighthouse", 6), "light…");
  assert.equal([...cut("🌊🌊🌊🌊", 3)].length, 3);
});

test("paths of any length share one axis", () => {
  const paths = [{ distances: wave(3) }, { distances: wave(120) }, { distances: [0.1, null, 0.2] }];
  const { plot, points } = compare.layout(paths, SIZE);
  assert.deepEqual(
    points.map((one) => one.length),
    [3, 120, 2],
  );
  for (const [x, y] of points.flat()) {
    assert.ok(x > plot.left && x < plot.right);
    assert.ok(y >= plot.top && y <= plot.bottom);
  }
  assert.equal(compare.stops(paths), 120);
});

test("paths of other lengths or metrics are told of, each reason once", () => {
  const path = (frames, metric) => ({ distances: wave(frames - 1), metric });
  const found = (...paths) => compare.warnings(paths);
  assert.deepEqual(found(path(9, "a")), []);
  assert.deepEqual(found(path(9, "a"), path(9, "a")), []);
  assert.deepEqual(found(path(16, "a"), path(9, "a"), path(16, "a")), [
    ["compareFrames", { counts: "9, 16" }],
  ]);
  assert.deepEqual(found(path(9, "a"), path(9, "b")), [["compareMetrics", {}]]);
  assert.deepEqual(
    found(path(2, "a"), path(3, "b")).map(([key]) => key),
    ["compareFrames", "compareMetrics"],
  );
});

test("a place of the path lies in the step whose middle is nearest", () => {
  for (const count of [1, 4, 15])
    for (let step = 0; step < count; step++)
      assert.equal(compare.stepAt(compare.middle(step, count), count), step);
  assert.equal(compare.stepAt(0, 4), 0);
  assert.equal(compare.stepAt(1, 4), 3);
});

test("marks never touch, and a short line keeps all of them", () => {
  const line = (count) => Array.from({ length: count }, (_, k) => [(300 * k) / count, 5]);
  assert.equal(marked(line(10)).length, 10);
  const many = marked(line(1000));
  assert.ok(many.every(([x], k) => k === 0 || x - many[k - 1][0] >= 11 - 1e-9));
  assert.equal(marked(line(1)).length, 1);
});

const LABELS = ["⟨start⟩", "red", "circle", "⟨end⟩", null, null, "⟨start⟩", "⟨end⟩", null];

test("consecutive padding rows are one entry, and every row is in an entry", () => {
  const found = coupling.entries({ rows: 9, labels: LABELS });
  assert.deepEqual(
    found.map(({ from, to, padding }) => [from, to, padding]),
    [
      [0, 0, false],
      [1, 1, false],
      [2, 2, false],
      [3, 3, false],
      [4, 5, true],
      [6, 6, false],
      [7, 7, false],
      [8, 8, true],
    ],
  );
  const plain = coupling.entries({ rows: 4, labels: null });
  assert.deepEqual(
    plain.map(({ text }) => text),
    ["0", "1", "2", "3"],
  );
});

test("every pair is in one line, with its distance", () => {
  const column = coupling.entries({ rows: 9, labels: LABELS });
  const other = coupling.entries({ rows: 3, labels: null });
  const pairs = LABELS.map((_, row) => [row, row % 3, row / 2, 1 + (row % 2)]);
  const found = coupling.joins(pairs, column, other);
  const count = (list) => list.reduce((sum, { times }) => sum + times, 0);
  assert.equal(
    count(found),
    pairs.reduce((sum, pair) => sum + pair[3], 0),
  );
  for (const { near, mean, far } of found) assert.ok(near <= mean && mean <= far);
  column.forEach((_, place) => assert.ok(coupling.joinsOf(found, 0, place).length > 0));
  const padding = coupling.joinsOf(found, 0, 4);
  assert.deepEqual(
    padding.map(({ near }) => near),
    [2, 2.5],
  );
});

test("a point belongs to the entry at its height in the nearer column", () => {
  const { y, edges, height } = coupling.layout([["a", "bb"], ["ccc"]], 340);
  assert.ok(edges[0] < edges[1] && height > y(1));
  assert.deepEqual(coupling.entryAt(20, y(1), 340, [2, 1]), { side: 0, place: 1 });
  assert.deepEqual(coupling.entryAt(300, y(0), 340, [2, 1]), { side: 1, place: 0 });
  assert.equal(coupling.entryAt(300, y(1), 340, [2, 1]), null);
  assert.equal(coupling.entryAt(300, -5, 340, [2, 1]), null);
});

test("long names leave room for the lines", () => {
  const { edges, letters } = coupling.layout([["x".repeat(99)], ["y".repeat(99)]], 300);
  assert.ok(edges[1] - edges[0] > 60);
  assert.ok(letters.every((count) => count > 5 && count < 99));
});

test("an axis across 0 holds all values between round numbers", () => {
  for (const [least, most] of [
    [-7.3, 0],
    [0, 0.0123],
    [-1234, 45],
    [-0.5, -0.4],
  ]) {
    const found = ticksAcross(least, most, 3);
    assert.ok(found[0] <= least && found.at(-1) >= most);
    assert.ok(found.length >= 2 && found.length <= 7);
    assert.ok(found.every((value, k) => k === 0 || value > found[k - 1]));
  }
  assert.deepEqual(ticksAcross(-3, 0, 3), [-3, -2, -1, 0]);
  assert.deepEqual(ticksAcross(0, 0), [0, 1]);
});

test("a log axis has whole powers of ten around all values, and few", () => {
  assert.deepEqual(decades(0.02, 7), [0.01, 0.1, 1, 10]);
  assert.deepEqual(decades(1, 1), [1, 10]);
  for (const [least, most] of [
    [1e-12, 3e4],
    [2e-3, 2.1e-3],
  ]) {
    const found = decades(least, most, 3);
    assert.ok(found[0] <= least && found.at(-1) >= most);
    assert.ok(found.length >= 2 && found.length <= 5);
  }
});

test("both densities stand on one axis, and what is not finite has no point", () => {
  const data = { path: [0, -3, null, -0.5], arc: [0, -9, -8, -0.5] };
  const { plot, y, values, points } = search.layout(data, SIZE);
  assert.ok(values[0] <= -9 && values.at(-1) >= 0);
  assert.equal(points[0][2], false);
  for (const [px, py] of points.flat().filter(Boolean)) {
    assert.ok(px >= plot.left && px <= plot.right && py >= plot.top && py <= plot.bottom);
  }
  assert.ok(y(0) < y(-9)); // likelier is higher
  const equal = search.layout({ path: [0, 0], arc: [0, 0] }, SIZE);
  assert.ok(equal.points.flat(2).every(Number.isFinite));
});

test("the levels of a search follow one another, as wide as their iterations", () => {
  const levels = [
    { iterations: 100, norms: [10, 1, 0.5] },
    { iterations: 300, norms: [2, null, 0.05] },
    { iterations: 0, norms: [] },
  ];
  const { plot, lines, spans } = search.progress(levels, SIZE);
  assert.equal(spans[0][0], plot.left);
  assert.equal(spans[0][1], spans[1][0]);
  assert.ok(Math.abs(spans[1][1] - plot.right) < 1e-9);
  assert.ok(Math.abs((spans[1][1] - spans[1][0]) / (spans[0][1] - spans[0][0]) - 3) < 1e-9);
  assert.deepEqual(
    lines.map((points) => points.length),
    [3, 2, 0],
  );
  lines.forEach((points, k) =>
    points.forEach(([x, y]) => {
      assert.ok(x >= spans[k][0] - 1e-9 && x <= spans[k][1] + 1e-9);
      assert.ok(y >= plot.top - 1e-9 && y <= plot.bottom + 1e-9);
    }),
  );
  assert.ok(Math.abs(lines[1][0][0] - spans[1][0]) < 1e-9 && lines[1][1][0] > spans[1][1] - 2);
});

test("a search without iterations, or at 0 from the start, has an axis too", () => {
  for (const levels of [[], [{ iterations: 0, norms: [] }], [{ iterations: 2, norms: [0, 0] }]]) {
    const { y, values, lines } = search.progress(levels, SIZE);
    assert.ok(values.every((value) => Number.isFinite(y(value))));
    assert.equal(lines.flat().length, 0);
  }
});

test("every frame of a clip has its place, and bars are shares of the largest norm", () => {
  const { plot, points } = analysis.layout([0, -1, null, 2], SIZE);
  assert.deepEqual([points[0][0], points[3][0], points[2]], [plot.left, plot.right, false]);
  assert.ok(points[3][1] < points[0][1] && points[0][1] < points[1][1]);
  const norms = (...values) => values.map((norm) => ({ norm }));
  assert.deepEqual(analysis.shares(norms(2, 1, 4)), [0.5, 0.25, 1]);
  assert.deepEqual(analysis.shares(norms(0, 0)), [0, 0]);
  assert.deepEqual(analysis.shares(norms(null, 1)), [1, 1]);
});

test("nodes are found by their outputs' ids, in subgraphs by both forms of an id", () => {
  const graph = (nodes) => ({ getNodeById: (id) => nodes[id] });
  const deep = graph({ 3: "deep" });
  const inner = graph({ 7: "inner", 2: { subgraph: deep } });
  const root = graph({ 7: "outer", 5: { subgraph: inner } });
  root.subgraphs = new Map([["uuid", inner]]);
  assert.equal(nodeAt(root, "7"), "outer");
  assert.equal(nodeAt(root, "uuid:7"), "inner");
  assert.equal(nodeAt(root, "5:7"), "inner");
  assert.equal(nodeAt(root, "5:2:3"), "deep");
  for (const missing of ["8", "6:7", "uuid:8", "7:1", "other:7"])
    assert.equal(nodeAt(root, missing), null);
});
