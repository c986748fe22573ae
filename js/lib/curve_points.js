/**
 * A curve as a list of points [u, t], and the edits of an editor.
 *
 * Every function returns a curve that geometry/easing.py accepts: at least two points, u rising from
 * 0 to 1 without repeats, t in [0, 1]. Nothing is changed in place.
 */

/** Digits after the decimal point: fine enough for 4096 frames, and short to read. */
const DIGITS = 4;
/** Least distance of two neighbours in u. */
export const GAP = 0.001;
export const MAX_POINTS = 64;

/** The straight line, which changes nothing; the widget's default. */
export const STRAIGHT = [
  [0, 0],
  [1, 1],
];

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));
const round = (value) => Number(value.toFixed(DIGITS));

/**
 * The points in a widget's text, or null if it is not a curve.
 * @param {string} text
 * @returns {[number, number][] | null}
 */
export function parse(text) {
  let points;
  try {
    points = JSON.parse(text);
  } catch {
    return null;
  }
  return isCurve(points) ? points : null;
}

const isPoint = (point) =>
  Array.isArray(point) && point.length === 2 && point.every((x) => Number.isFinite(x));

function isCurve(points) {
  if (!Array.isArray(points) || points.length < 2 || !points.every(isPoint)) return false;
  const rising = points.every(([u], k) => k === 0 || u > points[k - 1][0]);
  const inside = points.every(([, t]) => t >= 0 && t <= 1);
  return rising && inside && points[0][0] === 0 && points.at(-1)[0] === 1;
}

/** The text that goes into the widget: plain JSON, as Python's json.dumps writes it. */
export function format(points) {
  return `[${points.map(([u, t]) => `[${u}, ${t}]`).join(", ")}]`;
}

/** A curve through `count` points of a function u → t. */
export function sample(ease, count = 5) {
  return Array.from({ length: count }, (_, k) => k / (count - 1)).map((u) => [
    round(u),
    round(clamp(ease(u), 0, 1)),
  ]);
}

/**
 * Move one point. It stays between its neighbours, and the u of the two ends is fixed. Between
 * neighbours without room (a curve written by hand) it only moves up and down.
 */
export function move(points, index, [u, t]) {
  const last = points.length - 1;
  const held = points[index][0];
  const inner = index > 0 && index < last;
  const [left, right] = inner ? [points[index - 1][0] + GAP, points[index + 1][0] - GAP] : [0, 0];
  const place = left < right ? round(clamp(u, left, right)) : held;
  const moved = [place, round(clamp(t, 0, 1))];
  return points.map((point, k) => (k === index ? moved : point));
}

/**
 * Add a point where there is room.
 * @returns {{points: [number, number][], index: number}} index −1: no room, nothing changed
 */
export function add(points, [u, t]) {
  const place = round(clamp(u, 0, 1));
  const near = points.some((point) => Math.abs(point[0] - place) < GAP);
  if (near || points.length >= MAX_POINTS) return { points, index: -1 };
  const index = points.findIndex((point) => point[0] > place);
  const added = [place, round(clamp(t, 0, 1))];
  return { points: [...points.slice(0, index), added, ...points.slice(index)], index };
}

/** Remove a point; the two ends cannot be removed. */
export function remove(points, index) {
  if (index <= 0 || index >= points.length - 1) return points;
  return points.filter((_, k) => k !== index);
}

/** The middle of the longer gap beside a point, where the keyboard adds the next point. */
export function roomBeside(points, index, ease) {
  const gap = (k) => (points[k + 1] && points[k] ? points[k + 1][0] - points[k][0] : 0);
  const k = gap(index) >= gap(index - 1) ? index : index - 1;
  const u = (points[k][0] + points[k + 1][0]) / 2;
  return [u, ease(u)];
}

/**
 * A place snapped to the nearest frame and to the nearest eighth of t, if they are near enough.
 * @param {[number, number]} place
 * @param {number[]} shares the u of the frames
 * @param {[number, number]} reach the largest distances for snapping, in u and in t
 */
export function snap([u, t], shares, reach) {
  return [nearest(u, [0, ...shares, 1], reach[0]), nearest(t, EIGHTHS, reach[1])];
}

const EIGHTHS = Array.from({ length: 9 }, (_, k) => k / 8);

function nearest(value, places, reach) {
  const best = places.reduce((a, b) => (Math.abs(b - value) < Math.abs(a - value) ? b : a));
  return Math.abs(best - value) <= reach ? best : value;
}
