"""Inversions as files: safetensors with all that a LATENT of Invert Image says of itself.

A file holds the tensors of the latent and, where there is one, of its prompt. Its metadata holds
the rest as JSON, under the key `geodesic_inversion`: noise level, σ, the model's fingerprint, and
what else stands in the dictionaries.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import folder_paths
from torch import Tensor

from ..fingerprint import Fingerprint
from ..latents import MODEL, NOISE_LEVEL, check_inverted, plain_samples
from ..output_files import numbered

# Files are recognised by this ending, because an output folder may also hold models.
ENDING = ".inversion.safetensors"
HEADER, VERSION = "geodesic_inversion", 1
PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, eq=False)
class KeptInversion:
    """An inverted image as a LATENT, and its prompt as a CONDITIONING, if it was kept too."""

    latent: dict[str, Any]
    conditioning: list[list[Any]] | None

    @property
    def summary(self) -> str:
        """What the file holds, in words."""
        count, _, *size = self.latent["samples"].shape
        images = "1 image" if count == 1 else f"{count} images"
        prompt = "without a prompt" if self.conditioning is None else "with its prompt"
        sides = "x".join(map(str, reversed(size)))
        return (
            f"{images} of {sides} latent values, noise_level {self.latent[NOISE_LEVEL]:g}, {prompt}"
        )


def save(latent: dict[str, Any], conditioning: Any, filename_prefix: str) -> Path:
    """Write an inversion into ComfyUI's output folder, numbered; returns the file.

    Raises ValueError for a latent without a noise level, for a prefix that leads outside that
    folder, and for prompts that hold more than tensors, texts and numbers.
    """
    from safetensors.torch import save_file

    check_inverted("latent", latent)
    plain_samples("latent", latent)
    tensors: dict[str, Tensor] = {}
    header = {
        "version": VERSION,
        "model": asdict(latent[MODEL]) if MODEL in latent else None,
        "latent": _packed("latent", _without_model(latent), tensors, "latent"),
        "prompt": None
        if conditioning is None
        else [
            _packed(f"prompt{k}", {"rows": rows, **extras}, tensors, "conditioning")
            for k, (rows, extras) in enumerate(conditioning)
        ],
    }
    start = numbered(filename_prefix)
    file = start.with_name(start.name + ENDING)
    # Complete or not there at all: a list of files never shows a half written one.
    part = file.with_name(file.name + ".part")
    save_file(tensors, part, {HEADER: json.dumps(header)})
    os.replace(part, file)
    return file


def load(name: str) -> KeptInversion:
    """Read an inversion, exactly as it was saved. Raises ValueError for any other file."""
    from safetensors import SafetensorError, safe_open

    file = existing_file(name)
    try:
        with safe_open(file, "pt") as opened:
            header = json.loads((opened.metadata() or {})[HEADER])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        if header["version"] != VERSION:
            raise ValueError
        latent = _unpacked("latent", header["latent"], tensors)
        prompt = header["prompt"]
        entries = None
        if prompt is not None:
            whole = [_unpacked(f"prompt{k}", entry, tensors) for k, entry in enumerate(prompt)]
            entries = [[entry.pop("rows"), entry] for entry in whole]
        if header["model"] is not None:
            made_by = header["model"]
            latent[MODEL] = Fingerprint(**made_by | {"weights": tuple(made_by["weights"])})
        check_inverted("file", latent)
        plain_samples("file", latent)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"file: expected an inversion of Save Inversion, got '{name}', which is incomplete, "
            "damaged or something else. Choose another file, or invert the image again."
        ) from error
    return KeptInversion(latent, entries)


def kept_files() -> list[str]:
    """Names of all inversions for a menu, the newest first: of the output and the input folder."""
    found = []
    for kind, folder in _folders().items():
        for at, _, names in os.walk(folder):
            for name in names:
                if name.endswith(ENDING):
                    path = Path(at, name)
                    label = path.relative_to(folder).as_posix()
                    found.append((path.stat().st_mtime, f"{label} [{kind}]"))
    return [label for _, label in sorted(found, key=lambda pair: (-pair[0], pair[1]))]


def existing_file(name: str) -> Path:
    """The file of a menu's name, `NAME [output]` or `NAME [input]`; a plain name means input.

    Raises ValueError for names that lead outside these folders, and for files that do not exist.
    """
    label, folder = folder_paths.annotated_filepath(name)
    folder = folder_paths.get_input_directory() if folder is None else folder
    path = Path(os.path.abspath(os.path.join(folder, label)))
    allowed = [Path(os.path.abspath(inside)) for inside in _folders().values()]
    if not (any(map(path.is_relative_to, allowed)) and path.name.endswith(ENDING)):
        raise ValueError(
            f"file: expected a file *{ENDING} in ComfyUI's output or input folder, got '{name}'. "
            "Choose one from the menu."
        )
    if not path.is_file():
        raise ValueError(
            f"file: expected a file in ComfyUI's output or input folder, but '{name}' is not "
            "there. Press R to refresh the menu and choose another."
        )
    return path


def _folders() -> dict[str, str]:
    return {
        "output": folder_paths.get_output_directory(),
        "input": folder_paths.get_input_directory(),
    }


def _without_model(latent: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in latent.items() if key != MODEL}


def _packed(
    prefix: str, values: dict[str, Any], tensors: dict[str, Tensor], name: str
) -> dict[str, Any]:
    """What of a dictionary goes into JSON; its tensors are added to `tensors`."""
    plain = {}
    for key, value in values.items():
        if isinstance(value, Tensor):
            # A file holds no two names for one memory.
            tensors[f"{prefix}.{key}"] = value.detach().cpu().contiguous().clone()
        else:
            plain[key] = _as_json(name, key, value)
    return plain


def _as_json(name: str, key: str, value: Any) -> Any:
    """A value as JSON, which has no tuples. Raises ValueError for other objects."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        parts = [_as_json(name, key, part) for part in value]
        return parts if isinstance(value, list) else {"tuple": parts}
    raise ValueError(
        f"{name}: expected tensors, texts and numbers, which a file can hold, got "
        f"{type(value).__name__} under '{key}'. Connect the {name} before the node that adds it."
    )


def _unpacked(prefix: str, plain: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    start = prefix + "."
    own = {k.removeprefix(start): value for k, value in tensors.items() if k.startswith(start)}
    return own | {key: _from_json(value) for key, value in plain.items()}


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(part) for part in value]
    if isinstance(value, dict):
        return tuple(_from_json(part) for part in value["tuple"])
    return value
