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
import { CURVE, LOOP, PING_PONG, PRESETS, STOP, easingFunction, uniform } from "./lib/times.js";
import { addPanel, chain, grow, undoStep, watch } from "./panel.js";
import { say } from "./words.js";

const HEIGHT = 236;
const MIN_WIDTH = 320;
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
  const [easing, curve] = ["easing", "curve"].map((name) =>
    widgets.find((widget) => widget.name === name),
  );
  hideText(node, curve);
  const state = () => read(node);
  const step = undoStep(node);
  const actions = {
    state,
    /** Show these points at once; all edits until `finish` are one step of undo. */
    edit(next) {
      step.begin();
      set(curve, points.format(next));
      set(easing, CURVE);
      panel.redraw();
    },
    finish: step.finish,
    choose(preset) {
      step.begin();
      if (preset === CURVE && !points.parse(curve.value))
        set(curve, points.format(state().points ?? points.sample(easingFunction(PRESETS[0]))));
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

/** A node that is not in the workflow yet has no links to ask for. */
const linked = (node, name) =>
  Boolean(node.graph) && linkInto(node, slotNamed(node, name)) !== null;

/**
 * What the node's widgets and links say: `points` to handle, `ease` to draw (null when the curve
 * can't be read), `problem` in words, and whether it is `locked` because another node decides.
 */
function read(node) {
  const place = placeOf(node);
  const given = (name) =>
    valueOf(place, name) ?? node.widgets.find((widget) => widget.name === name).value;
  const easing = given("easing");
  const own = easing === CURVE;
  const stored = points.parse(given("curve"));
  const locked = linked(node, "curve") || linked(node, "easing");
  const frames = Math.max(1, Number(given("frames")) || 1);
  // Python refuses a ping-pong of two frames; there is nothing to draw of it but the way there.
  const ending = given("ending") === PING_PONG && frames < 3 ? STOP : given("ending");
  return {
    frames,
    ending,
    easing,
    points: own ? stored : points.sample(easingFunction(easing)),
    ease: own && !stored ? null : easingFunction(easing, stored),
    problem: problem(locked, own, stored, ending),
    locked,
  };
}

function problem(locked, own, stored, ending) {
  if (locked) return say("curveLinked");
  if (!own) return "";
  if (!stored) return say("curveUnreadable");
  const open = [stored[0][1], stored.at(-1)[1]].some((t) => t !== 0 && t !== 1);
  return ending === LOOP && open ? say("curveLoop") : "";
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
