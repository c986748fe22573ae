/** A node's own widgets and inputs, by name. */

export const widgetNamed = (node, name) => node.widgets?.find((widget) => widget.name === name);

const slotOf = (node, name) => node.inputs?.findIndex((input) => input.name === name) ?? -1;

/** Whether an input takes its value from another node. */
export function linked(node, name) {
  return node.inputs?.[slotOf(node, name)]?.link != null;
}

/**
 * The number an input stands at: its widget's, or that of the node it is linked to where that node
 * is a plain number; null where only running the workflow tells.
 */
export function numberOf(node, name) {
  if (!linked(node, name)) return asNumber(widgetNamed(node, name)?.value);
  const origin = node.getInputNode?.(slotOf(node, name));
  const values = (origin?.widgets ?? []).filter((widget) => widget.name === "value");
  return values.length === 1 ? asNumber(values[0].value) : null;
}

const asNumber = (value) => (Number.isFinite(Number(value)) && value !== "" ? Number(value) : null);
