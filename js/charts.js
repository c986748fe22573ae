/**
 * Charts in the nodes that measure. They are drawn from a node's outputs and store nothing else.
 *
 * ComfyUI keeps the outputs of every open workflow, and sends an event after it has restored them:
 * when the tab changes, after undo, or when a workflow is opened from the queue.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { CompareChart } from "./lib/compare_chart.js";
import { CouplingChart } from "./lib/coupling_chart.js";
import { nodeAt } from "./lib/locator.js";
import { StepsChart } from "./lib/steps_chart.js";
import { addPanel, addStyles, chain, grow } from "./panel.js";
import { say } from "./words.js";

/** For each node type: the key of its data, and the class that draws it. */
const KINDS = {
  GeodesicPathLength: ["geodesic_steps", StepsChart],
  GeodesicCouple: ["geodesic_coupling", CouplingChart],
  GeodesicCompare: ["geodesic_compare", CompareChart],
};
/** The least width of a node when it shows its first chart. */
const WIDTH = 380;

/** For each of our nodes the function that shows an output. */
const shows = new WeakMap();

app.registerExtension({
  name: "geodesic.charts",
  nodeCreated(node) {
    if (node.comfyClass in KINDS) attach(node);
  },
  afterConfigureGraph: () => restore(app.nodeOutputs),
  onNodeOutputsUpdated: restore,
});

function attach(node) {
  const [key, Chart] = KINDS[node.comfyClass];
  addStyles("charts.css");
  let shown = false; // without data the panel takes no room
  const panel = addPanel(node, "chart", {
    height: () => (shown ? chart.height : 0),
    draw: (size) => shown && chart.draw(size),
    className: "geodesic-chart-panel",
  });
  const chart = new Chart(panel.root, { say, url });
  panel.root.hidden = true;

  const show = (output) => {
    const data = output?.[key];
    if (!data?.length) return;
    shown = true;
    panel.root.hidden = false;
    chart.show(data);
    panel.redraw();
    grow(node);
  };
  shows.set(node, show);
  chain(node, "onExecuted", (output) => {
    const first = !shown && output?.[key]?.length;
    if (first && node.size[0] < WIDTH) node.setSize([WIDTH, node.size[1]]);
    show(output);
  });
}

/** Show the outputs of a workflow in its nodes. */
function restore(outputs) {
  for (const [id, output] of Object.entries(outputs ?? {})) {
    const node = nodeAt(app.rootGraph ?? app.graph, id);
    shows.get(node)?.(output);
  }
}

/** The URL at which ComfyUI serves a file that a node has written. */
function url({ filename, subfolder, type }) {
  const query = Object.entries({ filename, subfolder, type });
  return api.apiURL(`/view?${query.map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join("&")}`);
}
