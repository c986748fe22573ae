"""The small model of `scenes/` in a real ComfyUI: trained, evaluated, drawing."""
