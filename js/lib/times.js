/**
 * Schedules: the same numbers as geometry/times.py computes.
 *
 * Tests compare both with the golden numbers in tests/golden/times.json.
 */

export const STOP = "stop";
export const PING_PONG = "ping-pong";
export const LOOP = "loop";
export const MAX_FRAMES = 4096;

/** The number of frames of a ping-pong up to its turning point, which is included. */
export const half = (frames) => Math.floor((frames + 1) / 2);

/** The shares u of all frames, or of the first half of a ping-pong. */
export function uniform(frames, ending) {
  if (ending === LOOP) return Array.from({ length: frames }, (_, k) => k / frames);
  const count = ending === PING_PONG ? half(frames) : frames;
  return Array.from({ length: count }, (_, k) => k / Math.max(count - 1, 1));
}

/**
 * One time in [0, 1] per frame.
 * @param {number} frames
 * @param {string} ending "stop", "ping-pong" or "loop"
 * @param {(u: number) => number} ease
 */
export function times(frames, ending, ease) {
  const forward = uniform(frames, ending).map(ease);
  const back = ending === PING_PONG ? forward.toReversed().slice(frames % 2) : [];
  return [...forward, ...back];
}
