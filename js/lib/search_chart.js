/** Density Path: how likely the images along the path are, and how far its search came. */

import { aligned, caption, clamp, grid, plotIn, share, walk } from "./chart_parts.js";
import { line } from "./curve_view.js";
import { element } from "./dom.js";
import { pointed, series, swatch } from "./lines.js";
import { decades, linear, ticksAcross } from "./scale.js";

const DENSITY_HEIGHT = 150;
const SEARCH_HEIGHT = 118;
const ROW = 18;

/**
 * The positions of the upper chart's parts: the density along both paths.
 * @param {{path: (number | null)[], arc: (number | null)[]}} data of as many places each
 */
export function layout({ path, arc }, size) {
  const finite = [...path, ...arc].filter((value) => value !== null);
  const values = ticksAcross(Math.min(0, ...finite), Math.max(0, ...finite), 3);
  const plot = plotIn(size, values);
  const x = linear([0, path.length - 1], [plot.left, plot.right]);
  const y = linear([values[0], values.at(-1)], [plot.bottom, plot.top]);
  const place = (value, k) => value !== null && [x(k), y(value)];
  const points = [path, arc].map((all) => all.map(place));
  return { plot, x, y, values, points };
}

/**
 * The positions of the lower chart's parts: a line per level, one after another, on a log scale.
 * @param {{iterations: number, norms: (number | null)[]}[]} levels `norms` of evenly spaced
 *   iterations, with the first and the last
 * @returns `lines` of points, and `spans`: where each level begins and ends
 */
export function progress(levels, size) {
  const norms = levels.flatMap((level) => level.norms).filter((norm) => norm > 0);
  const values = norms.length > 0 ? decades(Math.min(...norms), Math.max(...norms), 3) : [0.1, 1];
  const plot = plotIn(size, values);
  const total = levels.reduce((sum, { iterations }) => sum + iterations, 0);
  const x = linear([0, total], [plot.left, plot.right]);
  const log = linear([Math.log10(values[0]), Math.log10(values.at(-1))], [plot.bottom, plot.top]);
  const y = (value) => log(Math.log10(value));
  let done = 0;
  const spans = levels.map(({ iterations }) => [x(done), x((done += iterations))]);
  const lines = levels.map(({ norms: all, iterations }, k) => {
    const apart = (iterations - 1) / Math.max(all.length - 1, 1);
    const start = spans[k][0];
    return all
      .map((norm, number) => [start + x(number * apart) - x(0), norm > 0 ? y(norm) : null])
      .filter(([, height]) => height !== null);
  });
  return { plot, y, values, lines, spans };
}

/** The chart inside a panel's root. */
export class SearchChart {
  /** @param {{say: Function}} page */
  constructor(root, { say }) {
    Object.assign(this, { say, data: null, place: null });
    const point = (event) => this.point(event);
    this.svg = element("svg", {
      class: "geodesic-chart",
      tabindex: 0,
      role: "application",
      "aria-label": say("searchLabel"),
      onpointermove: point,
      onpointerdown: point,
      onpointerleave: () => this.choose(null),
      onblur: () => this.choose(null),
      onkeydown: (event) => this.press(event),
    });
    this.legend = element("div", { class: "geodesic-legend" });
    this.search = element("svg", { class: "geodesic-search", role: "img" });
    this.search.style.height = `${SEARCH_HEIGHT}px`; // before the upper chart takes the rest
    this.status = element("div", { class: "geodesic-status", "aria-live": "polite" });
    root.append(this.svg, this.legend, this.status, this.search);
  }

  /** Least height in pixels. */
  get height() {
    return DENSITY_HEIGHT + 3 * ROW + 15 + SEARCH_HEIGHT + 18;
  }

  /** Show what the node returned. */
  show([data]) {
    const { say } = this;
    this.data = data;
    this.place = null;
    const lowest = [data.path, data.arc].map((all) => Math.min(...all.map((v) => v ?? Infinity)));
    const finite = lowest.map((value) => (Number.isFinite(value) ? value : null));
    const head = ["", "comparePath", "", "searchLowest", "compareHere"].map((key) =>
      element("span", { class: "geodesic-head" }, key && say(key)),
    );
    this.here = [0, 1].map(() => element("span", { class: "geodesic-number" }));
    const rows = aligned(finite).flatMap((value, k) => [
      swatch(k),
      element("span", { class: "geodesic-name" }, say(k ? "searchArc" : "searchPath")),
      element("span"),
      element("span", { class: "geodesic-number" }, value),
      this.here[k],
    ]);
    this.legend.replaceChildren(...head, ...rows);
  }

  draw({ width }) {
    if (!this.data) return;
    this.drawDensity(width);
    this.drawSearch(width);
    this.choose(this.place);
  }

  drawDensity(width) {
    const { say, data } = this;
    const height = this.svg.clientHeight;
    this.layout = layout(data, { width, height });
    const { plot, y, values, points } = this.layout;
    this.guide = element("g");
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const end = (x, anchor, key) =>
      element("text", { x, y: plot.bottom + 12, "text-anchor": anchor }, say(key));
    this.svg.replaceChildren(
      caption(plot, say("searchDensity", { score: data.score })),
      ...grid(plot, y, values),
      end(plot.left, "start", "searchFirst"),
      end(plot.right, "end", "searchLast"),
      // This path last, above the arc.
      ...[1, 0].map((k) => series(points[k].filter(Boolean), k)),
      this.guide,
    );
  }

  drawSearch(width) {
    const { say, data } = this;
    const { plot, y, values, lines, spans } = progress(data.levels, {
      width,
      height: SEARCH_HEIGHT,
    });
    this.search.setAttribute("viewBox", `0 0 ${width} ${SEARCH_HEIGHT}`);
    const count = data.levels.reduce((sum, { iterations }) => sum + iterations, 0);
    const title = say("searchProgress", { count });
    this.search.setAttribute("aria-label", title);
    this.search.replaceChildren(
      caption(plot, title),
      ...grid(plot, y, values),
      ...lines.map((points, k) =>
        element(
          "g",
          { class: `geodesic-series-${k % 4}` },
          element("path", { class: "geodesic-level", d: line(points) }),
        ),
      ),
      ...spans.map(([from, to], level) =>
        element(
          "text",
          { x: (from + to) / 2, y: plot.bottom + 12, "text-anchor": "middle" },
          this.levelName(level, to - from),
        ),
      ),
    );
  }

  /** How many points a level moves: in words, or where room is short only the number. */
  levelName(level, room) {
    const count = 2 ** (level + 1) - 1;
    const whole = this.say(count === 1 ? "searchPoint" : "searchPoints", { count });
    return room > 6 * whole.length ? whole : room > 14 ? String(count) : "";
  }

  point(event) {
    if (!this.layout) return;
    const at = this.layout.x.back(share(event).x * this.svg.clientWidth);
    this.choose(clamp(Math.round(at), 0, this.data.path.length - 1));
  }

  press(event) {
    const next = walk(event, this.place, this.data.path.length);
    if (next === null) return;
    event.preventDefault();
    this.choose(next);
  }

  /** Show both densities at a place; null shows none. */
  choose(place) {
    this.place = place;
    if (!this.layout) return;
    if (place === null) {
      for (const cell of this.here) cell.textContent = "";
      this.guide.replaceChildren();
      this.status.textContent = this.say("searchHint");
      return;
    }
    const { plot, x, points } = this.layout;
    this.guide.replaceChildren(
      ...pointed(
        plot,
        x(place),
        points.map((all) => all[place]),
      ),
    );
    const values = aligned([this.data.path[place], this.data.arc[place]]);
    values.forEach((value, k) => (this.here[k].textContent = value));
    const shareOfPath = (place / (this.data.path.length - 1)).toFixed(2);
    this.status.textContent = this.say("compareAt", { place: shareOfPath });
  }
}
