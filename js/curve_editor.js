/**
 * The curve editor of Morph Times.
 *
 * What it edits are the node's own widgets: `curve` (plain JSON) and `easing`. It keeps nothing to
 * itself, so undo, copy, reload and the API know all there is to know.
 */

import { app } from "../../scripts/app.js";
import * as points from "./lib/curve.js";
import { CurveDrawing } from "./curve_drawing.js";
import { linkInto, placeOf, slotNamed, valueOf } from "./lib/graph.js";
import {
  CURVE,
  LOOP,
  MAX_FRAMES,
  PING_PONG,
  PRESETS,
  STOP,
  easingFunction,
  uniform,
} from "./lib/times.js";
import { addPanel, chain, grow, undoStep, watch } from "./panel.js";
import { say } from "./words.js";

const HEIGHT = 236;
const MIN_WIDTH = 320;
const NAMES = ["frames", "easing", "ending", "curve"];
/** Whether points jump to frames and eighths; one choice for all editors of the page. */
let snapping = true;

app.registerExtension({
  name: "geodesic.curve_editor",
  nodeCreated(node) {
    if (node.comfyClass === "GeodesicTimes") addEditor(node);
  },
});

function addEditor(node) {
  const widgets = [...node.widgets];
  const [easing, curve] = ["easing", "curve"].map((name) => widgetNamed(node, name));
  hideText(node, curve);
  const state = () => read(node);
  const step = undoStep(node);
  const actions = {
    state,
    /** Show these points at once; all edits until `finish` are one step of undo. */
    edit(next) {
      const text = points.format(next);
      if (text === points.format(state().points)) return;
      step.begin();
      set(curve, text);
      set(easing, CURVE);
      panel.redraw();
    },
    finish: step.finish,
    choose(preset) {
      const start = points.parse(curve.value) ?? state().points ?? points.STRAIGHT;
      step.begin();
      if (preset === CURVE) set(curve, points.format(start));
      set(easing, preset);
      panel.redraw();
      step.finish();
    },
    snap: (place, reach, inverted) =>
      snapping === inverted
        ? place
        : points.snap(place, uniform(state().frames, state().ending), reach),
    snapping: () => snapping,
    toggleSnap() {
      snapping = !snapping;
      panel.redraw();
    },
  };

  let drawing = null;
  const panel = addPanel(node, "curve_editor", {
    height: () => HEIGHT,
    className: "geodesic-curve",
    draw(size) {
      if (!node.graph) return;
      watching.start(); // the number of frames may come from another node
      drawing.draw(size);
    },
  });
  const watching = watch(panel.root, () => {
    hideText(node, curve);
    panel.redraw();
  });
  drawing = new CurveDrawing(panel.root, actions, [...PRESETS, CURVE]);
  for (const widget of widgets) chain(widget, "callback", watching.look);
  for (const moment of ["onConfigure", "onConnectionsChange"]) chain(node, moment, watching.look);
  chain(node, "onRemoved", watching.stop);
  if (node.size[0] < MIN_WIDTH) node.setSize([MIN_WIDTH, node.size[1]]);
  grow(node);
}

const widgetNamed = (node, name) => node.widgets.find((widget) => widget.name === name);

/** A node that is not in the workflow yet has no links to ask for. */
const linked = (node, name) =>
  Boolean(node.graph) && linkInto(node, slotNamed(node, name)) !== null;

/**
 * What the node's widgets and links say: `points` to handle and `ease` to draw (both null when the
 * curve or the easing can't be read), `problem` in words, and whether it is `locked` because another
 * node decides.
 */
function read(node) {
  const place = placeOf(node);
  const told = Object.fromEntries(NAMES.map((name) => [name, valueOf(place, name)]));
  const unknown = NAMES.filter((name) => told[name] === undefined);
  for (const name of unknown) told[name] = widgetNamed(node, name).value;
  const count = Math.floor(Number(told.frames)) || 1;
  const frames = Math.min(MAX_FRAMES, Math.max(1, count));
  const own = told.easing === CURVE;
  const stored = points.parse(told.curve);
  const known = own ? stored !== null : PRESETS.includes(told.easing);
  const ease = known ? easingFunction(told.easing, stored) : null;
  // Python refuses a ping-pong of two frames; there is nothing to draw of it but the way there.
  const short = told.ending === PING_PONG && frames < 3;
  const locked = linked(node, "curve") || linked(node, "easing");
  const open = own && stored && [stored[0][1], stored.at(-1)[1]].some((t) => t !== 0 && t !== 1);
  const problems = [
    ["curveUnreadable", !known],
    ["curveFrames", count !== frames],
    ["curvePingPong", short],
    ["curveLoop", told.ending === LOOP && open],
    ["curveUnknown", unknown.length > 0],
    ["curveLinked", locked],
  ];
  const [problem] = problems.find(([, here]) => here) ?? [];
  return {
    frames,
    ending: short ? STOP : told.ending,
    easing: told.easing,
    points: own ? stored : ease && points.sample(ease),
    ease,
    problem: problem ? say(problem) : "",
    locked,
  };
}

/** Set a widget as typing into it does; Nodes 2.0 learns of it by the callback. */
function set(widget, value) {
  if (widget.value === value) return;
  widget.value = value;
  widget.callback?.(value);
}

/** The text is what the drawing shows, so it has no row of its own unless it comes from elsewhere. */
function hideText(node, curve) {
  const hidden = !linked(node, "curve");
  curve.hidden = hidden; // the classic canvas asks this,
  curve.options.hidden = hidden; // Nodes 2.0 this,
  curve.computeSize = hidden ? () => [0, -4] : undefined; // and frontend 1.32 leaves an empty row
}
