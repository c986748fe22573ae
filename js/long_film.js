/** Morph Schedule's long films: with "go on", each queued run begins where the one before ended. */

import { app } from "../../scripts/app.js";
import { nextFirstFrame } from "./lib/long_film.js";
import { chain } from "./panel.js";

app.registerExtension({
  name: "geodesic.long_film",
  nodeCreated(node) {
    if (node.comfyClass !== "GeodesicSchedule") return;
    const widget = (name) => node.widgets?.find((candidate) => candidate.name === name);
    const first = widget("first_frame");
    if (!first) return;
    // ComfyUI calls this of every widget after each run that it has put into its queue.
    chain(first, "afterQueued", () => {
      const [limit, after] = ["frame_limit", "after_run"].map((name) => widget(name)?.value);
      first.value = nextFirstFrame(first.value, limit, after);
      first.callback?.(first.value);
    });
  },
});
