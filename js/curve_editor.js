/**
 * The curve editor of Morph Times.
 *
 * It edits the node's own widgets: `curve` (plain JSON) and `easing`. It has no state of its
 * own, so undo, copy, reload and the API work as for any widget.
 */

import { app } from "../../scripts/app.js";
import * as points from "./lib/curve_points.js";
import { CurveDrawing } from "./curve_drawing.js";
import { linkInto, placeOf, slotNamed, valueOf } from "./lib/graph.js";
import { CURVE, PRESETS, easingFunction } from "./lib/easing.js";
import { LOOP, MAX_FRAMES, PING_PONG, STOP, uniform } from "./lib/times.js";
import { addPanel, chain, grow, undoStep, watch } from "./panel.js";
import { say } from "./words.js";

const HEIGHT = 236;
const MIN_WIDTH = 320;
const NAMES = ["frames", "easing", "ending", "curve"];
/** Whether points snap to frames and eighths; the same for all editors of the page. */
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
    /** Show these points; all edits until `finish` are one step of undo. */
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

/** A node that is not in the workflow yet has no links. */
const linked = (node, name) =>
  Boolean(node.graph) && linkInto(node, slotNamed(node, name)) !== null;

/**
 * The state of the node's widgets and links: `points` to edit and `ease` to draw (both null if the
 * curve or the easing can't be read), `problem` in words, and `locked`: whether another node
 * decides.
 */
function read(node) {
  const place = placeOf(node);
  const values = Object.fromEntries(NAMES.map((name) => [name, valueOf(place, name)]));
  const unknown = NAMES.filter((name) => values[name] === undefined);
  for (const name of unknown) values[name] = widgetNamed(node, name).value;
  const count = Math.floor(Number(values.frames)) || 1;
  const frames = Math.min(MAX_FRAMES, Math.max(1, count));
  const own = values.easing === CURVE;
  const stored = points.parse(values.curve);
  const known = own ? stored !== null : PRESETS.includes(values.easing);
  const ease = known ? easingFunction(values.easing, stored) : null;
  // Python refuses a ping-pong of two frames, so only its first half is drawn.
  const short = values.ending === PING_PONG && frames < 3;
  const locked = linked(node, "curve") || linked(node, "easing");
  const open = own && stored && [stored[0][1], stored.at(-1)[1]].some((t) => t !== 0 && t !== 1);
  const problems = [
    ["curveUnreadable", !known],
    ["curveFrames", count !== frames],
    ["curvePingPong", short],
    ["curveLoop", values.ending === LOOP && open],
    ["curveUnknown", unknown.length > 0],
    ["curveLinked", locked],
  ];
  const [problem] = problems.find(([, here]) => here) ?? [];
  return {
    frames,
    ending: short ? STOP : values.ending,
    easing: values.easing,
    points: own ? stored : ease && points.sample(ease),
    ease,
    problem: problem ? say(problem) : "",
    locked,
  };
}

/** Set a widget as if a person had typed; Nodes 2.0 needs the callback. */
function set(widget, value) {
  if (widget.value === value) return;
  widget.value = value;
  widget.callback?.(value);
}

/** Hide the text widget, whose content the drawing shows, unless it is linked. */
function hideText(node, curve) {
  const hidden = !linked(node, "curve");
  curve.hidden = hidden; // for the classic canvas
  curve.options.hidden = hidden; // for Nodes 2.0
  curve.computeSize = hidden ? () => [0, -4] : undefined; // for frontend 1.32 (no empty row)
}
