"""How the keys of a conditioning, everything beside its rows, are blended when prompts are mixed.

The rule for every key:

- a value that is equal in all prompts is kept; so is a ControlNet with the same settings, of which
  every Apply ControlNet node makes a copy of its own;
- `pooled_output`, one vector per prompt, is averaged linearly;
- a number that differs is averaged linearly if its key is in `QUANTITIES`;
- words that differ, under a key that ComfyUI does not read, are left out: they steer nothing;
- where the prompts' rows are paired in their own order (`by_row`), so is what belongs to rows:
  further rows under a key in `ROWS` are averaged, the shorter ones padded with zeros, and of the
  masks in `MASKS` a row is shown if one of the prompts shows it;
- anything else that differs is an error that names the key: areas, masks, `attention_mask`,
  ControlNets, and numbers that count or choose something, such as an index or a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .steering_keys import STEERING

POOLED = "pooled_output"
CONTROL = "control"

# Numbers that are amounts, so that a value between two others has a meaning too. This list comes
# from all keys that ComfyUI 0.3.75 puts into a conditioning. Models convert each of these to a
# float before they use it, so whole numbers may become fractions.
QUANTITIES = {
    # Set Area, Set Area Strength: a factor on the prompt's effect on the picture.
    "strength",
    # Set Mask: a factor on the mask.
    "mask_strength",
    # Set Timestep Range: the shares of the denoising at which the prompt starts and stops to act.
    "start_percent",
    "end_percent",
    # FluxGuidance (Flux, HunyuanVideo and others): how closely to follow the prompt; embedded.
    "guidance",
    # SDXL, SDXL refiner, HunyuanDiT, PixArt: sizes and crop in pixels. SDXL puts them as floats
    # into the sines of a timestep embedding, PixArt and HunyuanDiT into a float tensor. So a width
    # of 1331.2 acts like something between 1331 and 1332. No picture gets this size.
    "width",
    "height",
    "crop_w",
    "crop_h",
    "target_width",
    "target_height",
    # SDXL refiner: a rating from 0 to 1000; embedded like the sizes.
    "aesthetic_score",
    # Stable Video Diffusion: pictures per second, amount of motion, amount of noise added to the
    # first picture; embedded like the sizes.
    "fps",
    "motion_bucket_id",
    "augmentation_level",
    # LTXV, Cosmos: pictures per second; time is divided by it.
    "frame_rate",
    # SD x4 upscaler, HunyuanVideo and HunyuanImage refiners: share of noise in the given picture.
    "noise_augmentation",
    # Stable Audio: start and length in seconds; made a float and embedded.
    "seconds_start",
    "seconds_total",
    # ACE-Step: a factor on the lyrics.
    "lyrics_strength",
}
# Numbers that are deliberately left out: `guiding_frame_index` and `concat_mask_index` choose a
# frame and a channel; `seed` chooses noise; `azimuth` and `elevation` are angles (half way from 350
# to 10 degrees is 0, not 180); `clip_start_percent` and `clip_end_percent` say for which part of a
# schedule of hooks the rows were encoded, and other parts have other rows.


# Which of a prompt's rows the model reads, [B, N]: LTXV, Lumina, Chroma and others; HunyuanDiT.
MASKS = {"attention_mask", "attention_mask_mt5xl"}
# Rows of further text encoders, [B, ..., N, D]: HiDream, HunyuanImage, HunyuanDiT, ACE-Step 1.5.
ROWS = {
    "conditioning_llama3",
    "conditioning_byt5small",
    "conditioning_mt5xl",
    "conditioning_lyrics",
}

# Attributes of a ControlNet that hold another one, and the hooks that are on while it acts.
NESTED = ("previous_controlnet", "extra_hooks")


def same_value(a: Any, b: Any) -> bool:
    """Whether two values are equal, also for tensors and for containers of tensors."""
    if a is b:
        return True
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and bool(torch.equal(a.cpu(), b.cpu()))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same_value(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return False
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)


def same_entry(key: str, a: Any, b: Any) -> bool:
    """Whether two prompts have the same value of this key."""
    return same_value(a, b) or (key == CONTROL and _same_settings(a, b))


def _same_settings(a: Any, b: Any) -> bool:
    """Whether two ControlNets are copies of one with the same image, strength and so on.

    A ControlNet's attributes are all that it is. Only those that it holds further objects of the
    same kind in (an earlier ControlNet, a group of hooks) are looked into.
    """
    if a is None or type(a) is not type(b) or not hasattr(a, "__dict__"):
        return False
    mine, others = vars(a), vars(b)
    return (
        bool(mine)
        and mine.keys() == others.keys()
        and all(
            same_value(value, others[name])
            or (name in NESTED and _same_settings(value, others[name]))
            for name, value in mine.items()
        )
    )


def is_note(key: str, value: Any) -> bool:
    """Whether this is words that no model reads: a text or texts, or nothing, of another node."""
    if isinstance(value, (list, tuple)):
        return key not in STEERING and all(is_note(key, part) for part in value)
    return key not in STEERING and (value is None or isinstance(value, str))


def is_number(value: Any) -> bool:
    """Whether a value is an int or a float; a bool is not a number here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def mix_extras(
    extras: Sequence[Mapping[str, Any]],
    weights: Sequence[float],
    names: Sequence[str],
    by_row: bool = False,
) -> dict[str, Any]:
    """Mix the dictionaries of K prompts by the rule above.

    weights: K numbers that sum to 1; a weight of 1 returns that prompt's own values exactly.
    names: the K inputs, as errors should name them. by_row: the prompts' rows are paired in order.
    Raises ValueError naming the key that cannot be blended.
    """
    keys = list(dict.fromkeys(key for dictionary in extras for key in dictionary))
    whole = [dictionary for dictionary, weight in zip(extras, weights, strict=True) if weight == 1]
    kept = [
        key
        for key in keys
        if _equal(key, extras)
        or any(key in own for own in whole)
        or not all(is_note(key, dictionary.get(key)) for dictionary in extras)
    ]
    mixed = {key: _mix(key, extras, weights, names, by_row) for key in kept}
    # A prompt without a mask shows all its rows, so of them and a mask nothing is hidden.
    unmasked = {key for key in MASKS & mixed.keys() if mixed[key] is None and not whole}
    return {key: value for key, value in mixed.items() if key not in unmasked}


def check_extras(
    extras: Sequence[Mapping[str, Any]], names: Sequence[str], by_row: bool = False
) -> None:
    """Raise what `mix_extras` would raise, before anything is computed."""
    mix_extras(extras, [1 / len(extras)] * len(extras), names, by_row)


def _mix(
    key: str,
    extras: Sequence[Mapping[str, Any]],
    weights: Sequence[float],
    names: Sequence[str],
    by_row: bool,
) -> Any:
    values: list[Any] = [dictionary.get(key) for dictionary in extras]
    if _equal(key, extras):
        return values[0]
    for k, weight in enumerate(weights):
        if weight == 1:
            return values[k]
    if key == POOLED and _poolable(values):
        return average(values, weights)
    if key in QUANTITIES and all(is_number(value) for value in values):
        return sum(w * v for w, v in zip(weights, values, strict=True))
    if by_row and key in ROWS and _are_rows(values):
        return average(_padded_alike(values), weights)
    if by_row and key in MASKS and _are_masks(values):
        return None if any(value is None for value in values) else _either(values)
    raise ValueError(_cannot_blend(key, values, names))


def _equal(key: str, extras: Sequence[Mapping[str, Any]]) -> bool:
    values = [dictionary.get(key) for dictionary in extras]
    return all(same_entry(key, values[0], value) for value in values[1:])


def _poolable(values: Sequence[Any]) -> bool:
    return all(isinstance(v, Tensor) and v.shape == values[0].shape for v in values)


def _are_rows(values: Sequence[Any]) -> bool:
    """Whether these are rows of one width, in equal numbers or not; None has no rows."""
    rows = [value for value in values if value is not None]
    return all(
        isinstance(v, Tensor)
        and v.is_floating_point()
        and v.ndim >= 3
        and (*v.shape[:-2], v.shape[-1]) == (*rows[0].shape[:-2], rows[0].shape[-1])
        for v in rows
    )


def _padded_alike(values: Sequence[Tensor | None]) -> list[Tensor]:
    """All values with as many rows as the longest, zeros behind the others' own."""
    longest = max((v for v in values if v is not None), key=lambda v: v.shape[-2])
    return [
        torch.zeros_like(longest)
        if v is None
        else torch.nn.functional.pad(v, (0, 0, 0, longest.shape[-2] - v.shape[-2]))
        for v in values
    ]


def _are_masks(values: Sequence[Any]) -> bool:
    """Whether these are masks [B, N] of equally many prompts; None shows all rows."""
    masks = [value for value in values if value is not None]
    return all(isinstance(v, Tensor) and v.ndim == 2 and len(v) == len(masks[0]) for v in masks)


def _either(masks: Sequence[Tensor]) -> Tensor:
    """The rows that one of the masks shows; a mask shows none beyond its end."""
    longest = max(mask.shape[1] for mask in masks)
    first = masks[0]
    padded = [torch.nn.functional.pad(m.to(first), (0, longest - m.shape[1])) for m in masks]
    return torch.stack(padded).amax(0) if first.dtype != torch.bool else torch.stack(padded).any(0)


def average(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted sum of K tensors of one shape, in float32 or better; has the first's type.

    Tensors of weight 0 are left out, so that a weight of 1 returns its tensor exactly.
    """
    work = torch.promote_types(tensors[0].dtype, torch.float32)
    used = [(w, x) for w, x in zip(weights, tensors, strict=True) if w]
    total = used[0][1].to(tensors[0].device, work) * used[0][0]
    for weight, x in used[1:]:
        total.add_(x.to(total), alpha=weight)
    return total.to(tensors[0].dtype)


def _cannot_blend(key: str, values: Sequence[Any], names: Sequence[str]) -> str:
    described = ", ".join(f"{n} has {_describe(v)}" for n, v in zip(names, values, strict=True))
    if key == POOLED:
        remedy = "Encode all prompts with the same text encoders."
    elif key in MASKS | ROWS:
        remedy = (
            "Pad all prompts to one length in the text encoder (its minimum-length option), or "
            "choose the method 'row order'."
        )
    elif key == CONTROL:
        remedy = "Apply the same ControlNet with the same image and strength to all prompts."
    else:
        remedy = "Give all prompts the same value, or set it after the morph."
    return (
        f"{' and '.join(names)}: '{key}' must be equal in all prompts, because it cannot be "
        f"blended, but {described}. {remedy}"
    )


def _describe(value: Any) -> str:
    """A value as an error shows it; objects by their type, without a memory address."""
    if value is None:
        return "none"
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    if _is_plain(value) and len(repr(value)) <= 60:
        return repr(value)
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)} values"
    return f"an object of type {type(value).__name__}"


def _is_plain(value: Any) -> bool:
    """Whether a value consists of texts, numbers and None only, so that repr() has no address."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, (str, int, float))
