/** Lines of up to four series, told apart by colour, dash and mark, and what a legend shows of them. */

import { line } from "./curve_view.js";
import { element } from "./dom.js";

const SHAPES = [
  "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z", // circle
  "M-2.7 -2.7h5.4v5.4h-5.4Z", // square
  "M0 -3.6L3.4 2.6H-3.4Z", // triangle
  "M0 -3.9L3.5 0L0 3.9L-3.5 0Z", // diamond
];

/** The marks along a line; only every second, third … if they would touch each other. */
export function marked(points, spacing = 11) {
  if (points.length < 2) return points;
  const apart = (points.at(-1)[0] - points[0][0]) / (points.length - 1);
  const every = Math.max(1, Math.ceil(spacing / apart));
  return points.filter((_, k) => k % every === 0);
}

/** A mark of series k. */
export function marker(k, x, y, scale = 1) {
  const transform = `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${scale})`;
  return element("path", { class: "geodesic-marks", d: SHAPES[k], transform });
}

/** The line of series k with its marks. */
export function series(points, k) {
  return element(
    "g",
    { class: `geodesic-series-${k}` },
    element("path", { class: "geodesic-series", d: line(points) }),
    ...marked(points).map(([x, y]) => marker(k, x, y)),
  );
}

/** Larger marks of the series at one place, and a line down to the axis. */
export function pointed(plot, x, points) {
  return [
    element("line", { class: "geodesic-guide", x1: x, x2: x, y1: plot.top, y2: plot.bottom }),
    ...points.map((point, k) =>
      element(
        "g",
        { class: `geodesic-series-${k} geodesic-here` },
        ...(point ? [marker(k, ...point, 1.5)] : []),
      ),
    ),
  ];
}

/** A piece of series k for a legend. */
export function swatch(k) {
  return element(
    "svg",
    {
      class: `geodesic-swatch geodesic-series-${k}`,
      viewBox: "0 0 30 12",
      width: 30,
      height: 12,
    },
    element("path", { class: "geodesic-series", d: "M1 6H29" }),
    element("path", { class: "geodesic-marks", d: SHAPES[k], transform: "translate(15 6)" }),
  );
}
