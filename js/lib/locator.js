/** Finds nodes by the ids that ComfyUI gives to their outputs. */

/**
 * The node of an output, or null.
 * @param root the workflow's root graph
 * @param {string} id a node's id in the root graph; "subgraph:node" with the subgraph's own id, as
 *   the page writes it; or "node:node", the subgraphs' nodes, as the server writes it
 */
export function nodeAt(root, id) {
  const way = id.split(":");
  const last = way.pop();
  const named = way.length === 1 ? root?.subgraphs?.get(way[0]) : null;
  let graph = named ?? root;
  if (!named) for (const step of way) graph = graph?.getNodeById(step)?.subgraph;
  return graph?.getNodeById(last) ?? null;
}
