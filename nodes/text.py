"""Text under a node."""

from __future__ import annotations

from comfy_api.latest import io
from server import PromptServer


def show_text(cls: type[io.ComfyNode], text: str) -> None:
    """Show text under the running node, in every renderer, while the page is open."""
    PromptServer.instance.send_progress_text(text, cls.hidden.unique_id)
