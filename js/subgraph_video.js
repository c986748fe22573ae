/**
 * The video that the blueprint "Prompt morph" has saved, below its one node.
 *
 * It is saved inside the subgraph, and the interfaces show a video only below the node that made it.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

/** What interfaces call the picture or video below a node. */
const PREVIEW = "$$canvas-image-preview";
const PACK = "geodesic-morph";

app.registerExtension({
  name: "geodesic.subgraph_video",
  setup() {
    api.addEventListener("executed", ({ detail }) => show(detail));
  },
});

const named = (graph, id) => graph?.nodes.find((node) => String(node.id) === id);

function show(detail) {
  if (!detail.output?.animated?.some(Boolean)) return;
  const [hostId, id, ...deeper] = String(detail.display_node ?? detail.node).split(":");
  const host = named(app.rootGraph ?? app.graph.rootGraph, hostId);
  const node = named(host?.subgraph, id);
  if (!node || deeper.length > 0 || host.properties.cnr_id !== PACK) return;
  // Nodes 2.0 learns by this what it is; the classic canvas finds out by itself.
  node.previewMediaType = "video";
  host.previewMediaType = "video";
  /* oxlint-disable no-underscore-dangle -- there is no public name for it */
  // Nodes 2.0 of 2026 shows what a node says it exposes, and of the sampler's pictures no more then.
  if (host._hydratePreviewExposures) {
    host.properties.previewExposures = [
      { name: PREVIEW, sourceNodeId: id, sourcePreviewName: PREVIEW },
    ];
    host._hydratePreviewExposures();
  }
  // All others show what the node itself has made, so let it have made this.
  api.dispatchCustomEvent("executed", { ...detail, node: hostId, display_node: hostId });
}
