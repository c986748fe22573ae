"""The text that ComfyUI shows under a running node."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from server import PromptServer

# The event with which a running node sends its panel what there is so far. Its name is also in
# js/charts.js.
LIVE = "geodesic.steps"


def show_text(cls: type[io.ComfyNode], text: str) -> None:
    """Show text under the running node, in every renderer; without a server, show nothing."""
    instance = getattr(PromptServer, "instance", None)
    if instance is not None and cls.hidden is not None:
        instance.send_progress_text(text, cls.hidden.unique_id)


def show_note(cls: type[io.ComfyNode], text: str) -> None:
    """Show text under the running node if there is any."""
    if text:
        show_text(cls, text)


def show_output(cls: type[io.ComfyNode], event: str, output: dict[str, Any]) -> None:
    """Send a panel of the running node an output before the node ends; without a server, do
    nothing.

    event: the name that the browser listens for. output: a `ui` entry of `panel_data`.
    """
    instance = getattr(PromptServer, "instance", None)
    if instance is not None and cls.hidden is not None and instance.client_id is not None:
        detail = {"node": cls.hidden.unique_id, "output": output}
        instance.send_sync(event, detail, instance.client_id)
