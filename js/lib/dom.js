/** Creates HTML and SVG elements in one call. */

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
  const created = SVG_TAGS.has(tag)
    ? document.createElementNS(SVG, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) created.addEventListener(name.slice(2), value);
    else created.setAttribute(name, value === true ? "" : value);
  }
  created.append(...children);
  return created;
}
