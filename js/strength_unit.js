/**
 * Files from before `strength_unit` keep the meaning of their strength, the paper's own. Nodes that
 * are added now count strength by the number of latent values.
 */

import { app } from "../../scripts/app.js";
import { isStored } from "./lib/stored_widgets.js";
import { chain } from "./panel.js";

const UNIT = "strength_unit";
const ABSOLUTE = "absolute";

app.registerExtension({
  name: "geodesic.strength_unit",
  nodeCreated(node) {
    const widget = node.widgets?.find(({ name }) => name === UNIT);
    if (!widget || !node.comfyClass?.startsWith("Geodesic")) return;
    chain(node, "onConfigure", ({ widgets_values: values }) => {
      if (!isStored(values, node.widgets, UNIT)) widget.value = ABSOLUTE;
    });
  },
});
