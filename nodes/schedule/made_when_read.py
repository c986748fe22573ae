"""Entries of a CONDITIONING whose rows are made when they are read.

ComfyUI keeps all outputs of a node in its cache. A film's rows would lie there as long as the film
is rendered: 120 frames of 512 rows with 4096 features are 1 GB. An entry of this file holds what
the rows are made of: the keyframes, which stand in the cache anyway.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from ...geometry.path import Path, joined_extras, joined_points

# Stands where the rows would be. Any code that came by it would fail at once.
_UNMADE = object()


def entries_along(paths: Sequence[Path], times: Sequence[float]) -> list[list[Any]]:
    """The CONDITIONING of the frames of one batch, one entry for each path."""
    return [_entry(path, times) for path in paths]


def _entry(path: Path, times: Sequence[float]) -> Entry:
    return Entry(lambda: joined_points(path, times), joined_extras(path, times))


class Entry(list):
    """An entry [rows, dictionary] whose rows are a new, plain tensor at every reading.

    While anybody holds the rows, the next reader gets the same tensor. Whatever writes into the
    list makes it an ordinary one first; so do its rarer methods. A copy is an ordinary list.
    """

    def __init__(self, make: Callable[[], Tensor], extras: dict[str, Any]) -> None:
        super().__init__([_UNMADE, extras])
        self._make = make
        self._last: Callable[[], Tensor | None] = lambda: None

    def _rows(self) -> Tensor:
        rows = self._last()
        if rows is None:
            rows = self._make()
            self._last = weakref.ref(rows)
        return rows

    def __iter__(self) -> Iterator[Any]:
        for value in super().__iter__():
            yield self._rows() if value is _UNMADE else value

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        if isinstance(place, slice):
            return list(self)[place]
        return self._rows() if found is _UNMADE else found

    def copy(self) -> list[Any]:
        return list(self)

    def __radd__(self, before: list[Any]) -> list[Any]:
        return [*before, *self]

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return list, (list(self),)


def _made_first(name: str) -> Callable[..., Any]:
    """A method of lists that sees an ordinary list."""
    method = getattr(list, name)

    def call(self: Entry, *arguments: Any) -> Any:
        list.__setitem__(self, slice(None), list(self))
        return method(self, *arguments)

    return call


for _name in (
    *("append", "extend", "insert", "pop", "remove", "clear", "index", "count", "sort", "reverse"),
    *("__setitem__", "__delitem__", "__iadd__", "__imul__", "__add__", "__mul__", "__rmul__"),
    *("__contains__", "__reversed__", "__repr__", "__eq__", "__ne__"),
    *("__lt__", "__le__", "__gt__", "__ge__"),
):
    setattr(Entry, _name, _made_first(_name))
