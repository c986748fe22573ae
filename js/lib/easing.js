/**
 * Easings: the same functions as geometry/easing.py has.
 *
 * Tests compare both with the golden numbers in tests/golden/times.json.
 */

export const LINEAR = "linear";
export const CURVE = "curve";
/** The easings without a drawn curve, in the order of the node. */
export const PRESETS = [LINEAR, "ease in", "ease out", "ease in-out"];

const FUNCTIONS = {
  linear: (u) => u,
  "ease in": (u) => u * u,
  "ease out": (u) => 1 - (1 - u) ** 2,
  "ease in-out": (u) => u * u * (3 - 2 * u),
};

/**
 * The function u → t of an easing.
 * @param {string} easing
 * @param {[number, number][]} points only used for "curve"
 */
export function easingFunction(easing, points) {
  return easing === CURVE ? monotoneCubic(points) : FUNCTIONS[easing];
}

/**
 * A monotone cubic through points [u, t] (PCHIP: Fritsch & Butland 1984).
 * Between two points it stays between their values, so it cannot leave [0, 1].
 */
export function monotoneCubic(points) {
  const u = points.map((point) => point[0]);
  const t = points.map((point) => point[1]);
  const slopes = pchipSlopes(u, t);
  return (x) => {
    let k = u.findIndex((next) => x <= next);
    if (k < 0) k = u.length - 1;
    if (u[k] === x) return t[k]; // exactly the value of a point, which the polynomial would round
    k = Math.max(k - 1, 0);
    const width = u[k + 1] - u[k];
    const s = (x - u[k]) / width;
    const rise = t[k] * (1 + 2 * s) * (1 - s) ** 2 + t[k + 1] * s * s * (3 - 2 * s);
    const bend = width * (slopes[k] * s * (1 - s) ** 2 - slopes[k + 1] * s * s * (1 - s));
    return Math.min(1, Math.max(0, rise + bend));
  };
}

function pchipSlopes(u, t) {
  const width = u.slice(1).map((next, k) => next - u[k]);
  const slope = width.map((w, k) => (t[k + 1] - t[k]) / w);
  if (slope.length === 1) return [slope[0], slope[0]];
  const inner = slope.slice(1).map((next, k) => {
    if (slope[k] * next <= 0) return 0;
    const [a, b] = [2 * width[k + 1] + width[k], width[k + 1] + 2 * width[k]];
    return (a + b) / (a / slope[k] + b / next); // weighted harmonic mean
  });
  const last = slope.length - 1;
  return [
    endSlope(width[0], width[1], slope[0], slope[1]),
    ...inner,
    endSlope(width[last], width[last - 1], slope[last], slope[last - 1]),
  ];
}

/** The three-point estimate at an end, limited so that it does not overshoot. */
function endSlope(w0, w1, m0, m1) {
  const d = ((2 * w0 + w1) * m0 - w0 * m1) / (w0 + w1);
  if (Math.sign(d) !== Math.sign(m0)) return 0;
  if (Math.sign(m0) !== Math.sign(m1) && Math.abs(d) > 3 * Math.abs(m0)) return 3 * m0;
  return d;
}
