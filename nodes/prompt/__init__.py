"""Prompts: point clouds, couplings, paths through keyframes, schedules."""
