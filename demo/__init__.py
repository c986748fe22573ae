"""The main job on a fresh machine: a morph video from two prompts, through a real ComfyUI."""
