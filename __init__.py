"""Geodesic Morph: ComfyUI nodes that morph along the shortest path."""

WEB_DIRECTORY = "./js"


async def comfy_entrypoint():
    """ComfyUI calls this once, after its own modules are ready."""
    from .nodes import GeodesicMorph

    return GeodesicMorph()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
