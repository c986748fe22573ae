/**
 * Perceptual Path Length and Morph Sampler: a bar for every step, and the two frames of the chosen
 * step.
 */

import { caption, clamp, grid, largest, plotIn, share, stat, asText, walk } from "./chart_parts.js";
import { numbered } from "./curve_view.js";
import { element } from "./dom.js";
import { linear, ticks } from "./scale.js";

const CHART_HEIGHT = 124;
const FILM_HEIGHT = 26;
const STATS_HEIGHT = 32;
const GAP = 6;
/** In pixels: the longer side of a shown frame, and the width of the text beside two of them. */
const FRAME = 88;
const WORDS = 120;

/**
 * The positions of all parts of the chart.
 * @param {(number | null)[]} distances of consecutive frames
 * @param {{width: number, height: number}} size
 * @returns `plot`, the scales `x` (of the edges between steps) and `y`, the axis `values`, `bars`
 */
export function layout(distances, size) {
  const values = ticks(largest(distances), 3);
  const plot = plotIn(size, values);
  const x = linear([0, distances.length], [plot.left, plot.right]);
  const y = linear([0, values.at(-1)], [plot.bottom, plot.top]);
  return { plot, x, y, values, bars: barsPath(distances, x, y) };
}

/**
 * All bars as one SVG path: fast enough for 4095 bars. If several bars share a pixel, the
 * largest is drawn, so that every jump is visible.
 */
export function barsPath(distances, x, y) {
  const slot = x(1) - x(0);
  const together = Math.max(1, Math.ceil(1 / slot));
  const air = slot > 5 ? Math.min(slot * 0.2, 4) / 2 : 0;
  const paths = [];
  for (let k = 0; k < distances.length; k += together) {
    const end = Math.min(k + together, distances.length);
    const top = y(largest(distances.slice(k, end)));
    const [left, right] = [x(k) + air, x(end) - air];
    paths.push(`M${left.toFixed(2)} ${y(0)}V${top.toFixed(2)}H${right.toFixed(2)}V${y(0)}Z`);
  }
  return paths.join("");
}

/** The step at a place of the x axis; outside of the axis the nearest step. */
export function stepAt(place, x, count) {
  return clamp(Math.floor(x.back(place)), 0, count - 1);
}

/** A share as a whole number of per cent. */
export const percent = (part) => `${Math.round(100 * part)} %`;

/** The number of the largest step, which is shown first. */
export function largestStep(distances) {
  return Math.max(0, distances.indexOf(largest(distances)));
}

/**
 * The CSS that shows one frame of a sheet; in percent, so that it works at any size.
 * @param {{columns: number, frames: number}} sheet
 * @param {number} frame from 0
 */
export function cell({ columns, frames }, frame) {
  const rows = Math.ceil(frames / columns);
  const at = (place, count) => `${count > 1 ? (100 * place) / (count - 1) : 0}%`;
  const [column, row] = [frame % columns, Math.floor(frame / columns)];
  return {
    backgroundSize: `${100 * columns}% ${100 * rows}%`,
    backgroundPosition: `${at(column, columns)} ${at(row, rows)}`,
  };
}

/** The frames for a strip: as many as fit, evenly spaced, including the first and the last. */
export function film(sheet, width, height) {
  const room = Math.max(1, Math.floor(width / ((height * sheet.width) / sheet.height)));
  const count = Math.min(room, sheet.frames);
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, k) =>
    Math.round((k * (sheet.frames - 1)) / (count - 1)),
  );
}

/** The chart inside a panel's root. */
export class StepsChart {
  /** @param {{say: Function, url: (file: object) => string}} page */
  constructor(root, { say, url }) {
    Object.assign(this, { say, url, step: 0, data: null });
    this.stats = element("div", { class: "geodesic-stats" });
    this.svg = element("svg", { class: "geodesic-chart" });
    this.film = element("div", { class: "geodesic-film" });
    this.frames = [0, 1].map(() => {
      const picture = element("div", { class: "geodesic-frame" });
      return { picture, name: element("figcaption") };
    });
    this.words = element("div", { class: "geodesic-words", "aria-live": "polite" });
    const figures = this.frames.map(({ picture, name }) => element("figure", {}, picture, name));
    this.pair = element("div", { class: "geodesic-pair" }, ...figures, this.words);
    const point = (event) => this.point(event);
    this.field = element(
      "div",
      {
        class: "geodesic-field",
        tabindex: 0,
        role: "application",
        "aria-label": say("stepsLabel"),
        onpointermove: point,
        onpointerdown: point,
        onkeydown: (event) => this.press(event),
      },
      this.svg,
      this.film,
    );
    root.append(this.stats, this.field, this.pair);
  }

  /** Least height in pixels; before there is data, that for square frames. */
  get height() {
    const pair = this.sheet ? this.shown().height : FRAME;
    return STATS_HEIGHT + CHART_HEIGHT + FILM_HEIGHT + pair + 16 + 2 * GAP;
  }

  /** Show what the node returned. */
  show([data]) {
    this.data = data;
    this.step = largestStep(data.distances);
    this.sheet = data.sheet;
    this.pair.classList.remove("geodesic-lost");
    // The file is in the temp folder, which is emptied when the server restarts.
    const lost = () => this.data === data && this.pair.classList.add("geodesic-lost");
    element("img", { src: this.url(data.sheet), onerror: lost });
    const hint = (key) => [this.say(key), this.say(`${key}Tip`)];
    this.stats.replaceChildren(
      stat(asText(data.mean), ...hint("stepsMean"), "geodesic-stat-mean"),
      stat(asText(data.total), ...hint("stepsSum")),
      stat(asText(data.variance), ...hint("stepsVariance")),
      stat(asText(data.largest), ...hint("stepsLargest")),
      ...(data.work === undefined ? [] : [stat(percent(data.work), ...hint("stepsWork"))]),
    );
  }

  /** The size of a shown frame: about that of its thumbnail, or smaller in a narrow node. */
  shown() {
    const { width, height } = this.sheet;
    const room = Math.max((this.pair.clientWidth || Infinity) - WORDS, 64) / 2;
    const zoom = Math.min(FRAME / Math.max(width, height), room / width);
    return { width: width * zoom, height: height * zoom };
  }

  draw({ width }) {
    if (!this.data) return;
    const height = this.field.clientHeight - FILM_HEIGHT;
    const { distances, mean } = this.data;
    this.layout = layout(distances, { width, height });
    const { plot, x, y, values, bars } = this.layout;
    this.mark = element("g");
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.style.height = `${height}px`;
    this.svg.replaceChildren(
      caption(plot, this.say("stepsAxis", { metric: this.data.metric })),
      ...grid(plot, y, values),
      ...numbered(distances.length, plot.right - plot.left).map((step) =>
        element(
          "text",
          { x: x(step - 0.5), y: plot.bottom + 12, "text-anchor": "middle" },
          String(step),
        ),
      ),
      element("path", { class: "geodesic-bars", d: bars }),
      this.mark,
      element("line", {
        class: "geodesic-mean",
        x1: plot.left,
        x2: plot.right,
        y1: y(mean),
        y2: y(mean),
      }),
    );
    this.drawFilm(plot);
    this.choose(this.step);
  }

  drawFilm(plot) {
    Object.assign(this.film.style, {
      height: `${FILM_HEIGHT}px`,
      marginLeft: `${plot.left}px`,
      width: `${plot.right - plot.left}px`,
    });
    const frames = film(this.sheet, plot.right - plot.left, FILM_HEIGHT);
    this.film.replaceChildren(
      ...frames.map((frame) => {
        const picture = element("div");
        this.paint(picture, frame);
        return picture;
      }),
    );
  }

  paint(picture, frame) {
    Object.assign(picture.style, cell(this.sheet, frame));
    picture.style.backgroundImage = `url("${this.url(this.sheet)}")`;
  }

  point(event) {
    if (!this.layout) return;
    const place = share(event).x * this.field.clientWidth;
    this.choose(stepAt(place, this.layout.x, this.data.distances.length));
  }

  press(event) {
    const step = walk(event, this.step, this.data.distances.length);
    if (step === null) return;
    event.preventDefault();
    this.choose(step);
  }

  /** Mark a step and show its frames. */
  choose(step) {
    this.step = step;
    const { distances, mean } = this.data;
    const { plot, x, y } = this.layout;
    const distance = distances[step];
    const width = Math.max(x(1) - x(0), 2);
    const left = x(step + 0.5) - width / 2;
    const top = y(distance ?? 0);
    this.mark.replaceChildren(
      element("rect", {
        class: "geodesic-band",
        x: left,
        y: plot.top,
        width,
        height: plot.bottom - plot.top,
      }),
      element("rect", {
        class: "geodesic-bar-chosen",
        x: left,
        y: top,
        width,
        height: plot.bottom - top,
      }),
    );
    const size = this.shown();
    this.frames.forEach(({ picture, name }, k) => {
      Object.assign(picture.style, { width: `${size.width}px`, height: `${size.height}px` });
      this.paint(picture, step + k);
      name.textContent = this.say("stepsFrame", { number: step + k + 1 });
    });
    const times =
      mean > 0 && distance !== null ? String(Number((distance / mean).toPrecision(2))) : "";
    this.words.replaceChildren(
      element("span", {}, this.say("stepsStep", { number: step + 1, count: distances.length })),
      element("b", {}, asText(distance)),
      element("span", {}, times && this.say("stepsShare", { times })),
    );
  }
}
