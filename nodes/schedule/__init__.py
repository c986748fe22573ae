"""Whole films: prompts on their frames, and schedules of prompts and latents for KSampler."""
