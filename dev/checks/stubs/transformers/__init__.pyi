"""Stands in for transformers, which ComfyUI imports: its own lists of names cost pyright 17 s."""

from typing import Any

def __getattr__(name: str) -> Any: ...
