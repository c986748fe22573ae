/**
 * Shows the video that the blueprint "Prompt morph" has saved, below its outer node.
 *
 * The video is saved inside the subgraph, but interfaces only show it below the node that saved it.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

/** The interfaces' name for the picture or video below a node. */
const PREVIEW = "$$canvas-image-preview";
const PACK = "geodesic-morph";

app.registerExtension({
  name: "geodesic.subgraph_video",
  setup() {
    api.addEventListener("executed", ({ detail }) => show(detail));
  },
});

const nodeWithId = (graph, id) => graph?.nodes.find((node) => String(node.id) === id);

function show(detail) {
  if (!detail.output?.animated?.some(Boolean)) return;
  const [hostId, id, ...deeper] = String(detail.display_node ?? detail.node).split(":");
  const host = nodeWithId(app.rootGraph ?? app.graph.rootGraph, hostId);
  const node = nodeWithId(host?.subgraph, id);
  if (!node || deeper.length > 0 || host.properties.cnr_id !== PACK) return;
  // Tells Nodes 2.0 the kind of media; the classic canvas detects it.
  node.previewMediaType = "video";
  host.previewMediaType = "video";
  /* oxlint-disable no-underscore-dangle -- there is no public name for it */
  // Nodes 2.0 of 2026 shows what a node exposes, and then no longer the sampler's previews.
  if (host._hydratePreviewExposures) {
    host.properties.previewExposures = [
      { name: PREVIEW, sourceNodeId: id, sourcePreviewName: PREVIEW },
    ];
    host._hydratePreviewExposures();
  }
  // All others show the output of the node itself, so this is sent as its output.
  api.dispatchCustomEvent("executed", { ...detail, node: hostId, display_node: hostId });
}
