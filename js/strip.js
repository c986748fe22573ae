/** Draws a strip: stations on a track, the legs between them, and their captions. */

import { element } from "./lib/dom.js";
import { layout } from "./lib/keyframes.js";

/** Draw a description, such as `describe` of lib/keyframes.js makes, at this size. */
export function paint(svg, description, { width, height }) {
  const { y, stations, legs, labels } = layout(description, { width, height }, measurer(svg));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", description.words);
  svg.replaceChildren(
    ...legs.map((leg, k) => drawnLeg(leg, description.legs[k], y)),
    ...labels.map((label) => drawnLabel(label, description.stations[label.station], stations, y)),
    ...stations.map(({ x }, k) => drawnStation(x, y, description.stations[k])),
  );
}

function drawnLeg({ x1, x2, label }, { style, full }, y) {
  const parts = [
    element("title", {}, full),
    element("line", { class: "geodesic-touch", x1, x2, y1: y, y2: y }),
    element("line", { class: `geodesic-leg geodesic-${style}`, x1, x2, y1: y, y2: y }),
  ];
  if (label)
    parts.push(element("text", { class: "geodesic-share", x: (x1 + x2) / 2, y: y + 3.5 }, label));
  return element("g", {}, ...parts);
}

function drawnStation(x, y, { full, own }) {
  const r = own ? 5 : 3.5;
  return element(
    "g",
    { class: own ? "geodesic-station geodesic-own" : "geodesic-station" },
    element("title", {}, full),
    element("circle", { class: "geodesic-touch", cx: x, cy: y, r: 9 }),
    element("circle", { cx: x, cy: y, r }),
  );
}

function drawnLabel({ station, anchor, x, lines, leader }, { full, own }, stations, y) {
  const from = stations[station].x;
  return element(
    "g",
    { class: own ? "geodesic-caption geodesic-own" : "geodesic-caption", "text-anchor": anchor },
    element("title", {}, full),
    element("line", { class: "geodesic-leader", x1: from, y1: y, x2: leader.x, y2: leader.y }),
    ...lines.map((line) => element("text", { x, y: line.y }, line.text)),
  );
}

let canvas = null;

/** Measures the width of texts in the panel's font; SVG itself can only after drawing them. */
function measurer(svg) {
  canvas ??= document.createElement("canvas").getContext("2d");
  const { fontFamily } = getComputedStyle(svg);
  return (text, strong) => {
    canvas.font = `${strong ? 600 : 400} 10px ${fontFamily}`;
    return canvas.measureText(text).width;
  };
}
