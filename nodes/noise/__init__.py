"""Noise: paths and mixes of noises, and the inversion of images."""
