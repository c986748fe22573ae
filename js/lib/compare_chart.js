/** Compare Paths: the steps of up to four morphs by position on the path, and their means. */

import { aligned, caption, clamp, grid, largest, plotIn, share, walk } from "./chart_parts.js";
import { line } from "./curve_view.js";
import { element } from "./dom.js";
import { linear, ticks } from "./scale.js";

const CHART_HEIGHT = 160;
const ROW = 18;

/** The middle of a step as a share of the path, so that paths of any length compare. */
export const middle = (step, count) => (step + 0.5) / count;

/** The number of the step at a place on the path, 0 to 1. */
export const stepAt = (place, count) => clamp(Math.floor(place * count), 0, count - 1);

/**
 * The positions of all parts of the chart.
 * @param {{distances: (number | null)[]}[]} paths
 * @returns `plot`, the scales `x` (of the place on the path) and `y`, the axis `values`, and a list
 *   of `points` per path, without steps that are not finite
 */
export function layout(paths, size) {
  const values = ticks(largest(paths.map(({ distances }) => largest(distances))), 3);
  const plot = plotIn(size, values);
  const x = linear([0, 1], [plot.left, plot.right]);
  const y = linear([0, values.at(-1)], [plot.bottom, plot.top]);
  const points = paths.map(({ distances }) =>
    distances
      .map((distance, k) => [
        x(middle(k, distances.length)),
        distance === null ? null : y(distance),
      ])
      .filter(([, height]) => height !== null),
  );
  return { plot, x, y, values, points };
}

const SHAPES = [
  "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z", // circle
  "M-2.7 -2.7h5.4v5.4h-5.4Z", // square
  "M0 -3.6L3.4 2.6H-3.4Z", // triangle
  "M0 -3.9L3.5 0L0 3.9L-3.5 0Z", // diamond
];

/** The marks along a line; only every second, third … if they would touch each other. */
export function marked(points, spacing = 11) {
  if (points.length < 2) return points;
  const apart = (points.at(-1)[0] - points[0][0]) / (points.length - 1);
  const every = Math.max(1, Math.ceil(spacing / apart));
  return points.filter((_, k) => k % every === 0);
}

/**
 * Why the numbers of these paths can't be compared: keys of words, and what they need.
 * @param {{distances: unknown[], metric: string}[]} paths
 * @returns {[string, Record<string, string>][]}
 */
export function warnings(paths) {
  const counts = [...new Set(paths.map(({ distances }) => distances.length + 1))];
  const metrics = new Set(paths.map(({ metric }) => metric));
  const found = [];
  if (counts.length > 1) {
    const listed = counts.toSorted((a, b) => a - b).join(", ");
    found.push(["compareFrames", { counts: listed }]);
  }
  if (metrics.size > 1) found.push(["compareMetrics", {}]);
  return found;
}

/** The number of places to point at: the steps of the longest path. */
export const stops = (paths) => Math.max(...paths.map(({ distances }) => distances.length));

/** The chart inside a panel's root. */
export class CompareChart {
  /** @param {{say: Function}} page */
  constructor(root, { say }) {
    Object.assign(this, { say, paths: null, place: null });
    this.svg = element("svg", {
      class: "geodesic-chart",
      tabindex: 0,
      role: "application",
      "aria-label": say("compareLabel"),
      onpointermove: (event) => this.point(event),
      onpointerdown: (event) => this.point(event),
      onpointerleave: () => this.choose(null),
      onblur: () => this.choose(null),
      onkeydown: (event) => this.press(event),
    });
    this.table = element("div", { class: "geodesic-legend" });
    this.warnings = element("div", { role: "note" });
    this.status = element("div", { class: "geodesic-status" });
    this.spoken = element("div", { class: "geodesic-unseen", "aria-live": "polite" });
    root.append(this.svg, this.table, this.warnings, this.status, this.spoken);
  }

  /** Least height in pixels. */
  get height() {
    const rows = (this.paths?.length ?? 0) + 1 + this.warnings.childElementCount;
    return CHART_HEIGHT + rows * ROW + 34;
  }

  /** Show what the node returned. */
  show([{ paths }]) {
    this.paths = paths;
    this.place = null;
    const head = ["", "comparePath", "stepsMean", "stepsLargest", "compareHere"].map((key) =>
      element("span", { class: "geodesic-head" }, key && this.say(key)),
    );
    this.here = paths.map(() => element("span", { class: "geodesic-number" }));
    const numbers = aligned(paths.flatMap(({ mean, largest: worst }) => [mean, worst]));
    const rows = paths.flatMap(({ label, metric }, k) => [
      this.swatch(k),
      element("span", { class: "geodesic-name", title: metric }, label || "–"),
      element("span", { class: "geodesic-number" }, numbers[2 * k]),
      element("span", { class: "geodesic-number" }, numbers[2 * k + 1]),
      this.here[k],
    ]);
    this.table.replaceChildren(...head, ...rows);
    this.warnings.replaceChildren(
      ...warnings(paths).map(([key, values]) =>
        element(
          "div",
          { class: "geodesic-warning", title: this.say(`${key}Tip`) },
          `⚠ ${this.say(key, values)}`,
        ),
      ),
    );
  }

  swatch(k) {
    return element(
      "svg",
      {
        class: `geodesic-swatch geodesic-series-${k}`,
        viewBox: "0 0 30 12",
        width: 30,
        height: 12,
      },
      element("path", { class: "geodesic-series", d: "M1 6H29" }),
      element("path", { class: "geodesic-marks", d: SHAPES[k], transform: "translate(15 6)" }),
    );
  }

  draw({ width }) {
    if (!this.paths) return;
    const height = this.svg.clientHeight;
    this.layout = layout(this.paths, { width, height });
    const { plot, x, y, values, points } = this.layout;
    this.guide = element("g");
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const ends = [
      [0, "start", "compareFirst"],
      ...(plot.right - plot.left > 240 ? [[0.5, "middle", "comparePlace"]] : []),
      [1, "end", "compareLast"],
    ];
    const metrics = [...new Set(this.paths.map(({ metric }) => metric))].join(" / ");
    this.svg.replaceChildren(
      caption(plot, this.say("stepsAxis", { metric: metrics })),
      ...grid(plot, y, values),
      ...ends.map(([place, anchor, key]) =>
        element("text", { x: x(place), y: plot.bottom + 12, "text-anchor": anchor }, this.say(key)),
      ),
      ...points.map((marks, k) => this.series(marks, k)),
      this.guide,
    );
    this.choose(this.place);
  }

  series(points, k) {
    return element(
      "g",
      { class: `geodesic-series-${k}` },
      element("path", { class: "geodesic-series", d: line(points) }),
      ...marked(points).map(([x, y]) => this.marker(k, x, y)),
    );
  }

  marker(k, x, y, scale = 1) {
    const transform = `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${scale})`;
    return element("path", { class: "geodesic-marks", d: SHAPES[k], transform });
  }

  point(event) {
    if (!this.layout) return;
    const count = stops(this.paths);
    const place = this.layout.x.back(share(event).x * this.svg.clientWidth);
    this.choose(middle(stepAt(place, count), count));
  }

  press(event) {
    const count = stops(this.paths);
    const now = this.place === null ? null : stepAt(this.place, count);
    const next = walk(event, now, count);
    if (next === null) return;
    event.preventDefault();
    this.choose(middle(next, count));
  }

  /** Show the values of all paths at a place; null shows none. */
  choose(place) {
    this.place = place;
    if (place === null) {
      for (const cell of this.here ?? []) cell.textContent = "";
      this.guide?.replaceChildren();
      this.status.textContent = this.say("compareHint");
      this.spoken.textContent = "";
      return;
    }
    const { plot, x, y } = this.layout;
    const steps = this.paths.map(({ distances }) => {
      const step = stepAt(place, distances.length);
      return { step, distance: distances[step], at: middle(step, distances.length) };
    });
    this.guide.replaceChildren(
      element("line", {
        class: "geodesic-guide",
        x1: x(place),
        x2: x(place),
        y1: plot.top,
        y2: plot.bottom,
      }),
      ...steps.map(({ distance, at }, k) =>
        element(
          "g",
          { class: `geodesic-series-${k} geodesic-here` },
          ...(distance === null ? [] : [this.marker(k, x(at), y(distance), 1.5)]),
        ),
      ),
    );
    const values = aligned(steps.map(({ distance }) => distance));
    values.forEach((value, k) => (this.here[k].textContent = value));
    this.status.textContent = this.say("compareAt", { place: place.toFixed(2) });
    const spoken = values.map((value, k) => `${this.paths[k].label} ${value}`);
    this.spoken.textContent = `${this.status.textContent}: ${spoken.join(", ")}`;
  }
}
