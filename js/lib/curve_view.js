/**
 * The layout of the curve editor: from a schedule and a size to positions in pixels.
 *
 * The axis is the whole video, from the first frame to the last. The way back of a ping-pong
 * mirrors its first half; the right edge of a loop is its first frame again.
 */

import { linear } from "./scale.js";
import { LOOP, PING_PONG, half, times } from "./times.js";

const MARGIN = { left: 30, right: 12, top: 9, bottom: 17 };
/** Steps of the drawn line. */
const STEPS = 160;

/**
 * @param {{frames: number, ending: string, ease: (u: number) => number}} schedule
 * @param {{width: number, height: number}} size
 * @returns places: `x`, `y` (scales of u and t, with `.back`), `curve` and `ghost` (polylines),
 *   `dots` (one per frame, with its t), `closing` (a loop's first frame again), `plot` (the area)
 */
export function layout({ frames, ending, ease }, { width, height }) {
  const plot = {
    left: MARGIN.left,
    right: Math.max(width - MARGIN.right, MARGIN.left + 1),
    top: MARGIN.top,
    bottom: Math.max(height - MARGIN.bottom, MARGIN.top + 1),
  };
  const whole = linear([0, 1], [plot.left, plot.right]);
  const y = linear([0, 1], [plot.bottom, plot.top]);
  const turn = ending === PING_PONG ? (half(frames) - 1) / (frames - 1) : 1;
  const x = linear([0, 1], [whole(0), whole(turn)]);
  const shares = Array.from({ length: STEPS + 1 }, (_, k) => k / STEPS);
  const last = ending === LOOP ? frames : Math.max(frames - 1, 1);
  const dots = times(frames, ending, ease).map((t, k) => ({ x: whole(k / last), y: y(t), t }));
  return {
    plot,
    x,
    y,
    curve: shares.map((u) => [x(u), y(ease(u))]),
    ghost: ending === PING_PONG ? shares.map((u) => [whole(1 - u * turn), y(ease(u))]) : [],
    dots,
    closing: ending === LOOP ? { x: whole(1), y: y(ease(1)) } : null,
    frame: (number) => whole((number - 1) / last),
  };
}

/** Points as an SVG path. */
export function line(points) {
  return points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
}

/** Dots as one SVG path of empty strokes with round caps: fast enough for 4096 dots. */
export function specks(dots) {
  return dots.map(({ x, y }) => `M${x.toFixed(2)} ${y.toFixed(2)}h0`).join("");
}

/** The frames with a number below the axis: the first, round numbers, the last; never too many. */
export function numbered(frames, width) {
  if (frames < 2) return [1];
  const room = Math.max(2, Math.floor(width / 34));
  const step = [1, 2, 4, 5, 8, 10, 20, 25, 50, 100, 200, 250, 500, 1000].find(
    (k) => frames / k <= room,
  );
  const round = [];
  for (let k = step; k < frames; k += step) if (k > 1) round.push(k);
  // A round number too near to the last frame's number is left out.
  return [1, ...round.filter((k) => k - 1 >= step / 2 && frames - k >= step * 0.6), frames];
}

/** The index of the dot nearest to x, or −1. */
export function nearestDot(dots, x) {
  let best = -1;
  for (let k = 0; k < dots.length; k++)
    if (best < 0 || Math.abs(dots[k].x - x) < Math.abs(dots[best].x - x)) best = k;
  return best;
}
