/** Density Analysis: how likely the frames of a clip are, and whether it is a geodesic. */

import {
  aligned,
  asText,
  caption,
  clamp,
  grid,
  largest,
  plotIn,
  share,
  walk,
} from "./chart_parts.js";
import { numbered } from "./curve_view.js";
import { element } from "./dom.js";
import { pointed, series } from "./lines.js";
import { linear, short, ticksAcross } from "./scale.js";

/** The words for the names that the server sends. */
const NAMES = {
  given: "analysisGiven",
  optimised: "analysisOptimised",
  perturbed: "analysisPerturbed",
  smoothed: "analysisSmoothed",
};
const CHART_HEIGHT = 150;
const ROW = 18;

/**
 * The positions of all parts of the chart.
 * @param {(number | null)[]} densities of the frames, relative to the first
 * @returns `plot`, the scales `x` (of the frame's number from 0) and `y`, the axis `values`, and a
 *   point per frame, false where it is not finite
 */
export function layout(densities, size) {
  const finite = densities.filter((value) => value !== null);
  const values = ticksAcross(Math.min(0, ...finite), Math.max(0, ...finite), 3);
  const plot = plotIn(size, values);
  const x = linear([0, densities.length - 1], [plot.left, plot.right]);
  const y = linear([values[0], values.at(-1)], [plot.bottom, plot.top]);
  const points = densities.map((value, k) => value !== null && [x(k), y(value)]);
  return { plot, x, y, values, points };
}

/** Each variant's norm as a share of the largest, for its bar. */
export function shares(variants) {
  const most = largest(variants.map(({ norm }) => norm)) || 1;
  return variants.map(({ norm }) => (norm === null ? 1 : norm / most));
}

/** The chart inside a panel's root. */
export class AnalysisChart {
  /** @param {{say: Function}} page */
  constructor(root, { say }) {
    Object.assign(this, { say, data: null, frame: null });
    const point = (event) => this.point(event);
    this.verdict = element("div", { class: "geodesic-verdict" });
    this.svg = element("svg", {
      class: "geodesic-chart",
      tabindex: 0,
      role: "application",
      "aria-label": say("analysisLabel"),
      onpointermove: point,
      onpointerdown: point,
      onpointerleave: () => this.choose(null),
      onblur: () => this.choose(null),
      onkeydown: (event) => this.press(event),
    });
    this.status = element("div", { class: "geodesic-status", "aria-live": "polite" });
    this.bars = element("div", { class: "geodesic-norms" });
    this.settings = element("div", { class: "geodesic-note" });
    root.append(this.verdict, this.svg, this.status, this.bars, this.settings);
  }

  /** Least height in pixels. */
  get height() {
    const rows = this.data?.variants.length ? 1 + this.data.variants.length : 0;
    return 20 + CHART_HEIGHT + 15 + rows * ROW + 48 + 24;
  }

  /** Show what the node returned. */
  show([data]) {
    const { say } = this;
    this.data = data;
    this.frame = null;
    const verdicts = { true: "analysisNear", false: "analysisFar", null: "analysisUnknown" };
    this.verdict.textContent = say(verdicts[String(data.near)]);
    this.verdict.classList.toggle("geodesic-near-one", data.near === true);
    this.showBars(data.variants);
    this.settings.textContent = say("analysisSettings", {
      // The only number that is not finite: the length of a clip of equal frames.
      length: data.log_length === null ? "−∞" : short(data.log_length),
      level: short(data.noise_level),
      strength: short(data.strength),
      score: data.score,
      draws: data.draws,
    });
  }

  showBars(variants) {
    const { say } = this;
    const head = ["", "analysisNorm", "", "analysisLength"].map((key) =>
      element("span", { class: "geodesic-head", title: key && say(`${key}Tip`) }, key && say(key)),
    );
    const norms = aligned(variants.map(({ norm }) => norm));
    const lengths = aligned(variants.map(({ length }) => length));
    const rows = shares(variants).flatMap((part, k) => [
      element("span", {}, say(NAMES[variants[k].name])),
      element(
        "i",
        { class: k === 0 ? "geodesic-given" : undefined },
        element("b", { style: `width: ${(100 * part).toFixed(1)}%` }),
      ),
      element("span", { class: "geodesic-number" }, norms[k]),
      element("span", { class: "geodesic-number" }, lengths[k]),
    ]);
    this.bars.replaceChildren(...(variants.length > 0 ? [...head, ...rows] : []));
  }

  draw({ width }) {
    if (!this.data) return;
    const height = this.svg.clientHeight;
    this.layout = layout(this.data.log_density, { width, height });
    const { plot, x, y, values, points } = this.layout;
    this.guide = element("g");
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren(
      caption(plot, this.say("analysisDensity")),
      ...grid(plot, y, values),
      ...numbered(points.length, plot.right - plot.left).map((frame) =>
        element(
          "text",
          { x: x(frame - 1), y: plot.bottom + 12, "text-anchor": "middle" },
          String(frame),
        ),
      ),
      series(points.filter(Boolean), 0),
      this.guide,
    );
    this.choose(this.frame);
  }

  point(event) {
    if (!this.layout) return;
    const at = this.layout.x.back(share(event).x * this.svg.clientWidth);
    this.choose(clamp(Math.round(at), 0, this.data.log_density.length - 1));
  }

  press(event) {
    const next = walk(event, this.frame, this.data.log_density.length);
    if (next === null) return;
    event.preventDefault();
    this.choose(next);
  }

  /** Show the density of a frame; null shows none. */
  choose(frame) {
    this.frame = frame;
    if (!this.layout) return;
    if (frame === null) {
      this.guide.replaceChildren();
      this.status.textContent = this.say("analysisHint");
      return;
    }
    const { plot, x, points } = this.layout;
    this.guide.replaceChildren(...pointed(plot, x(frame), [points[frame]]));
    this.status.textContent = this.say("analysisFrame", {
      number: frame + 1,
      density: asText(this.data.log_density[frame]),
    });
  }
}
