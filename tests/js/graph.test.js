// The sources of inputs, on plain objects like LiteGraph's; ComfyUI's own rules for bypass.
import assert from "node:assert/strict";
import { test } from "node:test";

import { UNKNOWN, feeding, keyframesUpTo, placeOf, promptAt } from "../../js/lib/graph.js";

let ids = 0;

function graph(id = "root", root = null) {
  const made = {
    id,
    nodes: [],
    links: new Map(),
    subgraphs: new Map(),
    getNodeById: (wanted) => made.nodes.find(({ id: own }) => own === wanted) ?? null,
  };
  made.rootGraph = root ?? made;
  return made;
}

/** A node; inputs as "name:TYPE", widgets with their values, which have an input each. */
function node(where, type, { inputs = [], outputs = [], widgets = {}, ...rest } = {}) {
  const slots = (list) => list.map((one) => ({ name: one.split(":")[0], type: one.split(":")[1] }));
  const made = {
    id: ++ids,
    type,
    comfyClass: type,
    mode: 0,
    graph: where,
    inputs: [
      ...slots(inputs),
      ...Object.keys(widgets).map((name) => ({ name, type: "*", widget: { name } })),
    ],
    outputs: slots(outputs),
    widgets: Object.entries(widgets).map(([name, value]) => ({ name, value })),
    getInputLink: (slot) =>
      [...where.links.values()].find((l) => l.target_id === made.id && l.target_slot === slot) ??
      null,
    ...rest,
  };
  where.nodes.push(made);
  return made;
}

function join(origin, output, target, name) {
  const id = ++ids;
  target.graph.links.set(id, {
    origin_id: origin?.id,
    origin_slot: output,
    target_id: target.id,
    target_slot: target.inputs.findIndex((input) => input.name === name),
    originIsIoNode: origin === null,
  });
}

const text = (where, words) =>
  node(where, "CLIPTextEncode", {
    inputs: ["clip:CLIP"],
    outputs: ["CONDITIONING:CONDITIONING"],
    widgets: { text: words },
  });

function keyframe(where, words, previous = null, settings = {}) {
  const made = node(where, "GeodesicKeyframe", {
    inputs: ["conditioning:CONDITIONING", "previous:GEODESIC_PATH"],
    outputs: ["path:GEODESIC_PATH"],
    widgets: { weight: 1, method: "optimal transport", seed: 0, ...settings },
  });
  if (words !== null) join(text(where, words), 0, made, "conditioning");
  if (previous) join(previous, 0, made, "previous");
  return made;
}

/** A subgraph and its node: what is wired to its outputs, and its inputs' names. */
function subgraph(outer, outputs, inputs = []) {
  const root = outer.rootGraph;
  const inner = graph(`sub${++ids}`, root);
  root.subgraphs.set(inner.id, inner);
  inner.outputNode = { slots: outputs.map(() => ({ getLinks: () => [] })) };
  const host = use(outer, inner, outputs, inputs);
  return { inner, host };
}

function use(outer, inner, outputs, inputs) {
  return node(outer, inner.id, {
    inputs,
    outputs,
    subgraph: inner,
    isVirtualNode: true,
    getInputLink: () => assert.fail("a subgraph's node answers for its outputs here"),
    getWidgetFromSlot(input) {
      return this.promoted?.[input.name];
    },
  });
}

function leave(inner, slot, origin, output = 0) {
  const link = { origin_id: origin.id, origin_slot: output, originIsIoNode: false };
  inner.outputNode.slots[slot].getLinks = () => [link];
}

const prompts = (last) => keyframesUpTo(last).keyframes.map(({ prompt }) => prompt);

test("a chain, from its first keyframe to this one", () => {
  const g = graph();
  const a = keyframe(g, "a", null, { weight: 5 });
  const b = keyframe(g, "b", a, { weight: 2, method: "row order" });
  const c = keyframe(g, "c", b);
  keyframe(g, "d", c);
  const { keyframes, whole } = keyframesUpTo(c);
  assert.ok(whole);
  assert.deepEqual(
    keyframes.map(({ prompt, weight, own }) => [prompt, weight, own]),
    [
      ["a", 5, false],
      ["b", 2, false],
      ["c", 1, true],
    ],
  );
  assert.equal(keyframes[1].method, "row order");
});

test("an unknown text is null, never a guess", () => {
  const g = graph();
  const bare = keyframe(g, null);
  const loaded = keyframe(g, null, bare);
  join(
    node(g, "LoadConditioning", { outputs: ["CONDITIONING:CONDITIONING"] }),
    0,
    loaded,
    "conditioning",
  );
  const mixed = keyframe(g, null, loaded);
  const combine = node(g, "ConditioningCombine", {
    inputs: ["a:CONDITIONING", "b:CONDITIONING"],
    outputs: ["CONDITIONING:CONDITIONING"],
  });
  join(text(g, "one"), 0, combine, "a");
  join(combine, 0, mixed, "conditioning");
  assert.deepEqual(prompts(mixed), [null, null, null]);
});

test("through nodes that pass a prompt on, by their only prompt or by the output's name", () => {
  const g = graph();
  const last = keyframe(g, null);
  const both = node(g, "ControlNetApplyAdvanced", {
    inputs: ["positive:CONDITIONING", "negative:CONDITIONING", "image:IMAGE"],
    outputs: ["positive:CONDITIONING", "negative:CONDITIONING"],
  });
  const range = node(g, "ConditioningSetTimestepRange", {
    inputs: ["conditioning:CONDITIONING"],
    outputs: ["CONDITIONING:CONDITIONING"],
    widgets: { start: 0, end: 1 },
  });
  join(text(g, "yes"), 0, both, "positive");
  join(text(g, "no"), 0, both, "negative");
  join(both, 1, range, "conditioning");
  join(range, 0, last, "conditioning");
  assert.deepEqual(prompts(last), ["no"]);
});

test("through reroutes, and text from a string node", () => {
  const g = graph();
  const reroute = node(g, "Reroute", { inputs: [":*"], outputs: [":*"], isVirtualNode: true });
  const encode = text(g, "what stood here before");
  const last = keyframe(g, null);
  join(encode, 0, reroute, "");
  join(reroute, 0, last, "conditioning");
  const string = node(g, "PrimitiveString", {
    outputs: ["STRING:STRING"],
    widgets: { value: "words" },
  });
  join(string, 0, encode, "text");
  assert.deepEqual(prompts(last), ["words"]);
  const primitive = node(g, "PrimitiveNode", { outputs: [":STRING"], isVirtualNode: true });
  primitive.widgets = [{ name: "value", value: "more words" }];
  g.links.delete([...g.links.keys()].at(-1));
  join(primitive, 0, encode, "text");
  assert.deepEqual(prompts(last), ["more words"]);
});

test("a value that is computed is unknown; one from a number node is that number", () => {
  const g = graph();
  const first = keyframe(g, "a");
  const last = keyframe(g, "b", first);
  join(
    node(g, "PrimitiveFloat", { outputs: ["FLOAT:FLOAT"], widgets: { value: 2.5 } }),
    0,
    last,
    "weight",
  );
  join(
    node(g, "Sum", { inputs: ["a:INT"], outputs: ["INT:INT"], widgets: { value: 9 } }),
    0,
    last,
    "seed",
  );
  const [, { weight, seed, method }] = keyframesUpTo(last).keyframes;
  assert.deepEqual([weight, seed, method], [2.5, undefined, "optimal transport"]);
});

test("a bypassed keyframe is skipped, a muted one ends the path", () => {
  const g = graph();
  const chain = [];
  for (const words of ["a", "b", "c", "d"]) chain.push(keyframe(g, words, chain.at(-1)));
  chain[1].mode = 4;
  assert.deepEqual(prompts(chain[3]), ["a", "c", "d"]);
  chain[1].mode = 2;
  assert.deepEqual(prompts(chain[3]), ["c", "d"]);
  chain[3].mode = 4; // its own mode does not matter to its own strip
  assert.deepEqual(prompts(chain[3]), ["c", "d"]);
});

test("a bypassed first keyframe leaves the next one first; a bypassed text encoder gives nothing", () => {
  const g = graph();
  const first = keyframe(g, "a");
  const last = keyframe(g, "b", first);
  first.mode = 4;
  assert.deepEqual(prompts(last), ["b"]);
  g.nodes.filter(({ type }) => type === "CLIPTextEncode").forEach((one) => (one.mode = 4));
  assert.deepEqual(prompts(last), [null]);
});

test("bypass goes by the same slot, then the same type, then a list that holds it", () => {
  const g = graph();
  const take = (type, inputs, outputs) => {
    const target = node(g, "Target", { inputs: [`x:${type}`] });
    const middle = node(g, "Middle", { inputs, outputs, mode: 4 });
    const sources = inputs.map((_, k) => {
      const source = node(g, `Source${k}`, { outputs: ["out:*"] });
      join(source, 0, middle, inputs[k].split(":")[0]);
      return source;
    });
    join(middle, 0, target, "x");
    const origin = feeding(placeOf(target), 0);
    return origin && sources.indexOf(origin.node);
  };
  assert.equal(take("IMAGE", ["a:IMAGE", "b:IMAGE"], ["out:IMAGE"]), 0);
  assert.equal(take("IMAGE", ["a:MASK", "b:IMAGE"], ["out:IMAGE"]), 1);
  assert.equal(take("PATH,COUPLING", ["a:MASK", "b:PATH"], ["out:PATH"]), 1);
  assert.equal(take("IMAGE", ["a:MASK"], ["out:IMAGE"]), null);
});

test("following a cycle of keyframes, reroutes or prompts ends", () => {
  const g = graph();
  const a = keyframe(g, "a");
  const b = keyframe(g, "b", a);
  join(b, 0, a, "previous");
  assert.deepEqual([prompts(b), keyframesUpTo(b).whole], [["a", "b"], false]);
  const one = node(g, "Reroute", { inputs: ["i:*"], outputs: ["o:*"], isVirtualNode: true });
  const two = node(g, "Reroute", { inputs: ["i:*"], outputs: ["o:*"], isVirtualNode: true });
  join(one, 0, two, "i");
  join(two, 0, one, "i");
  const last = keyframe(g, null);
  join(two, 0, last, "conditioning");
  assert.equal(promptAt(placeOf(last), 0), null);
  assert.equal(feeding(placeOf(last), 0), UNKNOWN);
});

test("into a subgraph by its output, and out of it by its input", () => {
  const g = graph();
  const inputs = ["before:GEODESIC_PATH", "prompt:CONDITIONING"];
  const { inner, host } = subgraph(g, ["path:GEODESIC_PATH"], inputs);
  const inside = keyframe(inner, null);
  join(null, 0, inside, "previous");
  join(null, 1, inside, "conditioning");
  leave(inner, 0, inside);
  join(keyframe(g, "a"), 0, host, "before");
  join(text(g, "b"), 0, host, "prompt");
  const last = keyframe(g, "c", host);
  assert.deepEqual(prompts(last), ["a", "b", "c"]);
  assert.deepEqual(prompts(inside), ["a", "b"], "seen from inside, too");
});

test("a subgraph that is used twice gives each use its own prompts, and nothing from inside", () => {
  const g = graph();
  const outputs = ["path:GEODESIC_PATH"];
  const inputs = ["before:GEODESIC_PATH", "text:STRING"];
  const { inner, host } = subgraph(g, outputs, inputs);
  const again = use(g, inner, outputs, inputs);
  const inside = keyframe(inner, "inside");
  const encode = inner.nodes.find(({ type }) => type === "CLIPTextEncode");
  join(null, 0, inside, "previous");
  join(null, 1, encode, "text");
  leave(inner, 0, inside);
  host.promoted = { text: { value: "first use" } };
  again.promoted = { text: { value: "second use" } };
  join(host, 0, again, "before");
  const last = keyframe(g, "end", again);
  assert.deepEqual(prompts(last), ["first use", "second use", "end"]);
  assert.deepEqual(keyframesUpTo(inside), {
    keyframes: [{ ...keyframesUpTo(inside).keyframes[0], prompt: null, own: true }],
    whole: false,
  });
});

test("a path from other nodes than our keyframes has no known beginning", () => {
  const g = graph();
  const last = keyframe(g, "b");
  join(node(g, "SomeonesPath", { outputs: ["path:GEODESIC_PATH"] }), 0, last, "previous");
  assert.deepEqual([prompts(last), keyframesUpTo(last).whole], [["b"], false]);
});

test("a noise keyframe's image takes its seed's place, unless it is bypassed away", () => {
  const g = graph();
  const noise = node(g, "GeodesicNoiseKeyframe", {
    inputs: ["latent:LATENT", "previous:GEODESIC_NOISE_PATH"],
    widgets: { seed: 42, weight: 1 },
  });
  const first = () => keyframesUpTo(noise).keyframes[0];
  assert.deepEqual([first().inverted, first().seed], [false, 42]);
  const invert = node(g, "GeodesicInvert", {
    inputs: ["model:MODEL"],
    outputs: ["latent_out:LATENT"],
  });
  join(invert, 0, noise, "latent");
  assert.ok(first().inverted);
  invert.mode = 4;
  assert.ok(!first().inverted);
});
