/** Parts that our charts share: pointer positions, arrow keys, axes, numbers as text. */

import { element } from "./dom.js";
import { short } from "./scale.js";

export const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/**
 * The position of a pointer event on its listener's element, as shares of its width and height.
 * Shares, because the canvas shows a node at any zoom.
 */
export function share({ currentTarget, clientX, clientY }) {
  const { left, top, width, height } = currentTarget.getBoundingClientRect();
  return { x: (clientX - left) / width, y: (clientY - top) / height };
}

/**
 * The place that a key moves to, in a row of `count` places.
 * @param {KeyboardEvent} event arrows move by one, with Shift by ten; Home and End move to the ends
 * @param {number | null} place the current place; null before the first move
 * @param {[string, string]} keys backwards, forwards
 * @returns {number | null} null for any other key
 */
export function walk({ key, shiftKey }, place, count, keys = ["ArrowLeft", "ArrowRight"]) {
  const stride = shiftKey ? 10 : 1;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (!keys.includes(key)) return null;
  if (place === null) return key === keys[1] ? 0 : count - 1;
  return clamp(place + (key === keys[1] ? stride : -stride), 0, count - 1);
}

const MARGIN = { right: 14, top: 19, bottom: 17 };

/** The area between the axes, in pixels; `values` are the numbers at its left. */
export function plotIn({ width, height }, values) {
  const left = 10 + 5.8 * Math.max(...values.map((value) => tick(value).length));
  return {
    left,
    right: Math.max(width - MARGIN.right, left + 1),
    top: MARGIN.top,
    bottom: Math.max(height - MARGIN.bottom, MARGIN.top + 1),
  };
}

const tick = (value) => (value && value < 1e-5 ? short(value) : String(value));

/** Horizontal lines across the plot, with their numbers at the left. */
export function grid(plot, y, values) {
  return values.flatMap((value) => [
    element("line", {
      class: "geodesic-grid",
      x1: plot.left,
      x2: plot.right,
      y1: y(value),
      y2: y(value),
    }),
    element("text", { x: plot.left - 5, y: y(value) + 3.5, "text-anchor": "end" }, tick(value)),
  ]);
}

/** The largest finite number of a list, at least 0. */
export const largest = (values) => values.reduce((most, value) => Math.max(most, value ?? 0), 0);

/**
 * A number with its name below it.
 * @param {string} value
 * @param {string} name
 * @param {string} [hint] a sentence that explains it
 */
export function stat(value, name, hint, className = "") {
  return element(
    "div",
    { class: `geodesic-stat ${className}`, title: hint },
    element("b", {}, value),
    element("span", {}, name),
  );
}

/** A number from the server as text; null, which was not finite there, becomes ∞. */
export const asText = (value) => (value === null ? "∞" : short(value));

/**
 * Numbers of a column or row as texts, all with the decimals that give the largest four digits.
 * Where that takes more than eight, all are powers of ten.
 */
export function aligned(values) {
  const most = largest(values.map((value) => Math.abs(value ?? 0)));
  const decimals = Math.max(3 - Math.floor(Math.log10(most || 1)), 0);
  const text = (value) => (decimals > 8 ? value.toExponential(2) : value.toFixed(decimals));
  return values.map((value) => (value === null ? "∞" : text(value)));
}

/** The name of an axis, above the plot. */
export function caption(plot, text) {
  const room = Math.floor((plot.right - plot.left) / 5);
  return element(
    "text",
    { class: "geodesic-axis", x: plot.left, y: plot.top - 6 },
    cut(text, room),
  );
}

/** A text of at most `letters` characters, cut with … if it is longer. */
export function cut(text, letters) {
  const all = [...text];
  return all.length <= letters ? text : `${all.slice(0, Math.max(letters - 1, 1)).join("")}…`;
}
