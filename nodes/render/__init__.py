"""Rendering a morph: frames where the picture changes."""
