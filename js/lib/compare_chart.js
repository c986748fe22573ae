/** Compare Paths: the steps of up to four morphs by position on the path, and their means. */

import { aligned, caption, clamp, grid, largest, plotIn, share, walk } from "./chart_parts.js";
import { element } from "./dom.js";
import { pointed, series, swatch } from "./lines.js";
import { linear, ticks } from "./scale.js";

const CHART_HEIGHT = 160;
const ROW = 18;
/** How many paths there will be, as far as one knows before a run. */
const USUAL = 2;

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

/** The table's further rows: the key of a name, and the texts of all paths. */
const STATISTICS = [
  ["compareCount", (paths) => paths.map(({ distances }) => String(distances.length + 1))],
  ["stepsSum", (paths) => aligned(paths.map(({ total }) => total))],
  ["stepsVariance", (paths) => aligned(paths.map(({ variance }) => variance))],
  ["compareSmoothness", (paths) => aligned(paths.map(({ smoothness }) => smoothness))],
];

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
    this.more = element("div", { class: "geodesic-table" });
    this.warnings = element("div", { role: "note" });
    this.status = element("div", { class: "geodesic-status" });
    this.spoken = element("div", { class: "geodesic-unseen", "aria-live": "polite" });
    root.append(this.svg, this.table, this.more, this.warnings, this.status, this.spoken);
  }

  /** Least height in pixels. */
  get height() {
    const rows = (this.paths?.length ?? USUAL) + 1 + this.warnings.childElementCount;
    return CHART_HEIGHT + (rows + 1 + STATISTICS.length) * ROW + 40;
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
      swatch(k),
      element("span", { class: "geodesic-name", title: metric }, label || "–"),
      element("span", { class: "geodesic-number" }, numbers[2 * k]),
      element("span", { class: "geodesic-number" }, numbers[2 * k + 1]),
      this.here[k],
    ]);
    this.table.replaceChildren(...head, ...rows);
    this.more.style.gridTemplateColumns = `auto repeat(${paths.length}, minmax(0, 1fr))`;
    this.more.replaceChildren(
      element("span"),
      ...paths.map((_, k) => swatch(k)),
      ...STATISTICS.flatMap(([key, of]) => this.statistic(key, of(paths))),
    );
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

  /** A row of the table: a name and the texts of all paths. */
  statistic(key, texts) {
    const name = element("span", { class: "geodesic-head", title: this.say(`${key}Tip`) });
    name.textContent = this.say(key);
    const cells = texts.map((text) => element("span", { class: "geodesic-statistic" }, text));
    return [name, ...cells];
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
      ...points.map((marks, k) => series(marks, k)),
      this.guide,
    );
    this.choose(this.place);
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
    const points = steps.map(({ distance, at }) => distance !== null && [x(at), y(distance)]);
    this.guide.replaceChildren(...pointed(plot, x(place), points));
    const values = aligned(steps.map(({ distance }) => distance));
    values.forEach((value, k) => (this.here[k].textContent = value));
    this.status.textContent = this.say("compareAt", { place: place.toFixed(2) });
    const spoken = values.map((value, k) => `${this.paths[k].label} ${value}`);
    this.spoken.textContent = `${this.status.textContent}: ${spoken.join(", ")}`;
  }
}
