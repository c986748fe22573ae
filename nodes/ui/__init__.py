"""The display: figures, data for the panels in the browser, text under a node."""
