/** The drawing of the curve editor, and its response to mouse and keyboard. */

import * as points from "./lib/curve_points.js";
import { layout, line, nearestDot, numbered, specks } from "./lib/curve_view.js";
import { element } from "./lib/dom.js";
import { CURVE, easingFunction } from "./lib/easing.js";
import { say } from "./words.js";

/** A point within this many pixels of the mouse counts as hit. */
const REACH = 8;
/** A mouse movement of up to this many pixels still counts as a click. */
const CLICK_MOVEMENT = 3;
const ICON = { width: 26, height: 18 };

export class CurveDrawing {
  /**
   * @param {HTMLElement} root the panel
   * @param actions the functions of curve_editor.js to read and change the node
   * @param {string[]} easings the easings, with a button for each
   */
  constructor(root, actions, easings) {
    this.actions = actions;
    this.size = { width: 0, height: 0 };
    this.drag = null;
    this.presets = new Map(easings.map((easing) => [easing, this.presetButton(easing)]));
    this.magnet = element(
      "button",
      {
        type: "button",
        class: "geodesic-button geodesic-snap",
        title: say("curveSnapTip"),
        onclick: () => actions.toggleSnap(),
      },
      say("curveSnap"),
    );
    this.back = element("g");
    this.handles = element("g");
    this.svg = element(
      "svg",
      {
        class: "geodesic-plot",
        role: "group",
        "aria-label": say("curveLabel"),
        onpointerdown: (event) => this.press(event),
        onpointermove: (event) => this.hover(event),
        onpointerup: () => this.release(),
        onpointercancel: () => this.release(),
        onlostpointercapture: () => this.release(),
        onpointerleave: () => this.tell(),
        ondblclick: (event) => this.doubleClick(event),
        onkeydown: (event) => this.key(event),
      },
      this.back,
      this.handles,
    );
    this.status = element("div", { class: "geodesic-status" });
    const bar = element("div", { class: "geodesic-bar" }, ...this.presets.values(), this.magnet);
    root.append(bar, this.svg, this.status);
  }

  presetButton(easing) {
    const [w, h] = [ICON.width, ICON.height];
    const ease = easing === CURVE ? null : easingFunction(easing);
    const shares = Array.from({ length: 17 }, (_, k) => k / 16);
    const drawn = ease
      ? line(shares.map((u) => [3 + u * (w - 6), h - 3 - ease(u) * (h - 6)]))
      : `M3 ${h - 4}C9 ${h - 4} 7 5 13 8S18 ${h - 3} 23 4`;
    const icon = element("svg", {
      viewBox: `0 0 ${w} ${h}`,
      width: w,
      height: h,
      "aria-hidden": "true",
    });
    icon.append(element("path", { d: drawn, class: "geodesic-line" }));
    if (!ease) icon.append(element("circle", { cx: 13, cy: 8, r: 2.4, class: "geodesic-handle" }));
    const name = easing === CURVE ? say("curveOwn") : easing;
    return element(
      "button",
      {
        type: "button",
        class: "geodesic-button",
        title: name,
        "aria-label": name,
        onclick: () => this.actions.choose(easing),
      },
      icon,
    );
  }

  /** Draw the state of the node's widgets at this size, if it or the size has changed. */
  draw({ width, height }) {
    this.size = { width, height };
    const state = this.actions.state();
    this.state = state;
    const now = JSON.stringify([state, this.size, this.actions.snapping()]);
    if (now === this.drawn) return;
    this.drawn = now;
    for (const [easing, button] of this.presets) {
      button.setAttribute("aria-pressed", String(easing === state.easing));
      button.disabled = state.locked;
    }
    this.magnet.setAttribute("aria-pressed", String(this.actions.snapping()));
    this.svg.classList.toggle("geodesic-locked", state.locked);
    const plotHeight = Math.max(80, height - 52);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${plotHeight}`);
    this.svg.style.height = `${plotHeight}px`;
    if (!state.ease) {
      this.view = null;
      this.back.replaceChildren();
      this.handles.replaceChildren();
    } else {
      this.view = layout(state, { width, height: plotHeight });
      this.back.replaceChildren(...this.backdrop(state, this.view));
      this.placeHandles(state, this.view);
    }
    this.tell();
  }

  backdrop(state, view) {
    const { plot, y } = view;
    const parts = [];
    for (const t of [0, 0.25, 0.5, 0.75, 1]) {
      parts.push(
        element("line", {
          x1: plot.left,
          x2: plot.right,
          y1: y(t),
          y2: y(t),
          class: "geodesic-grid",
        }),
      );
      if (t % 0.5 === 0)
        parts.push(
          element("text", { x: plot.left - 9, y: y(t) + 3.5, "text-anchor": "end" }, String(t)),
        );
    }
    const tick = (number, size) => `M${view.frame(number).toFixed(2)} ${plot.bottom}v${size}`;
    const all = Array.from({ length: state.frames }, (_, k) => k + 1);
    if ((plot.right - plot.left) / state.frames > 3)
      parts.push(
        element("path", {
          d: all.map((number) => tick(number, 3)).join(""),
          class: "geodesic-tick",
        }),
      );
    for (const number of numbered(state.frames, plot.right - plot.left)) {
      parts.push(element("path", { d: tick(number, 5), class: "geodesic-tick" }));
      parts.push(
        element(
          "text",
          { x: view.frame(number), y: plot.bottom + 14, "text-anchor": "middle" },
          String(number),
        ),
      );
    }
    parts.push(element("path", { d: line(view.ghost), class: "geodesic-line geodesic-ghost" }));
    parts.push(element("path", { d: line(view.curve), class: "geodesic-line" }));
    // The positions of the frames on the path: close together is slow, far apart is fast.
    const rug = view.dots.map((dot) => `M${plot.right + 3} ${dot.y.toFixed(2)}h5`).join("");
    parts.push(element("path", { d: rug, class: "geodesic-rug" }));
    const crowded = state.frames > 90 ? " geodesic-crowded" : "";
    parts.push(element("path", { d: specks(view.dots), class: `geodesic-specks${crowded}` }));
    if (view.closing)
      parts.push(
        element("circle", {
          cx: view.closing.x,
          cy: view.closing.y,
          r: 3,
          class: "geodesic-closing",
        }),
      );
    return parts;
  }

  /** Reuses the handles, so that a handle keeps the focus while it is moved. */
  placeHandles(state, view) {
    const wanted = state.locked ? [] : state.points;
    while (this.handles.childElementCount > wanted.length) this.handles.lastChild.remove();
    while (this.handles.childElementCount < wanted.length)
      this.handles.append(
        element("circle", {
          r: 5,
          tabindex: 0,
          role: "slider",
          "aria-valuemin": 0,
          "aria-valuemax": 1,
        }),
      );
    const own = state.easing === CURVE;
    [...this.handles.children].forEach((handle, k) => {
      const [u, t] = wanted[k];
      handle.setAttribute("class", own ? "geodesic-handle" : "geodesic-handle geodesic-offered");
      handle.setAttribute("cx", view.x(u));
      handle.setAttribute("cy", view.y(t));
      handle.setAttribute("aria-label", say("curvePoint", { number: k + 1, count: wanted.length }));
      handle.setAttribute("aria-valuenow", t);
      handle.setAttribute("aria-valuetext", say("curvePlace", { u, t }));
    });
  }

  // Mouse and pen

  /** The mouse position in pixels of the drawing, at any zoom of the canvas. */
  mouse(event) {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(
      this.svg.getScreenCTM().inverse(),
    );
    return [place.x, place.y];
  }

  value([x, y]) {
    return [this.view.x.back(x), this.view.y.back(y)];
  }

  press(event) {
    if (event.button !== 0 || this.drag || !this.view || this.state.locked) return;
    const [x, y] = this.mouse(event);
    const index = this.handleAt(x, y);
    if (index < 0 && !this.onCurve(x, y)) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    const handle = this.handles.children[index];
    const grip = handle ? [handle.getAttribute("cx") - x, handle.getAttribute("cy") - y] : [0, 0];
    this.drag = { index, grip, from: [x, y], moves: false };
    handle?.focus({ preventScroll: true });
  }

  hover(event) {
    if (!this.view) return;
    const [x, y] = this.mouse(event);
    if (!this.drag) {
      this.svg.classList.toggle("geodesic-near", this.handleAt(x, y) >= 0 || this.onCurve(x, y));
      this.tell(nearestDot(this.view.dots, x));
    } else if (event.buttons === 0) this.release();
    else this.dragTo(x, y, event.altKey);
  }

  dragTo(x, y, inverted) {
    const { drag } = this;
    // The mouse may move a little during a double click.
    drag.moves ||= Math.hypot(x - drag.from[0], y - drag.from[1]) > CLICK_MOVEMENT;
    if (!drag.moves) return;
    if (drag.index < 0) drag.index = this.addAt(drag.from, inverted);
    if (drag.index < 0) return;
    const place = this.snapped([x + drag.grip[0], y + drag.grip[1]], inverted);
    this.actions.edit(points.move(this.state.points, drag.index, place));
    this.handles.children[drag.index]?.focus({ preventScroll: true });
    this.tellPoint(drag.index);
  }

  release() {
    if (!this.drag) return;
    this.drag = null;
    this.actions.finish();
  }

  doubleClick(event) {
    if (!this.view || this.state.locked) return;
    const [x, y] = this.mouse(event);
    const index = this.handleAt(x, y);
    if (index >= 0) this.removeAt(index);
    else this.addAt([x, y], event.altKey);
    this.actions.finish();
  }

  /** u and t of a place, snapped to a near frame and a near eighth. */
  snapped(place, inverted) {
    const span = ({ back }) => Math.abs(back(REACH) - back(0));
    const reach = [span(this.view.x), span(this.view.y)];
    return this.actions.snap(this.value(place), reach, inverted);
  }

  handleAt(x, y) {
    const near = [...this.handles.children].map((handle) =>
      Math.hypot(handle.getAttribute("cx") - x, handle.getAttribute("cy") - y),
    );
    const best = near.indexOf(Math.min(...near));
    return near[best] <= REACH ? best : -1;
  }

  onCurve(x, y) {
    const u = this.view.x.back(x);
    return u > 0 && u < 1 && Math.abs(this.view.y(this.state.ease(u)) - y) <= REACH;
  }

  addAt(place, inverted) {
    const { points: next, index } = points.add(this.state.points, this.snapped(place, inverted));
    if (index >= 0) this.actions.edit(next);
    return index;
  }

  removeAt(index) {
    this.actions.edit(points.remove(this.state.points, index));
    const left = Math.min(index, this.handles.childElementCount - 1);
    this.handles.children[left]?.focus({ preventScroll: true });
  }

  // Keyboard

  key(event) {
    const index = [...this.handles.children].indexOf(event.target);
    if (index < 0 || event.ctrlKey || event.metaKey || this.state.locked) return;
    const step = event.shiftKey ? 0.1 : 0.01;
    const steps = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, step],
      ArrowDown: [0, -step],
    };
    const [u, t] = this.state.points[index];
    if (event.key in steps) {
      const [du, dt] = steps[event.key];
      this.actions.edit(points.move(this.state.points, index, [u + du, t + dt]));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.removeAt(index);
    } else if (event.key === "Insert" || event.key === "Enter" || event.key === "+") {
      const added = points.add(
        this.state.points,
        points.roomBeside(this.state.points, index, this.state.ease),
      );
      if (added.index < 0) return;
      this.actions.edit(added.points);
      this.handles.children[added.index].focus({ preventScroll: true });
    } else return;
    event.preventDefault();
    this.actions.finish();
    this.tellPoint([...this.handles.children].indexOf(document.activeElement));
  }

  // Words

  tellPoint(index) {
    const point = this.state.points?.[index];
    if (this.state.problem) this.tell();
    else if (point) this.status.textContent = say("curvePlace", { u: point[0], t: point[1] });
  }

  /** Show one line of text: a problem, the frame under the mouse, or how to edit. */
  tell(frame = -1) {
    const { state, view } = this;
    const dot = view?.dots[frame];
    this.status.classList.toggle("geodesic-problem", Boolean(state.problem));
    // Screen readers read points by themselves; a problem must be announced.
    this.status.setAttribute("aria-live", state.problem ? "polite" : "off");
    this.status.textContent =
      state.problem ||
      (dot
        ? say("curveFrame", { number: frame + 1, count: state.frames, t: dot.t.toFixed(3) })
        : say("curveHint"));
  }
}
