"""Geodesics of a model's probability density."""
