/**
 * Charts in the nodes that measure. They are drawn from a node's outputs and store nothing else.
 *
 * ComfyUI keeps the outputs of every open workflow, and sends an event after it has restored them:
 * when the tab changes, after undo, or when a workflow is opened from the queue. During a run Morph
 * Sampler and Density Path send their data so far.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { AnalysisChart } from "./lib/analysis_chart.js";
import { CompareChart } from "./lib/compare_chart.js";
import { CouplingChart } from "./lib/coupling_chart.js";
import { element } from "./lib/dom.js";
import { nodeAt } from "./lib/locator.js";
import { SearchChart } from "./lib/search_chart.js";
import { StepsChart } from "./lib/steps_chart.js";
import { addPanel, addStyles, chain, grow } from "./panel.js";
import { say } from "./words.js";

/** For each node type: the key of its data, the class that draws it, and what it says before a run. */
const KINDS = {
  GeodesicMorphSampler: ["geodesic_steps", StepsChart, "stepsPromise"],
  GeodesicPathLength: ["geodesic_steps", StepsChart, "stepsPromise"],
  GeodesicCouple: ["geodesic_coupling", CouplingChart, "couplingPromise"],
  GeodesicCompare: ["geodesic_compare", CompareChart, "comparePromise"],
  GeodesicDensityPath: ["geodesic_search", SearchChart, "searchPromise"],
  GeodesicDensityAnalysis: ["geodesic_analysis", AnalysisChart, "analysisPromise"],
};
/** The least height of a panel without data: two lines. */
const PROMISE = 40;
/** The least width of a node when it shows its first chart. */
const WIDTH = 380;

/** The event that a running node sends: {node, output}. Its name is also in nodes/ui/status.py. */
const LIVE = "geodesic.steps";

/** For each of our nodes the function that shows an output; `fresh` if it comes from a run. */
const shows = new WeakMap();

app.registerExtension({
  name: "geodesic.charts",
  nodeCreated(node) {
    if (node.comfyClass in KINDS) attach(node);
  },
  setup() {
    api.addEventListener(LIVE, ({ detail }) => showIn(detail.node)?.(detail.output, true));
  },
  afterConfigureGraph: () => restore(app.nodeOutputs),
  onNodeOutputsUpdated: restore,
});

function attach(node) {
  const [key, Chart, promise] = KINDS[node.comfyClass];
  addStyles("charts.css");
  let shown = false;
  const panel = addPanel(node, "chart", {
    height: () => (shown ? chart.height : PROMISE),
    draw: (size) => shown && chart.draw(size),
    className: "geodesic-chart-panel geodesic-waiting",
  });
  const chart = new Chart(panel.root, { say, url });
  panel.root.append(element("div", { class: "geodesic-promise" }, say(promise)));

  const show = (output, fresh = false) => {
    const data = output?.[key];
    if (!data?.length) return;
    if (fresh && !shown && node.size[0] < WIDTH) node.setSize([WIDTH, node.size[1]]);
    shown = true;
    panel.root.classList.remove("geodesic-waiting");
    chart.show(data);
    panel.redraw();
    grow(node);
  };
  shows.set(node, show);
  chain(node, "onExecuted", (output) => show(output, true));
  chain(node, "onConfigure", () => grow(node));
  grow(node);
  // A new node is as large as its first chart will be; a file's node then gets its own size.
  const [width, height] = node.size;
  node.setSize([Math.max(width, WIDTH), height + chart.height - PROMISE]);
}

/** The function that shows an output in the node with this id, if it is one of our nodes. */
const showIn = (id) => shows.get(nodeAt(app.rootGraph ?? app.graph, String(id)));

/** Show the outputs of a workflow in its nodes. */
function restore(outputs) {
  for (const [id, output] of Object.entries(outputs ?? {})) showIn(id)?.(output);
}

/** The URL at which ComfyUI serves a file that a node has written. */
function url({ filename, subfolder, type }) {
  const query = Object.entries({ filename, subfolder, type });
  return api.apiURL(`/view?${query.map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join("&")}`);
}
