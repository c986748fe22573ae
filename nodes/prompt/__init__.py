"""Prompts: point clouds, couplings, paths through keyframes, and batches of their frames."""
