"""Checks of the source code, run by `make lint`."""
