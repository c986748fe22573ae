/**
 * Charts in the nodes that measure: drawn from what a node returned, with nothing kept but that.
 *
 * ComfyUI keeps the outputs of every open workflow and says when it has put them back: after a
 * change of tabs, undo, or a workflow opened from the queue. While Morph Sampler works, it sends what
 * it would return so far.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { CompareChart } from "./lib/compare_chart.js";
import { CouplingChart } from "./lib/coupling_chart.js";
import { nodeAt } from "./lib/locator.js";
import { StepsChart } from "./lib/steps_chart.js";
import { addPanel, addStyles, chain, grow } from "./panel.js";
import { say } from "./words.js";

/** Per node the key of its data and what draws it. */
const KINDS = {
  GeodesicMorphSampler: ["geodesic_steps", StepsChart],
  GeodesicPathLength: ["geodesic_steps", StepsChart],
  GeodesicCouple: ["geodesic_coupling", CouplingChart],
  GeodesicCompare: ["geodesic_compare", CompareChart],
};
/** A node that has never shown a chart is made this wide when it does. */
const WIDTH = 380;

/** What a node sends while it works: {node, output}. The same name stands in nodes/render/. */
const LIVE = "geodesic.steps";

/** For each living node of ours the function that shows an output, `fresh` from a run or restored. */
const shows = new WeakMap();

app.registerExtension({
  name: "geodesic.charts",
  nodeCreated(node) {
    if (node.comfyClass in KINDS) attach(node);
  },
  setup() {
    api.addEventListener(LIVE, ({ detail }) => found(detail.node)?.(detail.output, true));
  },
  afterConfigureGraph: () => restore(app.nodeOutputs),
  onNodeOutputsUpdated: restore,
});

function attach(node) {
  const [key, Chart] = KINDS[node.comfyClass];
  addStyles("charts.css");
  let shown = false; // until there is something to see, the panel takes no room
  const panel = addPanel(node, "chart", {
    height: () => (shown ? chart.height : 0),
    draw: (size) => shown && chart.draw(size),
    className: "geodesic-chart-panel",
  });
  const chart = new Chart(panel.root, { say, url });
  panel.root.hidden = true;

  const show = (output, fresh = false) => {
    const data = output?.[key];
    if (!data?.length) return;
    if (fresh && !shown && node.size[0] < WIDTH) node.setSize([WIDTH, node.size[1]]);
    shown = true;
    panel.root.hidden = false;
    chart.show(data);
    panel.redraw();
    grow(node);
  };
  shows.set(node, show);
  chain(node, "onExecuted", (output) => show(output, true));
}

/** What shows an output in the node of this name, if it is one of ours. */
const found = (id) => shows.get(nodeAt(app.rootGraph ?? app.graph, String(id)));

/** Show all outputs of a workflow in its nodes. */
function restore(outputs) {
  for (const [id, output] of Object.entries(outputs ?? {})) found(id)?.(output);
}

/** Where ComfyUI serves a file that a node has written. */
function url({ filename, subfolder, type }) {
  const query = Object.entries({ filename, subfolder, type });
  return api.apiURL(`/view?${query.map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join("&")}`);
}
