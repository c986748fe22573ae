"""Names of new files in ComfyUI's output folder."""

from __future__ import annotations

from pathlib import Path

import folder_paths


def numbered(filename_prefix: str) -> Path:
    """A new numbered path in the output folder, without an ending; its folder exists.

    Raises ValueError, naming the input, for a prefix that leads outside that folder.
    """
    output = folder_paths.get_output_directory()
    inside = Path(output, filename_prefix).resolve()
    if not inside.is_relative_to(Path(output).resolve()):
        raise ValueError(
            "filename_prefix: expected a name inside ComfyUI's output folder, got "
            f"'{filename_prefix}'. Leave out '..' and absolute paths."
        )
    folder, name, counter, *_ = folder_paths.get_save_image_path(filename_prefix, output)
    return Path(folder, f"{name}_{counter:05}_")
