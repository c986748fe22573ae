"""Even morphs: ways to place the frames of a morph, measured side by side."""
