/** What a workflow file stores of a node's widgets. */

/**
 * Whether a file has a value for a widget: files that are older than the widget have none.
 * @param {unknown} values the file's `widgets_values`, a list by position, or values by name
 * @param {{name: string, serialize?: boolean}[]} widgets all of the node's, in their order
 */
export function isStored(values, widgets, name) {
  if (!Array.isArray(values)) return values === null || values === undefined || name in values;
  const stored = widgets.filter(({ serialize }) => serialize !== false);
  return stored.findIndex((widget) => widget.name === name) < values.length;
}
