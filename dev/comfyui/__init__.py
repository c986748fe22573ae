"""The real ComfyUI of demo and tests. This file imports nothing: the set-up runs on bare Python."""
