"""The papers' experiments, rerun on the small checkpoint of this repository."""
