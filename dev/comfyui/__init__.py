"""The real ComfyUI that demo and tests run on. Imports nothing: the set-up runs on bare Python."""
