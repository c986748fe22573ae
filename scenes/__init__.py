"""A small world of coloured shapes, and a text-to-image model in SD1.5's format trained on it."""
