/**
 * Who feeds an input, told from the graph in the page as ComfyUI tells it when it sends a prompt.
 *
 * Links are followed against their direction: through reroutes and other nodes that only the page
 * knows, through bypassed nodes by type, into subgraphs by their outputs and out of them by their
 * inputs. What cannot be told is UNKNOWN, never a guess.
 *
 * Everything is read through LiteGraph's own names, and few of them, so that plain objects serve as
 * graphs in tests:
 *   graph: id, getNodeById, links (a Map), nodes, rootGraph, subgraphs; a subgraph: outputNode
 *   node: id, type, comfyClass, mode, graph, inputs, outputs, widgets, getInputLink, isVirtualNode,
 *         resolveVirtualOutput; a subgraph's node: subgraph, getWidgetFromSlot
 *   link: origin_id, origin_slot, target_id, target_slot, originIsIoNode
 *
 * @typedef {{node: object, hosts: object[]}} Place a node, and the subgraph nodes it is inside of,
 *   outermost first; fewer where a subgraph is used twice and we cannot know which use is meant
 * @typedef {Place & {slot: number}} Output
 */

const MUTED = 2;
const BYPASSED = 4;

/** Something is connected there, but only a run of the workflow tells what. */
export const UNKNOWN = Object.freeze({ unknown: true });

/** Where a node stands, subgraphs included. */
export function placeOf(node) {
  const root = node.graph?.rootGraph ?? node.graph;
  const hosts = [];
  let graph = node.graph;
  while (graph && graph.id !== root.id) {
    const { id } = graph;
    const users = [root, ...(root.subgraphs?.values() ?? [])]
      .flatMap((one) => one.nodes)
      .filter((one) => one.subgraph?.id === id);
    if (users.length !== 1 || hosts.includes(users[0])) break;
    hosts.unshift(users[0]);
    ({ graph } = users[0]);
  }
  return { node, hosts };
}

/** A name for a place, or for a slot there, that no other has. */
export function nameOf({ node, hosts }, slot = "") {
  return [...hosts.map((host) => host.id), node.graph?.id, node.id, slot].join("/");
}

export const slotNamed = (node, name) =>
  node.inputs?.findIndex((input) => input.name === name) ?? -1;

/** The link that ends in an input, or null. */
export function linkInto(node, slot) {
  // A subgraph's node answers getInputLink for its outputs, from inside.
  if (!node.subgraph) return node.getInputLink?.(slot) ?? null;
  for (const link of node.graph.links.values())
    if (String(link.target_id) === String(node.id) && link.target_slot === slot) return link;
  return null;
}

/**
 * What an input receives.
 * @param {Place} place
 * @param {number} slot
 * @returns {Output | {value: unknown} | typeof UNKNOWN | null} the output of a node that runs; the
 *   value of a widget outside of it; UNKNOWN; or null where nothing reaches the input
 */
export function feeding(place, slot, type = place.node.inputs[slot]?.type, seen = new Set()) {
  const link = linkInto(place.node, slot);
  if (!link) return null;
  if (link.originIsIoNode) return outside(place, link.origin_slot, seen);
  const node = place.node.graph.getNodeById(link.origin_id);
  return node ? behind({ node, hosts: place.hosts, slot: link.origin_slot }, type, seen) : null;
}

/** What an output stands for, once everything that does not run is looked through. */
function behind(output, type, seen) {
  const { node, hosts, slot } = output;
  const name = nameOf(output, slot);
  if (seen.has(name)) return UNKNOWN; // a circle; ComfyUI refuses it as well
  seen.add(name);
  if (node.mode === MUTED) return null;
  if (node.mode === BYPASSED) {
    const bypass = bypassSlot(node, slot, type);
    return bypass < 0 ? null : feeding(output, bypass, undefined, seen);
  }
  if (node.subgraph) {
    const link = node.subgraph.outputNode?.slots[slot]?.getLinks()[0];
    const inner = link && node.subgraph.getNodeById(link.origin_id);
    if (!inner) return link ? UNKNOWN : null;
    return behind({ node: inner, hosts: [...hosts, node], slot: link.origin_slot }, type, seen);
  }
  if (!node.isVirtualNode) return output;
  if (node.type === "PrimitiveNode") return { value: node.widgets?.[0]?.value };
  const elsewhere = node.resolveVirtualOutput?.(slot);
  if (elsewhere) return behind({ ...placeOf(elsewhere.node), slot: elsewhere.slot }, type, seen);
  return feeding(output, slot, type, seen);
}

/** What reaches a subgraph's input from outside: a link, or the widget of the subgraph's node. */
function outside({ hosts }, slot, seen) {
  const host = hosts.at(-1);
  if (!host) return UNKNOWN;
  const outer = { node: host, hosts: hosts.slice(0, -1) };
  if (linkInto(host, slot)) return feeding(outer, slot, undefined, seen);
  const input = host.inputs[slot];
  const widget = input && host.getWidgetFromSlot?.(input);
  return widget ? { value: widget.value } : null;
}

/** The input that stands in for an output of a bypassed node, or -1: ComfyUI's own three rules. */
function bypassSlot(node, slot, type) {
  const inputs = node.inputs ?? [];
  if (!type || type === "*") return inputs.length > slot ? slot : 0;
  const made = node.outputs?.[slot]?.type;
  const suits = (input) => fits(input.type, made) && fits(input.type, type);
  if (inputs[slot] && suits(inputs[slot])) return slot;
  const same = inputs.findIndex((input) => input.type === type);
  return same >= 0 ? same : inputs.findIndex(suits);
}

/** Whether two socket types may be joined; each may be a list with commas, or anything. */
function fits(a, b) {
  const [left, right] = [a, b].map((type) =>
    String(type || "*")
      .toLowerCase()
      .split(","),
  );
  return left.some((one) => right.some((other) => one === other || one === "*" || other === "*"));
}

/** Widgets that hold what a node with nothing else to it gives away. */
const PLAIN = ["value", "text", "string"];

/**
 * The value an input has: its widget's, or that of a plain value it is linked to.
 * @param {Place} place
 * @param {string} name
 * @returns {unknown} undefined where only a run of the workflow tells
 */
export function valueOf(place, name, seen = new Set()) {
  const slot = slotNamed(place.node, name);
  const origin = slot < 0 ? null : feeding(place, slot, undefined, seen);
  if (!origin) return place.node.widgets?.find((widget) => widget.name === name)?.value;
  if ("value" in origin) return origin.value;
  if (origin === UNKNOWN) return undefined;
  const { node } = origin;
  // A node with sockets of its own computes what it gives.
  if (node.inputs?.some((input) => !input.widget)) return undefined;
  const held = PLAIN.find((plain) => node.widgets?.some((widget) => widget.name === plain));
  return held && valueOf(origin, held, seen);
}

const CONDITIONING = "CONDITIONING";

/**
 * The words of a prompt, from the node that encodes them.
 * @param {Place} place a node with a CONDITIONING input
 * @param {number} slot that input
 * @returns {string | null} null where no one text can be told
 */
export function promptAt(place, slot, seen = new Set()) {
  const origin = feeding(place, slot, undefined, seen);
  if (!origin?.node) return null;
  const { node } = origin;
  if (node.type === "ConditioningZeroOut") return null; // nothing is left of its prompt
  const passed = passing(node, origin.slot);
  if (passed !== null) return passed < 0 ? null : promptAt(origin, passed, seen);
  const name = textWidget(node);
  const text = name && valueOf(origin, name, seen);
  return typeof text === "string" ? text : null;
}

/**
 * The one input whose prompt a node passes on, in whatever way it changes it: its only CONDITIONING,
 * or the one with its output's name. -1 where it mixes several, null where it takes none.
 */
function passing(node, slot) {
  const taken = (node.inputs ?? []).flatMap(({ type }, k) => (type === CONDITIONING ? [k] : []));
  if (taken.length === 0) return null;
  if (taken.length === 1) return taken[0];
  const name = node.outputs?.[slot]?.name;
  return taken.find((k) => node.inputs[k].name === name) ?? -1;
}

/**
 * The name of the widget that holds a prompt: `text`, or the first box of several lines in a node
 * that makes one prompt only (a node that makes two has a box for each).
 */
function textWidget(node) {
  const widgets = node.widgets ?? [];
  const named = widgets.find((widget) => widget.name === "text");
  if (named || node.outputs?.filter(({ type }) => type === CONDITIONING).length !== 1)
    return named?.name;
  const large = (widget) => widget.type === "customtext" || widget.options?.multiline;
  return widgets.find(large)?.name;
}

/**
 * The keyframes from the first to this one, as far as they can be followed.
 * @param node a keyframe of ours; its own mode does not matter, it is shown as it would be
 * @returns {{keyframes: object[], whole: boolean}} keyframes: `prompt` (null where it can't be
 *   told), `weight`, `method`, `seed` (undefined where they can't), `inverted` (an image's noise),
 *   `own`. whole: whether the first one is the path's first.
 */
export function keyframesUpTo(node) {
  const keyframes = [];
  const seen = new Set();
  let place = placeOf(node);
  for (;;) {
    seen.add(nameOf(place));
    keyframes.unshift(read(place, place.node === node));
    const slot = slotNamed(place.node, "previous");
    const origin = slot < 0 ? null : feeding(place, slot);
    if (!origin) return { keyframes, whole: true };
    const follows = origin.node && kind(origin.node) === kind(node) && !seen.has(nameOf(origin));
    if (!follows) return { keyframes, whole: false };
    place = origin;
  }
}

const kind = (node) => node.comfyClass ?? node.type;

function read(place, own) {
  const conditioning = slotNamed(place.node, "conditioning");
  const latent = slotNamed(place.node, "latent");
  return {
    prompt: conditioning < 0 ? null : promptAt(place, conditioning),
    inverted: latent >= 0 && feeding(place, latent) !== null,
    weight: valueOf(place, "weight"),
    method: valueOf(place, "method"),
    seed: valueOf(place, "seed"),
    own,
  };
}
