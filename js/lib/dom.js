/** Elements in one call; no other module spells out `document.createElementNS`. */

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set([
  "svg",
  "g",
  "path",
  "line",
  "circle",
  "rect",
  "text",
  "title",
  "polyline",
]);

/**
 * An HTML or SVG element.
 * @param {string} tag
 * @param {Record<string, unknown>} attributes `on…` are listeners, undefined ones are left out
 * @param {...(Node | string)} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}
