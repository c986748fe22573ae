/** A live strip in Prompt Path from Text and Prompt Keyframes: which prompt stands where. */

import { app } from "../../scripts/app.js";
import { element } from "./lib/dom.js";
import { describePrompts, describeText } from "./lib/film_strip.js";
import { feeding, placeOf, promptAt, valueOf } from "./lib/graph.js";
import { addPanel, addStyles, chain, grow, watch } from "./panel.js";
import { paint } from "./strip.js";
import { say } from "./words.js";

const HEIGHT = 84;
const MIN_WIDTH = 400;
/** Room for the lines of the text, beyond the least that ComfyUI gives it. */
const TEXT = 150;
const NODES = { GeodesicPromptText: ofText, GeodesicKeyframes: ofPrompts };

app.registerExtension({
  name: "geodesic.film_strip",
  nodeCreated(node) {
    if (Object.hasOwn(NODES, node.comfyClass)) addStrip(node, NODES[node.comfyClass]);
  },
});

function film(place, length) {
  const number = (name) => Number(valueOf(place, name) ?? Number.NaN);
  const [ending, method] = ["ending", "method"].map((name) => valueOf(place, name));
  return { frames: number(length), fps: number("fps"), ending, method };
}

function ofText(node) {
  const place = placeOf(node);
  return describeText(valueOf(place, "text"), film(place, "frames"), say);
}

function ofPrompts(node) {
  const place = placeOf(node);
  const prompts = (node.inputs ?? []).flatMap(({ name }, slot) =>
    /^prompt_\d+$/.test(name) && feeding(place, slot) ? [promptAt(place, slot)] : [],
  );
  return describePrompts(valueOf(place, "frames"), prompts, film(place, "length"), say);
}

function addStrip(node, describe) {
  addStyles("keyframe_strip.css");
  const widgets = [...node.widgets];
  const svg = element("svg", { role: "img" });
  const message = element("div", { class: "geodesic-status", "aria-live": "polite" });
  let shown = "";
  let size = null;

  function update() {
    if (!node.graph || !size) return;
    const description = describe(node);
    const now = JSON.stringify([description, size]);
    if (now === shown) return;
    shown = now;
    message.textContent = description.message ?? "";
    message.style.display = description.message ? "" : "none";
    svg.style.display = description.message ? "none" : "";
    if (!description.message) paint(svg, { ...description, words: inWords(description) }, size);
  }

  const panel = addPanel(node, "film_strip", {
    height: () => HEIGHT,
    className: "geodesic-strip",
    draw(given) {
      size = given;
      watching.start();
      update();
    },
  });
  const watching = watch(panel.root, update);
  panel.root.append(svg, message);

  for (const widget of widgets) chain(widget, "callback", watching.look);
  for (const moment of ["onConfigure", "onConnectionsChange"]) chain(node, moment, watching.look);
  chain(node, "onRemoved", watching.stop);
  // Extra height is for the text, not for the strip.
  panel.widget.options.getMaxHeight = panel.widget.options.getMinHeight;
  grow(node);
  const room = node.comfyClass === "GeodesicPromptText" ? TEXT : 0;
  node.setSize([Math.max(node.size[0], MIN_WIDTH), node.size[1] + room]);
}

const inWords = ({ stations }) => stations.map(({ full }) => full).join("; ");
