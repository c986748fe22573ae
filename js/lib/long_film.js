/** The same words as AFTER_RUN in nodes/schedule/schedule.py. */
const GO_ON = "go on";

/**
 * Where the next run of a long film begins.
 * @param {number} first where this run begins
 * @param {number} limit the most frames of a run; 0 is all, so that there is no next run
 * @param {string} after what Morph Schedule's `after_run` says
 */
export function nextFirstFrame(first, limit, after) {
  return after === GO_ON && limit > 0 ? first + limit : first;
}
