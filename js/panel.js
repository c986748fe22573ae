/**
 * A panel of ours inside a node, alike in the classic canvas and in Nodes 2.0.
 *
 * A panel holds no value of its own: what is saved and sent is always an ordinary widget, so a
 * workflow runs the same without this folder.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { element } from "./lib/dom.js";

/** ComfyUI's own keys that must reach it even while a panel has the focus. */
const passes = (event) => event.ctrlKey || event.metaKey || event.key === "Escape";

/** Load a style sheet of this folder, once. */
export function addStyles(file) {
  const { href } = new URL(`./${file}`, import.meta.url);
  if (!loaded.has(href)) document.head.append(element("link", { rel: "stylesheet", href }));
  loaded.add(href);
}

const loaded = new Set();

/** What the classic canvas leaves free around a panel, in pixels. */
const MARGIN = 8;

/**
 * Add a panel below a node's widgets.
 * @param node the node, in `nodeCreated`
 * @param {string} name the widget's name, unique in its node
 * @param {{height: () => number, draw: (size: {width: number, height: number}) => void, className?: string}} options
 *   height: least height in pixels, asked again at every layout. draw: called with the panel's size
 *   in its own pixels, whatever the zoom, at first and whenever that changes.
 * @returns the panel's empty element, its widget and `redraw`
 */
export function addPanel(node, name, { height, draw, className = "" }) {
  addStyles("panel.css");
  const root = element("div", { class: `geodesic-panel ${className}` });
  const host = element("div", { class: "geodesic-host" }, root);
  const widget = node.addDOMWidget(name, "GEODESIC_PANEL", host, {
    serialize: false,
    hideOnZoom: false,
    hideInPanel: true, // a side panel of properties would take it out of its node
    getValue: () => "",
    setValue: () => {},
    getMinHeight: () => height() && height() + 2 * MARGIN,
    margin: MARGIN,
  });
  widget.serialize = false; // in no workflow file, at no place of widgets_values
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
    if (root.parentElement) left.set(`${node.id} ${name}`, new WeakRef(root.parentElement));
  });
  return { root, widget, redraw };
}

/** Keep what is meant for a panel from the canvas, and what is meant for the canvas from a panel. */
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
      if (!pans) event.stopPropagation(); // or Nodes 2.0 drags the node
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
    if (!passes(event)) event.stopPropagation(); // or Delete would delete the node
  });
}

/**
 * Hosts of nodes that were removed, by node and panel.
 *
 * When undo or reload makes a node anew under its old id, Nodes 2.0 keeps the old node's element on
 * the page and never mounts the new one. The new panel then moves into the old host; should its own
 * host be mounted after all, it moves there.
 */
const left = new Map();

function takeOver(key, root) {
  const host = left.get(key)?.deref();
  left.delete(key);
  if (!host) return;
  requestAnimationFrame(() => {
    if (host.isConnected && !root.isConnected) host.replaceChildren(root);
  });
}

/** Call `after` after a node's own callback of that name, on this one node. */
export function chain(node, name, after) {
  const before = node[name];
  node[name] = function (...given) {
    const result = before?.apply(this, given);
    after.apply(this, given);
    return result;
  };
}

/**
 * ComfyUI itself tells of no change while somebody types, and of those by a menu only at the next
 * click: it looks when the mouse button goes up, a moment before the menu's entry acts.
 */
const HINTS = ["input", "change", "keyup", "click"];

/**
 * Call `update` once per frame after changes anywhere in the workflow, while `root` is in the page.
 *
 * A node may vanish without a word (a copy made for the clipboard, a subgraph's nodes when another
 * workflow opens), so listening starts when its panel is drawn and ends when that is gone.
 */
export function watch(root, update) {
  let listening = null;
  let asked = 0;
  const stop = () => {
    cancelAnimationFrame(asked);
    asked = 0;
    listening?.abort();
    listening = null;
  };
  const look = () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
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
 * Brackets around edits that ComfyUI's undo shall take as one step.
 * @returns {{begin: () => void, finish: () => void}} `finish` may be called when nothing is open
 */
export function undoStep(node) {
  let open = false;
  const finish = () => {
    if (!open) return;
    open = false;
    app.canvas.emitAfterChange();
  };
  chain(node, "onRemoved", finish); // a node that goes away in mid-drag leaves nothing open
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
