/** Couple Prompts: two columns of tokens, and lines between the tokens that are paired. */

import { clamp, cut, share, stat, asText, walk } from "./chart_parts.js";
import { element } from "./dom.js";
import { linear, short } from "./scale.js";

const PITCH = 17;
const LETTER = 6;
const STATS_HEIGHT = 32;
const FOOT_HEIGHT = 36;
/** The largest number of rows in a panel; more rows scroll. */
const MOST_ROWS = 20;
const SIDES = ["source", "target"];

/**
 * The entries of a column: one per row, but only one for consecutive padding rows.
 * @param {{rows: number, labels: (string | null)[] | null}} side labels: null is padding; without
 *   labels rows show their numbers
 * @returns {{from: number, to: number, text: string | null, padding: boolean}[]} rows from…to
 */
export function entries({ rows, labels }) {
  const column = [];
  for (let row = 0; row < rows; row++) {
    const padding = labels !== null && labels[row] === null;
    const last = column.at(-1);
    if (padding && last?.padding) last.to = row;
    else column.push({ from: row, to: row, text: labels ? labels[row] : String(row), padding });
  }
  return column;
}

/**
 * The lines between two columns: all pairs of the same two entries are one line.
 * @param {[number, number, number, number][]} pairs source row, target row, distance, count
 * @returns {{ends: number[], times: number, near: number, far: number, mean: number}[]} ends: the
 *   places of the entries in their columns; near, far, mean: the distances of its pairs
 */
export function joins(pairs, source, target) {
  const places = [source, target].map(placesOfRows);
  const byEnds = new Map();
  for (const [from, to, distance, times] of pairs) {
    const ends = [places[0][from], places[1][to]];
    const join = byEnds.get(ends.join()) ?? { ends, times: 0, near: Infinity, far: 0, mean: 0 };
    join.mean = (join.mean * join.times + distance * times) / (join.times + times);
    join.times += times;
    join.near = Math.min(join.near, distance);
    join.far = Math.max(join.far, distance);
    byEnds.set(ends.join(), join);
  }
  return [...byEnds.values()];
}

/** The place of every row's entry. */
function placesOfRows(column) {
  return column.flatMap(({ from, to }, place) => Array(to - from + 1).fill(place));
}

/** The lines of one entry, ordered by distance. */
export function joinsOf(all, side, place) {
  return all.filter(({ ends }) => ends[side] === place).toSorted((a, b) => a.near - b.near);
}

/**
 * The positions of all parts of the chart.
 * @param {string[][]} names of both columns
 * @returns `height` of all rows, `y` of an entry's middle, `edges` (the inner edges of the columns)
 *   and `letters` (how many characters of a name fit)
 */
export function layout(names, width) {
  const room = names.map(
    (column) => Math.max(...column.map((name) => [...name].length)) * LETTER + 14,
  );
  const most = width * 0.38;
  const columns = room.map((wanted) => clamp(wanted, 30, most));
  return {
    height: Math.max(...names.map((column) => column.length)) * PITCH + 6,
    y: (place) => 3 + (place + 0.5) * PITCH,
    edges: [columns[0], width - columns[1]],
    letters: columns.map((column) => Math.floor((column - 14) / LETTER)),
  };
}

/** The entry at a point of the drawing: at its height in the nearer column, or null. */
export function entryAt(x, y, width, counts) {
  const side = x < width / 2 ? 0 : 1;
  const place = Math.floor((y - 3) / PITCH);
  return place >= 0 && place < counts[side] ? { side, place } : null;
}

/** A curved line from one column to the other. */
export function curve(x0, y0, x1, y1) {
  const bend = (x1 - x0) * 0.45;
  return `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
}

/** The chart inside a panel's root. */
export class CouplingChart {
  /** @param {{say: Function}} page */
  constructor(root, { say }) {
    Object.assign(this, { say, charts: [], rows: 0, part: 0, chosen: null });
    this.stats = element("div", { class: "geodesic-stats" });
    const turn = (by, key, sign) =>
      element(
        "button",
        {
          class: "geodesic-button",
          type: "button",
          "aria-label": say(key),
          onclick: () => this.turn(by),
        },
        sign,
      );
    this.page = element("span", { class: "geodesic-page" });
    this.pager = element(
      "div",
      { class: "geodesic-pager" },
      turn(-1, "couplingPrevious", "‹"),
      this.page,
      turn(1, "couplingNext", "›"),
    );
    this.svg = element("svg", {
      class: "geodesic-coupling-drawing",
      onpointermove: (event) => this.point(event),
      onpointerdown: (event) => this.point(event),
      onpointerleave: () => this.choose(null),
    });
    this.scroller = element(
      "div",
      {
        class: "geodesic-scroller",
        tabindex: 0,
        role: "application",
        "aria-label": say("couplingLabel"),
        "data-capture-wheel": "true",
        onkeydown: (event) => this.press(event),
        onblur: () => this.choose(null),
      },
      this.svg,
    );
    this.head = element(
      "div",
      { class: "geodesic-columns" },
      element("span", {}, say("couplingSource")),
      this.pager,
      element("span", {}, say("couplingTarget")),
    );
    this.scale = element("div", { class: "geodesic-scale" });
    this.status = element("div", { class: "geodesic-status", "aria-live": "polite" });
    this.rows = MOST_ROWS; // until a run says how many
    root.append(this.stats, this.head, this.scroller, this.scale, this.status);
  }

  /** Least height in pixels. */
  get height() {
    return STATS_HEIGHT + 20 + Math.min(this.rows, MOST_ROWS) * PITCH + 8 + FOOT_HEIGHT + 12;
  }

  /** Show what the node returned. */
  show(charts) {
    this.charts = charts;
    const columns = charts.flatMap((chart) => SIDES.map((side) => entries(chart[side]).length));
    this.rows = Math.max(...columns); // of all parts: the panel keeps its height
    this.open(Math.min(this.part, charts.length - 1));
  }

  /** Show one part: a conditioning entry's prompt. */
  open(part) {
    const { say } = this;
    this.part = part;
    this.chosen = null;
    const chart = this.charts[part];
    this.columns = SIDES.map((side) => entries(chart[side]));
    this.joins = joins(chart.pairs, ...this.columns);
    this.names = this.columns.map((column) => column.map((entry) => this.name(entry)));
    this.far = Math.max(...this.joins.map(({ far }) => far), 0);
    this.stats.replaceChildren(
      stat(asText(chart.cost), say("couplingCost"), say("couplingCostTip")),
      stat(asText(chart.relative_cost), say("couplingRelative"), say("couplingRelativeTip")),
      stat(chart.method, say("couplingMethod")),
    );
    const count = this.charts.length;
    this.pager.hidden = count < 2;
    const left = chart.left_out;
    this.page.textContent = say(left ? "couplingPartOfMany" : "couplingPart", {
      number: part + 1,
      count,
      left,
    });
    this.scale.replaceChildren(
      element("span", {}, say("couplingDistance")),
      element("span", {}, "0"),
      element("i"),
      element("span", {}, short(this.far)),
    );
    this.scroller.scrollTop = 0;
  }

  turn(by) {
    this.open((this.part + by + this.charts.length) % this.charts.length);
    this.draw({ width: this.width });
  }

  name({ from, to, text, padding }) {
    const count = to - from + 1;
    return padding ? this.say("couplingPadding", { count }) : text;
  }

  draw({ width }) {
    if (!this.columns) return;
    this.width = width;
    const inner = this.scroller.clientWidth;
    this.layout = layout(this.names, inner);
    const { height, y, edges, letters } = this.layout;
    this.svg.setAttribute("viewBox", `0 0 ${inner} ${height}`);
    this.svg.style.height = `${height}px`;
    const depth = linear([0, this.far], [0, 100]);
    this.lines = this.joins.map((join) => {
      const [from, to] = join.ends.map(y);
      return element("path", {
        class: "geodesic-join",
        d: curve(edges[0], from, edges[1], to),
        style: `--far: ${depth(join.mean).toFixed(1)}%`,
        "stroke-width": (1.4 + 0.7 * Math.log2(join.times)).toFixed(2),
      });
    });
    this.texts = this.names.map((column, side) =>
      column.map((name, place) =>
        element(
          "text",
          {
            x: side === 0 ? edges[0] - 7 : edges[1] + 7,
            y: y(place) + 3.5,
            "text-anchor": side === 0 ? "end" : "start",
            class: this.columns[side][place].padding ? "geodesic-padding" : "geodesic-token",
          },
          cut(name, letters[side]),
        ),
      ),
    );
    this.svg.replaceChildren(
      element("g", {}, ...this.lines),
      element("g", {}, ...this.texts.flat()),
      (this.values = element("g")),
    );
    this.choose(this.chosen);
  }

  point(event) {
    if (!this.layout) return;
    const { x, y } = share(event);
    const [width, counts] = [
      this.scroller.clientWidth,
      this.columns.map((column) => column.length),
    ];
    this.choose(entryAt(x * width, y * this.layout.height, width, counts));
  }

  press(event) {
    const { side, place } = this.chosen ?? { side: 0, place: null };
    const across = { ArrowLeft: 0, ArrowRight: 1 }[event.key];
    let next = null;
    if (across === undefined) {
      const row = walk(event, place, this.columns[side].length, ["ArrowUp", "ArrowDown"]);
      next = row === null ? null : { side, place: row };
    } else if (place === null || across === side) next = { side: across, place: place ?? 0 };
    else next = { side: across, place: joinsOf(this.joins, side, place)[0].ends[across] };
    if (!next) return;
    event.preventDefault();
    this.choose(next);
    this.reveal(this.layout.y(next.place));
  }

  /** Scroll only as far as needed to show an entry. */
  reveal(y) {
    const { scrollTop, clientHeight } = this.scroller;
    const least = y + PITCH - clientHeight;
    this.scroller.scrollTop = clamp(scrollTop, Math.max(least, 0), Math.max(y - PITCH, 0));
  }

  /** Mark an entry, its partners and the lines between them; null marks none. */
  choose(chosen) {
    if (!this.layout) return;
    this.chosen = chosen;
    this.svg.classList.toggle("geodesic-choice", chosen !== null);
    const lit = [new Set(), new Set()];
    this.joins.forEach(({ ends }, k) => {
      const on = chosen !== null && ends[chosen.side] === chosen.place;
      this.lines[k].classList.toggle("geodesic-lit", on);
      if (on) ends.forEach((place, side) => lit[side].add(place));
    });
    this.texts.forEach((column, side) =>
      column.forEach((text, place) => {
        text.classList.toggle("geodesic-lit", lit[side].has(place));
        const own = chosen?.side === side && chosen.place === place;
        text.classList.toggle("geodesic-itself", own);
      }),
    );
    this.drawDistances();
    const { scrollHeight, clientHeight } = this.scroller;
    const hint = scrollHeight > clientHeight ? "couplingHintLong" : "couplingHint";
    this.status.textContent = chosen ? this.sentence(chosen) : this.say(hint);
  }

  /** Write the distances of the marked lines at their partners' ends. */
  drawDistances() {
    const { y, edges } = this.layout;
    const marked = this.chosen ? joinsOf(this.joins, this.chosen.side, this.chosen.place) : [];
    const other = this.chosen ? 1 - this.chosen.side : 0;
    this.values.replaceChildren(
      ...marked.map(({ ends, mean }) =>
        element(
          "text",
          {
            class: "geodesic-lit geodesic-value",
            x: other === 0 ? edges[0] + 6 : edges[1] - 6,
            y: y(ends[other]) - 3,
            "text-anchor": other === 0 ? "start" : "end",
          },
          mean.toFixed(1),
        ),
      ),
    );
  }

  /** A sentence with the chosen entry, its partners and their distances. */
  sentence({ side, place }) {
    const lines = joinsOf(this.joins, side, place);
    const [near, far] = [lines[0].near, Math.max(...lines.map((join) => join.far))];
    const other = 1 - side;
    const partners = lines
      .map((join) => this.title(other, join.ends[other], join.times))
      .join(", ");
    const own = this.title(side, place);
    return this.say(short(near) === short(far) ? "couplingPair" : "couplingPairs", {
      source: side === 0 ? own : partners,
      target: side === 0 ? partners : own,
      near: short(near),
      far: short(far),
    });
  }

  /** The name of an entry in a sentence; for padding the number of rows in the line. */
  title(side, place, times) {
    const { from, to, text, padding } = this.columns[side][place];
    const count = Math.min(times ?? Infinity, to - from + 1);
    if (padding) return this.say(count > 1 ? "couplingPadding" : "couplingPaddingOne", { count });
    const labelled = this.charts[this.part][SIDES[side]].labels !== null;
    return labelled ? text : this.say("couplingRow", { number: from });
  }
}
