"""The small model of `scenes/` in a real ComfyUI: training, evaluation, images."""
