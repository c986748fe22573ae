/** The texts of our panels in the language of the interface, from locales/LANGUAGE/main.json. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

let words = {};

app.registerExtension({
  name: "geodesic.words",
  /** ComfyUI waits for this before it creates nodes. */
  async init() {
    const texts = await api.getCustomNodesI18n();
    const language = app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";
    words = { ...texts.en?.geodesicMorph, ...texts[language]?.geodesicMorph };
  },
});

/**
 * The text of a key, with {name} replaced by `values.name`. An unknown key is shown as it is.
 * @param {string} key
 * @param {Record<string, string | number>} values
 */
export function say(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
