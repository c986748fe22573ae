/**
 * Which node feeds an input: read from the graph in the page, with the rules of ComfyUI's prompts.
 *
 * Links are followed against their direction: through reroutes and other nodes that only the page
 * knows, through bypassed nodes by type, into subgraphs by their outputs and out of them by their
 * inputs. Where this is not possible the answer is UNKNOWN, never a guess.
 *
 * Only a few of LiteGraph's names are used, so that plain objects can be graphs
 * in tests:
 *   graph: id, getNodeById, links (a Map), nodes, rootGraph, subgraphs; a subgraph: outputNode
 *   node: id, type, comfyClass, mode, graph, inputs, outputs, widgets, getInputLink, isVirtualNode,
 *         resolveVirtualOutput; a subgraph's node: subgraph, getWidgetFromSlot
 *   link: origin_id, origin_slot, target_id, target_slot, originIsIoNode
 *
 * @typedef {{node: object, hosts: object[]}} Place a node, and the subgraph nodes that contain it,
 *   outermost first; fewer if a subgraph is used twice, because the use is then not known
 * @typedef {Place & {slot: number}} Output
 */

const MUTED = 2;
const BYPASSED = 4;

/** Something is connected, but its value is only known when the workflow runs. */
export const UNKNOWN = Object.freeze({ unknown: true });

/** The place of a node, with the subgraph nodes around it. */
export function placeOf(node) {
  const root = node.graph?.rootGraph ?? node.graph;
  const hosts = [];
  let graph = node.graph;
  while (graph && graph.id !== root.id) {
    const { id } = graph;
    const users = [root, ...(root.subgraphs?.values() ?? [])]
      .flatMap((owner) => owner.nodes)
      .filter((user) => user.subgraph?.id === id);
    if (users.length !== 1 || hosts.includes(users[0])) break;
    hosts.unshift(users[0]);
    ({ graph } = users[0]);
  }
  return { node, hosts };
}

/** A unique name of a place, or of a slot there. */
export function nameOf({ node, hosts }, slot = "") {
  return [...hosts.map((host) => host.id), node.graph?.id, node.id, slot].join("/");
}

export const slotNamed = (node, name) =>
  node.inputs?.findIndex((input) => input.name === name) ?? -1;

/** The link that ends in an input, or null. */
export function linkInto(node, slot) {
  // On a subgraph's node getInputLink returns the links of its outputs, inside.
  if (!node.subgraph) return node.getInputLink?.(slot) ?? null;
  for (const link of node.graph.links.values())
    if (String(link.target_id) === String(node.id) && link.target_slot === slot) return link;
  return null;
}

/**
 * The source of an input.
 * @param {Place} place
 * @param {number} slot
 * @returns {Output | {value: unknown} | typeof UNKNOWN | null} the output of a node that runs; the
 *   value of a widget outside of the subgraph; UNKNOWN; or null if nothing is connected
 */
export function feeding(place, slot, type = place.node.inputs[slot]?.type, seen = new Set()) {
  const link = linkInto(place.node, slot);
  if (!link) return null;
  if (link.originIsIoNode) return outside(place, link.origin_slot, seen);
  const node = place.node.graph.getNodeById(link.origin_id);
  return node ? behind({ node, hosts: place.hosts, slot: link.origin_slot }, type, seen) : null;
}

/** The real source behind an output, after skipping everything that does not run. */
function behind(output, type, seen) {
  const { node, hosts, slot } = output;
  const name = nameOf(output, slot);
  if (seen.has(name)) return UNKNOWN; // a cycle, which ComfyUI refuses as well
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

/** The source of a subgraph's input outside: a link, or the widget of the subgraph's node. */
function outside({ hosts }, slot, seen) {
  const host = hosts.at(-1);
  if (!host) return UNKNOWN;
  const outer = { node: host, hosts: hosts.slice(0, -1) };
  if (linkInto(host, slot)) return feeding(outer, slot, undefined, seen);
  const input = host.inputs[slot];
  const widget = input && host.getWidgetFromSlot?.(input);
  return widget ? { value: widget.value } : null;
}

/** The input that replaces an output of a bypassed node, or -1, by ComfyUI's three rules. */
function bypassSlot(node, slot, type) {
  const inputs = node.inputs ?? [];
  if (!type || type === "*") return inputs.length > slot ? slot : 0;
  const outputType = node.outputs?.[slot]?.type;
  const suits = (input) => fits(input.type, outputType) && fits(input.type, type);
  if (inputs[slot] && suits(inputs[slot])) return slot;
  const same = inputs.findIndex((input) => input.type === type);
  return same >= 0 ? same : inputs.findIndex(suits);
}

/** Whether two socket types can be connected; each may be a comma-separated list or "*". */
function fits(a, b) {
  const [left, right] = [a, b].map((type) =>
    String(type || "*")
      .toLowerCase()
      .split(","),
  );
  return left.some((x) => right.some((y) => x === y || x === "*" || y === "*"));
}

/** The names of the widgets whose value a node without other inputs passes on. */
const PLAIN = ["value", "text", "string"];

/**
 * The value of an input: that of its widget, or of a node with a plain value that is linked to it.
 * @param {Place} place
 * @param {string} name
 * @returns {unknown} undefined if the value is only known when the workflow runs
 */
export function valueOf(place, name, seen = new Set()) {
  const slot = slotNamed(place.node, name);
  const origin = slot < 0 ? null : feeding(place, slot, undefined, seen);
  if (!origin) return place.node.widgets?.find((widget) => widget.name === name)?.value;
  if ("value" in origin) return origin.value;
  if (origin === UNKNOWN) return undefined;
  const { node } = origin;
  // A node with sockets computes its output.
  if (node.inputs?.some((input) => !input.widget)) return undefined;
  const held = PLAIN.find((plain) => node.widgets?.some((widget) => widget.name === plain));
  return held && valueOf(origin, held, seen);
}

const CONDITIONING = "CONDITIONING";

/**
 * The text of a prompt, from the node that encodes it.
 * @param {Place} place a node with a CONDITIONING input
 * @param {number} slot that input
 * @returns {string | null} null if there is no single known text
 */
export function promptAt(place, slot, seen = new Set()) {
  const origin = feeding(place, slot, undefined, seen);
  if (!origin?.node) return null;
  const { node } = origin;
  if (node.type === "ConditioningZeroOut") return null; // its prompt has no effect
  const passed = passing(node, origin.slot);
  if (passed !== null) return passed < 0 ? null : promptAt(origin, passed, seen);
  const name = textWidget(node);
  const text = name && valueOf(origin, name, seen);
  return typeof text === "string" ? text : null;
}

/**
 * The input whose prompt a node passes on, changed or not: its only CONDITIONING input,
 * or the one with its output's name. -1 if it mixes several prompts, null if it takes none.
 */
function passing(node, slot) {
  const taken = (node.inputs ?? []).flatMap(({ type }, k) => (type === CONDITIONING ? [k] : []));
  if (taken.length === 0) return null;
  if (taken.length === 1) return taken[0];
  const name = node.outputs?.[slot]?.name;
  return taken.find((k) => node.inputs[k].name === name) ?? -1;
}

/**
 * The name of the widget with the prompt: `text`, or the first multi-line text of a node
 * with only one CONDITIONING output (a node with two has a text for each).
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
 * The keyframes from the first to this one, as far back as they can be followed.
 * @param node one of our keyframe nodes; a muted or bypassed one is shown as if it were active
 * @returns {{keyframes: object[], whole: boolean}} keyframes: `prompt` (null if it is
 *   unknown), `weight`, `method`, `seed` (undefined if unknown), `inverted` (an image's noise),
 *   `own`. whole: whether the first keyframe here is the first of the path.
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
