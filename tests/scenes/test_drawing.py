"""Pictures of scenes."""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scenes.drawing import DISTANCES, color_shares, draw
from scenes.language import COLORS, SHAPES, Scene, Thing, draw_scene


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_a_picture_holds_the_colors_of_its_scene(seed: int) -> None:
    """Counted: most pixels near the background's colour, some near each thing's, few others."""
    rng = Random(seed)
    scene = draw_scene(rng)
    picture = draw(scene, rng)
    assert picture.shape == (3, 64, 64)
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    shares = color_shares(picture)
    assert shares[scene.background] > 0.4
    for thing in scene.things:
        assert shares[thing.color] > 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_symmetric_and_about_as_large_as_it_says(shape: str) -> None:
    """Left is right mirrored; everything inside lies within 1.3 radii."""
    axis = torch.linspace(-1.5, 1.5, 101)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    distance = DISTANCES[shape](x, y)
    assert torch.allclose(distance, distance.flip(1), atol=1e-4)
    inside = distance < 0
    assert float(torch.hypot(x, y)[inside].max()) < 1.3
    assert 0.8 < float(inside.sum()) * 0.03**2 < 3.2


def test_the_first_thing_is_where_the_relation_says() -> None:
    """The middle of a thing's colour lies left of, right of, above or below the other's."""
    red, blue = Thing("circle", "red"), Thing("square", "blue")
    sides = {"left of": (1, -1), "right of": (1, 1), "above": (0, -1), "below": (0, 1)}
    for relation, (axis, side) in sides.items():
        picture = draw(Scene("white", (red, blue), relation=relation), Random(1))
        is_red = (picture[0] > 0.7) & (picture[2] < 0.5)
        is_blue = (picture[2] > 0.6) & (picture[0] < 0.5)
        middles = [mask.nonzero().float().mean(0)[axis] for mask in (is_red, is_blue)]
        assert side * float(middles[0] - middles[1]) > 15


def test_sizes_differ_more_than_they_vary() -> None:
    """The largest small thing covers less than the smallest large one."""

    def covered(size: str, seed: int) -> float:
        scene = Scene("white", (Thing("circle", "black", size),))
        return color_shares(draw(scene, Random(seed)))["black"]

    small = [covered("small", k) for k in range(20)]
    large = [covered("large", k) for k in range(20)]
    assert max(small) * 2 < min(large)


def test_shares_add_up() -> None:
    """Every pixel belongs to one colour."""
    shares = color_shares(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert set(shares) == set(COLORS)
    assert sum(shares.values()) == pytest.approx(1)
