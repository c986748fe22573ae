/**
 * A panel of ours inside a node; the same in the classic canvas and in Nodes 2.0.
 *
 * A panel has no value of its own. Only ordinary widgets are saved and sent, so a
 * workflow runs the same without this folder.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { element } from "./lib/dom.js";

/** ComfyUI's own shortcuts, which must reach it even if a panel has the focus. */
const passes = (event) => event.ctrlKey || event.metaKey || event.key === "Escape";

/** Load a style sheet of this folder, once. */
export function addStyles(file) {
  const { href } = new URL(`./${file}`, import.meta.url);
  if (!loaded.has(href)) document.head.append(element("link", { rel: "stylesheet", href }));
  loaded.add(href);
}

const loaded = new Set();

/** The margin around a panel in the classic canvas, in pixels. */
const MARGIN = 8;

/**
 * Add a panel below a node's widgets.
 * @param node the node, in `nodeCreated`
 * @param {string} name the widget's name, unique in its node
 * @param {{height: () => number, draw: (size: {width: number, height: number}) => void, className?: string}} options
 *   height: least height in pixels, called at every layout. draw: called with the panel's size
 *   in its own pixels (independent of the zoom), at first and whenever the size changes.
 * @returns the panel's empty element, its widget and `redraw`
 */
export function addPanel(node, name, { height, draw, className = "" }) {
  addStyles("panel.css");
  const root = element("div", { class: `geodesic-panel ${className}` });
  const host = element("div", { class: "geodesic-host" }, root);
  const widget = node.addDOMWidget(name, "GEODESIC_PANEL", host, {
    serialize: false,
    hideOnZoom: false,
    hideInPanel: true, // the side panel would move it out of its node
    getValue: () => "",
    setValue: () => {},
    getMinHeight: () => height() && height() + 2 * MARGIN,
    margin: MARGIN,
  });
  widget.serialize = false; // not in workflow files, and without a place in widgets_values
  shield(root);

  const redraw = () => {
    host.style.minHeight = `${height()}px`;
    if (root.clientWidth > 0) draw({ width: root.clientWidth, height: root.clientHeight });
  };
  const watcher = new ResizeObserver(() => {
    if (host.isConnected && root.parentElement !== host) host.append(root);
    redraw();
  });
  chain(node, "onAdded", () => {
    watcher.observe(host);
    watcher.observe(root);
    takeOver(`${node.id} ${name}`, root);
  });
  chain(node, "onRemoved", () => {
    watcher.disconnect();
    if (root.parentElement)
      hostsOfRemoved.set(`${node.id} ${name}`, new WeakRef(root.parentElement));
  });
  return { root, widget, redraw };
}

/** Keep events for a panel away from the canvas, and pass events for the canvas on. */
function shield(root) {
  const pointers = {
    pointerdown: "processMouseDown",
    pointermove: "processMouseMove",
    pointerup: "processMouseUp",
  };
  const classic = () => root.closest(".dom-widget") !== null; // in Nodes 2.0 events bubble up
  for (const [type, process] of Object.entries(pointers))
    root.addEventListener(type, (event) => {
      const pans = event.button === 1 || (event.buttons & 4) !== 0;
      if (!pans) event.stopPropagation(); // otherwise Nodes 2.0 drags the node
      else if (classic()) app.canvas[process](event);
    });
  root.addEventListener("dblclick", (event) => event.stopPropagation());
  root.addEventListener("wheel", (event) => {
    const scrolls = event.target.closest("[data-capture-wheel]");
    if (scrolls && scrolls.scrollHeight > scrolls.clientHeight && !event.ctrlKey)
      event.stopPropagation();
    else if (classic()) {
      event.preventDefault();
      app.canvas.processMouseWheel(event);
    }
  });
  root.addEventListener("keydown", (event) => {
    if (!passes(event)) event.stopPropagation(); // otherwise Delete would delete the node
  });
}

/**
 * The host elements of removed nodes, by node id and panel.
 *
 * When undo or reload creates a node again with its old id, Nodes 2.0 keeps the old element on
 * the page and never mounts the new one. The new panel then moves into the old host; if its own
 * host is mounted later, it moves there.
 */
const hostsOfRemoved = new Map();

function takeOver(key, root) {
  const host = hostsOfRemoved.get(key)?.deref();
  hostsOfRemoved.delete(key);
  if (!host) return;
  requestAnimationFrame(() => {
    if (host.isConnected && !root.isConnected) host.replaceChildren(root);
  });
}

/** Make a callback of one node or widget also call `after`. */
export function chain(node, name, after) {
  const before = node[name];
  node[name] = function (...given) {
    const result = before?.apply(this, given);
    after.apply(this, given);
    return result;
  };
}

/**
 * ComfyUI sends no event while a person types, and after a change by a menu only at the next
 * click: it checks when the mouse button goes up, just before the menu's entry acts.
 */
const HINTS = ["input", "change", "keyup", "click"];

/**
 * Call `update` after changes in the workflow, at most once per animation frame, while `root` is in
 *
 * A node may disappear without an event (a copy made for the clipboard, a subgraph's nodes when
 * another workflow opens), so listening starts when its panel is drawn and ends when that is gone.
 */
export function watch(root, update) {
  let listening = null;
  let requested = 0;
  const stop = () => {
    cancelAnimationFrame(requested);
    requested = 0;
    listening?.abort();
    listening = null;
  };
  const look = () => {
    requested ||= requestAnimationFrame(() => {
      requested = 0;
      if (root.isConnected) update();
      else stop();
    });
  };
  const start = () => {
    if (listening) return;
    listening = new AbortController();
    const { signal } = listening;
    api.addEventListener("graphChanged", look, { signal });
    for (const type of HINTS)
      document.addEventListener(type, look, { signal, capture: true, passive: true });
  };
  return { start, stop, look };
}

/**
 * Groups edits into one step of ComfyUI's undo.
 * @returns {{begin: () => void, finish: () => void}} `finish` may be called without `begin`
 */
export function undoStep(node) {
  let open = false;
  const finish = () => {
    if (!open) return;
    open = false;
    app.canvas.emitAfterChange();
  };
  chain(node, "onRemoved", finish); // a node may be removed in the middle of a drag
  return {
    begin() {
      if (!open) app.canvas.emitBeforeChange();
      open = true;
    },
    finish,
  };
}

/** Make a node at least as tall as its widgets need. */
export function grow(node) {
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  node.graph?.setDirtyCanvas(true, true);
}
