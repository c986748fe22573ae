/**
 * A chain of keyframes as a strip: from the data of graph.js to positions, texts and lines.
 *
 * A leg's weight is that of the keyframe it ends at, and its share of the path is its weight over
 * the sum of all, as in geometry/legs.py. The first keyframe's settings are those of the leg that
 * closes a loop. A strip shows the open path, so they only appear in its tooltip.
 */

import { captions } from "./labels.js";

/** The couplings of geometry/coupling.py: how a leg is drawn, and the key of its short name. */
const METHODS = {
  "optimal transport": { style: "solid", key: "stripTransport" },
  "row order": { style: "dashed", key: "stripRowOrder" },
  random: { style: "dotted", key: "stripRandom" },
};
const OTHER = { style: "unknown", key: "stripUnknown" };

/** The times of the keyframes, 0 to 1, from the weights of the legs: geometry/legs.py, knots. */
export function knots(weights) {
  const ends = [0];
  for (const weight of weights) ends.push(ends.at(-1) + weight);
  return ends.map((end) => (weights.length > 0 ? end / ends.at(-1) : end));
}

/** The weight as a positive number, or null if it is not one. */
function known(weight) {
  const number = Number(weight);
  return weight !== "" && Number.isFinite(number) && number > 0 ? number : null;
}

/**
 * The content of a strip.
 * @param {ReturnType<import("./graph.js").keyframesUpTo>} chain
 * @param {boolean} noise whether it is a path of noises
 * @param {(key: string, values?: object) => string} say
 * @returns {{stations: {share: number, label: string, full: string, own: boolean}[],
 *   legs: {from: number, to: number, weight: number | null, method: string, style: string,
 *   labels: string[], full: string}[], words: string}}
 *   share, from, to: places on the path, 0 to 1, where unknown weights count as 1.
 *   labels: possible texts on the leg, the longest first. words: the whole path in a sentence.
 */
export function describe({ keyframes, whole }, noise, say) {
  const texts = keyframes.map((keyframe, k) =>
    stationOf(keyframe, whole ? k + 1 : "?", noise, say),
  );
  // If the beginning of the path is unknown, one station stands for it.
  const before = { label: say("stripBefore"), full: say("stripBeforeTip"), own: false };
  const shown = whole ? texts : [before, ...texts];
  const ended = whole ? keyframes.slice(1) : keyframes;
  const weights = ended.map(({ weight }) => known(weight));
  const measured = whole && !weights.includes(null);
  const places = knots(weights.map((weight) => weight ?? 1));
  const legs = ended.map(({ method, seed }, k) =>
    leg(
      { method, seed, weight: weights[k], from: places[k], to: places[k + 1], measured },
      noise,
      say,
    ),
  );
  const stations = shown.map((station, k) => ({ share: places[k], ...station }));
  if (whole && !noise) stations[0].full += "\n" + closing(keyframes[0], say);
  return { stations, legs, words: inWords(shown, legs, keyframes.length, noise, say) };
}

function stationOf(keyframe, number, noise, say) {
  const label = noise ? noiseLabel(keyframe, say) : promptLabel(keyframe, number, say);
  return { label, full: `${number}. ${label}`, own: keyframe.own };
}

function promptLabel({ prompt }, number, say) {
  if (prompt === null) return say("stripPrompt", { number });
  return prompt.replace(/\s+/g, " ").trim() || say("stripEmpty");
}

function noiseLabel({ inverted, seed }, say) {
  return inverted ? say("stripInverted") : say("stripSeed", { seed: seed ?? "?" });
}

function leg({ method, seed, weight, from, to, measured }, noise, say) {
  const { style, key } = noise ? METHODS["optimal transport"] : (METHODS[method] ?? OTHER);
  const share = percent(to - from, say);
  const relative = say("stripWeight", { weight: weight ?? "?" });
  const short = measured ? share : relative;
  const full = measured ? say("stripLeg", { weight, share }) : relative;
  if (noise) return { from, to, weight, method: "", style, labels: [short], full };
  const how = methodInWords(method, seed, say);
  const labels = [`${say(key)} ${short}`, short];
  return { from, to, weight, method: method ?? "", style, labels, full: `${how}, ${full}` };
}

function methodInWords(method, seed, say) {
  if (METHODS[method]?.style === "dotted") return say("stripSeeded", { method, seed: seed ?? "?" });
  return method ?? say("stripUnknown");
}

function percent(share, say) {
  const rounded = Math.round(share * 100);
  if (rounded === 0) return say("stripShare", { percent: "<1" });
  if (rounded === 100 && share < 1) return say("stripShare", { percent: ">99" });
  return say("stripShare", { percent: rounded });
}

function closing({ weight, method, seed }, say) {
  const how = methodInWords(method, seed, say);
  return say("stripClosing", { method: how, weight: known(weight) ?? "?" });
}

function inWords(stations, legs, count, noise, say) {
  const names = stations.map(({ label }) => say("stripQuoted", { text: label }));
  const path = legs.reduce(
    (text, { full }, k) => say("stripThen", { text, leg: full, next: names[k + 1] }),
    names[0],
  );
  return say(noise ? "stripNoises" : "stripPrompts", { count, path });
}

/** The free space around the track, for its dots, its labels and the lines to other labels. */
const CLEAR = 9;
const LINE = 12;
const PAD = 5;
const INSET = 11;
const MOST_LINES = 4;
/** The visible length of a leg's line on each side of its label. */
const BARE = 14;

/**
 * The positions of all parts of a strip.
 * @param {ReturnType<typeof describe>} description
 * @param {{width: number, height: number}} size
 * @param {(text: string, strong?: boolean) => number} measure a text's width in pixels
 * @returns {{y: number, stations: {x: number}[], legs: {x1: number, x2: number, label: string}[],
 *   labels: {station: number, anchor: string, x: number, left: number, right: number, top: number,
 *   bottom: number, lines: {text: string, y: number}[], leader: {x: number, y: number}}[]}}
 *   y: of the track. Labels are above and below it alternately; none touches another.
 */
export function layout({ stations, legs }, { width, height }, measure) {
  const lone = stations.length === 1;
  const place = (share) => (lone ? width / 2 : INSET + share * Math.max(0, width - 2 * INSET));
  const points = stations.map(({ share }) => ({ x: place(share) }));
  const span = [PAD, Math.max(PAD, width - PAD)];
  const lines = Math.floor((height / 2 - CLEAR - PAD + 1) / LINE);
  const room = {
    span,
    lines: Math.max(0, Math.min(MOST_LINES, lines)),
    gap: 12,
    least: 56,
    most: lone ? width : Math.max(120, width * 0.64),
    reach: 28,
    measure,
  };
  const captioned = [0, 1].flatMap((side) => {
    const items = stations.flatMap(({ label, own }, k) =>
      k % 2 === side
        ? [{ station: k, x: points[k].x, text: label, strong: own, keep: k === 0 }]
        : [],
    );
    const made = room.lines > 0 ? captions(items, room) : [];
    return made.map(({ item, lines: shown, left, right }) => {
      const { station, x } = items[item];
      return { station, x, above: side === 0, lines: shown, left, right };
    });
  });
  // A single station has nothing below it: it is placed lower, to centre it with its text.
  const drop =
    lone && captioned.length > 0 ? (captioned[0].lines.length * LINE + CLEAR - 5) / 2 : 0;
  const y = Math.round(height / 2 + drop);
  const tracks = legs.map(({ from, to, labels }) => {
    const [x1, x2] = [place(from), place(to)];
    const free = x2 - x1 - 2 * BARE;
    return { x1, x2, label: labels.find((label) => measure(label) <= free) ?? "" };
  });
  const labels = captioned.map((caption) => block(caption, y, span));
  labels.sort((a, b) => a.station - b.station);
  return { y, stations: points, legs: tracks, labels };
}

/** A caption as lines of text beside the track, and the end of the line from its dot. */
function block({ station, x, above, lines, left, right }, y, [start, end]) {
  const top = above ? y - CLEAR - lines.length * LINE : y + CLEAR;
  const atStart = left <= start + 0.5;
  const atEnd = right >= end - 0.5;
  const anchor = atStart && !atEnd ? "start" : atEnd && !atStart ? "end" : "middle";
  return {
    station,
    anchor,
    x: { start: left, middle: (left + right) / 2, end: right }[anchor],
    left,
    right,
    top,
    bottom: top + lines.length * LINE,
    lines: lines.map((text, k) => ({ text, y: top + k * LINE + 9 })),
    leader: { x: Math.max(left + 2, Math.min(right - 2, x)), y: above ? y - CLEAR : y + CLEAR },
  };
}
