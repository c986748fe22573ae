"""Mistakes in schedules and images are errors that name the input, what came, and what to do."""

from __future__ import annotations

import pytest
import torch

from geodesic_morph.geometry.easing import CURVE
from geodesic_morph.geometry.perceptual import check_backbone, check_frames, lpips_network, measure
from geodesic_morph.geometry.times import (
    ENDINGS,
    LOOP,
    PING_PONG,
    STOP,
    Times,
    retime,
    times,
)
from tests.geometry.strategies import normal, refused

NAN, INF = float("nan"), float("inf")

# Schedules


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("frames", [0, -1, 4097, 5000])
def test_a_schedule_of_no_or_too_many_frames_is_refused(ending: str, frames: int) -> None:
    """A schedule has 1 to 4096 frames."""
    refused(lambda: times(frames, ending=ending), "frames: expected 1 to 4096", str(frames))


@pytest.mark.parametrize("ending", [STOP, LOOP])
@pytest.mark.parametrize("frames", [0, 5000])
def test_retiming_to_no_or_too_many_frames_is_refused(ending: str, frames: int) -> None:
    """A re-timed schedule obeys the same limits."""
    coarse = times(3, ending=ending)
    refused(
        lambda: retime(coarse, (1.0, 1.0), frames, closing=1.0),
        "frames: expected 1 to 4096",
        str(frames),
    )


@pytest.mark.parametrize("frames", [1, 2])
def test_a_ping_pong_without_a_far_end_is_refused(frames: int) -> None:
    """A ping-pong needs three frames, in a schedule and in a re-timed one."""
    parts = "frames: a ping-pong needs at least 3", str(frames)
    refused(lambda: times(frames, ending=PING_PONG), *parts)
    coarse = times(3, ending=PING_PONG)
    refused(lambda: retime(coarse, (1.0, 1.0), frames), *parts)


def test_an_unknown_easing_or_ending_is_refused() -> None:
    """Only the easings and endings of the menus exist."""
    refused(lambda: times(3, "bounce"), "easing: expected one of linear, ", "'bounce'")
    refused(lambda: times(3, ending="bounce"), "ending: expected one of stop, ", "'bounce'")


@pytest.mark.parametrize(
    ("curve", "reason"),
    [
        ("", "not JSON"),
        ("linear", "not JSON"),
        ("[[0, 0], [1, 1]", "not JSON"),
        ("1", "Every point is a pair of numbers"),
        ('{"0": 1}', "Every point is a pair of numbers"),
        ("[0, 1]", "Every point is a pair of numbers"),
        ("[[0, 0, 0], [1, 1, 1]]", "Every point is a pair of numbers"),
        ('[[0, 0], [1, "1"]]', "Every point is a pair of numbers"),
        ("[[0, 0], [1, null]]", "Every point is a pair of numbers"),
        ("[[0, NaN], [1, 1]]", "Every point is a pair of numbers"),
        ("[[0, 0], [1, Infinity]]", "Every point is a pair of numbers"),
        ("[[false, false], [true, true]]", "Every point is a pair of numbers"),
        pytest.param("[[0, 0], [1, 1" + "0" * 400 + "]]", "", id="a number beyond float64"),
        ("[]", "at least two of them, got 0"),
        ("[[0, 0]]", "at least two of them, got 1"),
        ("[[0, 0], [0.5, 0.2], [0.5, 0.8], [1, 1]]", "rising from 0 to 1"),
        ("[[0, 0], [0.6, 0.2], [0.5, 0.8], [1, 1]]", "rising from 0 to 1"),
        ("[[0.1, 0], [1, 1]]", "rising from 0 to 1"),
        ("[[0, 0], [0.9, 1]]", "rising from 0 to 1"),
        ("[[1, 1], [0, 0]]", "rising from 0 to 1"),
        ("[[0, 0], [0.5, 1.1], [1, 1]]", "every t in [0, 1]"),
        ("[[0, -0.1], [1, 1]]", "every t in [0, 1]"),
    ],
)
def test_a_malformed_curve_is_refused(curve: str, reason: str) -> None:
    """A curve is JSON points whose u rises from 0 to 1 and whose t stays in [0, 1]."""
    refused(lambda: times(5, CURVE, curve=curve), "curve: expected JSON points", reason)


@pytest.mark.parametrize("values", [(), (0.0, 1.1), (-0.1,), (0.5, NAN)])
def test_times_outside_0_1_are_no_schedule(values: tuple[float, ...]) -> None:
    """A schedule holds at least one time, and none outside [0, 1]."""
    refused(lambda: Times(values), "times: expected at least one time, all of them in [0, 1]")


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_distances_of_other_times_are_refused(count: int) -> None:
    """n times have n−1 distances; other numbers are refused."""
    refused(
        lambda: retime(times(3), (1.0,) * count, 5),
        "times and steps: ",
        f"got 3 times and {count} distances",
        "Measure the images of this schedule",
    )


def test_one_frame_cannot_be_retimed() -> None:
    """A path of one frame has no speed."""
    refused(lambda: retime(times(1), (), 5), "times: expected at least two frames")


@pytest.mark.parametrize("bad", [NAN, INF, -1.0])
def test_distances_that_are_no_lengths_are_refused(bad: float) -> None:
    """Distances are finite and not negative, the closing one of a loop too."""
    parts = "steps: expected distances that are finite and not negative"
    refused(lambda: retime(times(3), (1.0, bad), 5), parts)
    refused(lambda: retime(times(3, ending=LOOP), (1.0, 1.0), 5, closing=bad), parts)


def test_a_loop_cannot_be_retimed_without_its_closing_distance() -> None:
    """A loop without the distance from its last frame to its first is refused."""
    refused(lambda: retime(times(3, ending=LOOP), (1.0, 1.0), 5), "steps: a loop needs")


# Images


def images(*shape: int) -> torch.Tensor:
    return normal(0, *shape).sigmoid()


@pytest.mark.parametrize(
    ("batches", "parts"),
    [
        ([], ("at least two frames", "got 0", "Connect all")),
        ([images(1, 64, 64, 3)], ("at least two frames", "got 1", "Connect all")),
        ([images(2, 64, 48, 3), images(2, 64, 64, 3)], ("48 x 64 and 64 x 64", "Resize them")),
        ([images(2, 64, 64, 4)], ("[2, 64, 64, 4]", "Remove an alpha channel")),
        ([images(2, 64, 64, 1)], ("[2, 64, 64, 1]",)),
        ([images(64, 64, 3)], ("[64, 64, 3]",)),
        ([images(2, 31, 64, 3)], ("at least 32 x 32", "got 64 x 31", "Enlarge")),
        ([images(2, 64, 8, 3)], ("at least 32 x 32", "got 8 x 64", "Enlarge")),
    ],
)
def test_images_that_cannot_be_measured_are_refused(
    batches: list[torch.Tensor], parts: tuple[str, ...]
) -> None:
    """Two or more RGB images of one size and large enough; checked before any work."""
    refused(lambda: check_frames(batches), "images: ", *parts)
    refused(lambda: measure(batches, torch.nn.Identity(), ""), "images: ", *parts)


@pytest.mark.parametrize("bad", [NAN, INF])
@pytest.mark.parametrize("frame", [0, 3, 4])
def test_pixels_that_are_not_finite_are_refused(bad: float, frame: int) -> None:
    """NaN and infinity are found before measuring, and the frame is named."""
    pixels = images(5, 64, 64, 3)
    pixels[frame, 1, 2, 0] = bad

    class Frozen(torch.nn.Module):
        """A substitute for the network, for which all images are equal."""

        lins = (torch.nn.Identity(),)
        scaling_layer = torch.nn.Identity()

        def net(self, x: torch.Tensor) -> list[torch.Tensor]:
            assert torch.isfinite(x).all()
            return [torch.ones_like(x)]

    refused(
        lambda: measure([pixels[:2], pixels[2:]], Frozen(), "", frames_per_batch=4),
        "images: expected finite pixels, got NaN or infinity",
        f"in frame {frame + 1}. ",
        "Check the VAE",
    )


@pytest.mark.parametrize("size", [0, -1])
def test_batches_of_no_frames_are_refused(size: int) -> None:
    """A batch holds at least one frame."""
    refused(
        lambda: measure([images(2, 64, 64, 3)], torch.nn.Identity(), "", frames_per_batch=size),
        "frames_per_batch: expected at least 1",
        str(size),
    )


def test_an_unknown_backbone_is_refused() -> None:
    """Only the backbones of the menu exist."""
    for attempt in (lambda: check_backbone("resnet"), lambda: lpips_network("resnet", {})):
        refused(attempt, "backbone: expected one of alex, vgg, squeeze", "'resnet'")
