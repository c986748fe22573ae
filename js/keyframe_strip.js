/**
 * A strip in each keyframe node that shows the path up to it: prompts or noises, legs, weights.
 *
 * It is drawn from the graph and has no state of its own. The graph is read again
 * after every possible change; the strip is only drawn again if something in it has changed.
 */

import { app } from "../../scripts/app.js";
import { element } from "./lib/dom.js";
import { keyframesUpTo } from "./lib/graph.js";
import { describe } from "./lib/keyframes.js";
import { addPanel, addStyles, chain, grow, watch } from "./panel.js";
import { paint } from "./strip.js";
import { say } from "./words.js";

const HEIGHTS = { GeodesicKeyframe: 84, GeodesicNoiseKeyframe: 64 };
const MIN_WIDTH = 340;

app.registerExtension({
  name: "geodesic.keyframe_strip",
  nodeCreated(node) {
    if (Object.hasOwn(HEIGHTS, node.comfyClass)) addStrip(node);
  },
});

function addStrip(node) {
  addStyles("keyframe_strip.css");
  const noise = node.comfyClass === "GeodesicNoiseKeyframe";
  const widgets = [...node.widgets];
  const svg = element("svg", { role: "img" });
  let shown = "";
  let size = null;

  function update() {
    if (!node.graph || !size) return;
    const description = describe(keyframesUpTo(node), noise, say);
    const now = JSON.stringify([description, size]);
    if (now !== shown) paint(svg, description, size);
    shown = now;
  }

  const panel = addPanel(node, "keyframe_strip", {
    height: () => HEIGHTS[node.comfyClass],
    className: "geodesic-strip",
    draw(given) {
      size = given;
      watching.start();
      update();
    },
  });
  const watching = watch(panel.root, update);
  panel.root.append(svg);

  for (const widget of widgets) chain(widget, "callback", watching.look);
  for (const moment of ["onConfigure", "onConnectionsChange"]) chain(node, moment, watching.look);
  chain(node, "onRemoved", watching.stop);
  if (node.size[0] < MIN_WIDTH) node.setSize([MIN_WIDTH, node.size[1]]);
  grow(node);
}
