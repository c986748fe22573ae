"""The text that ComfyUI shows under a running node."""

from __future__ import annotations

from comfy_api.latest import io
from server import PromptServer


def show_text(cls: type[io.ComfyNode], text: str) -> None:
    """Show text under the running node, in every renderer; without a server, show nothing."""
    instance = getattr(PromptServer, "instance", None)
    if instance is not None and cls.hidden is not None:
        instance.send_progress_text(text, cls.hidden.unique_id)
