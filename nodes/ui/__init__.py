"""What people see: figures, data for the panels of the browser, text under a node."""
