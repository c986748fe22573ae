"""Perceptual distances of frames: nodes, LPIPS on the device, and its files of weights."""
