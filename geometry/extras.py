"""What happens to a conditioning's other keys when prompts are mixed.

The rule, for every key of the dictionary beside the rows:

- `pooled_output` is one vector per prompt and has no rows to couple: it is averaged linearly;
- a key whose value is equal in all prompts is kept;
- a plain number that differs is averaged linearly;
- anything else that differs (areas, masks, `attention_mask`, control nets) has no meaning between
  its values, so it is an error that names the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

POOLED = "pooled_output"


def same_value(a: Any, b: Any) -> bool:
    """Equality by value, of tensors and of containers that hold tensors too."""
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


def is_number(value: Any) -> bool:
    """A plain number that may be averaged; a switch is not a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def mix_extras(
    extras: Sequence[Mapping[str, Any]], weights: Sequence[float], names: Sequence[str]
) -> dict[str, Any]:
    """Average the dictionaries of K prompts by the rule above.

    weights: K numbers that sum to 1; a weight of 1 returns that prompt's own values exactly.
    names: the K inputs, as errors should name them.
    Raises ValueError naming the key that has no value in between.
    """
    keys = list(dict.fromkeys(key for one in extras for key in one))
    return {key: _mix(key, extras, weights, names) for key in keys}


def check_extras(extras: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Raise what `mix_extras` would raise, before anything is computed."""
    mix_extras(extras, [1 / len(extras)] * len(extras), names)


def _mix(
    key: str,
    extras: Sequence[Mapping[str, Any]],
    weights: Sequence[float],
    names: Sequence[str],
) -> Any:
    values: list[Any] = [one.get(key) for one in extras]
    if all(same_value(values[0], value) for value in values[1:]):
        return values[0]
    for k, weight in enumerate(weights):
        if weight == 1:
            return values[k]
    if key == POOLED and _poolable(values):
        return average(values, weights)
    if all(is_number(value) for value in values):
        return sum(w * v for w, v in zip(weights, values, strict=True))
    raise ValueError(_no_value_between(key, values, names))


def _poolable(values: Sequence[Any]) -> bool:
    return all(isinstance(v, Tensor) and v.shape == values[0].shape for v in values)


def average(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted sum of K equal-shaped tensors, in float32 or better, in the first one's type.

    A weight of 0 leaves its tensor out, so that a weight of 1 returns the other exactly.
    """
    work = torch.promote_types(tensors[0].dtype, torch.float32)
    used = [(w, x) for w, x in zip(weights, tensors, strict=True) if w]
    total = used[0][1].to(tensors[0].device, work) * used[0][0]
    for weight, x in used[1:]:
        total.add_(x.to(total), alpha=weight)
    return total.to(tensors[0].dtype)


def _no_value_between(key: str, values: Sequence[Any], names: Sequence[str]) -> str:
    described = ", ".join(f"{n} has {_describe(v)}" for n, v in zip(names, values, strict=True))
    if key == POOLED:
        remedy = "Encode all prompts with the same text encoders."
    elif key == "attention_mask":
        remedy = "Prompts of this model must have equally many tokens; pad them to one length."
    else:
        remedy = "Give all prompts the same value, or set it after the morph."
    return (
        f"{' and '.join(names)}: '{key}' must be equal or a plain number to be blended, but "
        f"{described}. {remedy}"
    )


def _describe(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else type(value).__name__
