"""Analysis of paths and clips in a real ComfyUI: density, length, geodesic or not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from geometry.density.curve import line

from .conftest import PROMPT_A, PROMPT_B, Comfy
from .densities import LEVEL, STEPS, both, clean, found, inverted, spread
from .known import KINDS, known


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    """ComfyUI runs every node like this."""
    with torch.inference_mode():
        yield


@pytest.fixture(autouse=True)
def few_steps(comfy: Comfy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node inverts plain latents in as many steps as these tests do."""
    monkeypatch.setattr(comfy.analysis.analysis, "INVERSION_STEPS", STEPS)


def analysed(comfy: Comfy, model: Any, latents: list[Any], **changes: Any) -> Any:
    """chart, table, log_distance; every input is a list, as the node collects them."""
    chosen: dict[str, Any] = {
        "positive": comfy.encode(""),
        "negative": comfy.encode(""),
        "draws": 0,
        "perturbation": 0.1,
        "smoothing": 1.0,
        "seed": 0,
        "strength": 0.02,
        "iterations": 60,
        "score": "true score",
    } | changes
    positive = chosen.pop("positive")
    positives = positive if isinstance(positive[0][0], list) else [positive]
    execute = comfy.analysis.GeodesicDensityAnalysis.execute
    return execute(
        [model], positives, latents=latents, **{name: [x] for name, x in chosen.items()}
    ).result


def clip(noise: Any, frames: Tensor) -> Any:
    """An inverted latent whose samples are replaced by frames [F, D]."""
    return noise | {"samples": frames.reshape(-1, 4, 8, 8).float()}


def norms(table: str) -> dict[str, float]:
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    return {row[1].strip(): float(row[2]) for row in rows if row[2].strip()[0].isdigit()}


@pytest.mark.parametrize("kind", KINDS)
def test_density_along_a_path_is_the_models(comfy: Comfy, kind: str) -> None:
    """Of a known density: its own log density at the frames, and its own length."""
    model = known(comfy, kind, spread())
    a, b = both(comfy, model)
    arc = line(a["samples"].flatten().double(), b["samples"].flatten().double())
    frames = arc.at([k / 60 for k in range(61)])
    sigma = a["geodesic_sigma"]
    signal = 1 - sigma if kind == "flow" else (1 + sigma**2) ** -0.5
    noise = sigma if kind == "flow" else sigma * signal
    variance = (signal * spread().flatten()) ** 2 + noise**2
    exact = -0.5 * (frames.square() / variance).sum(dim=1)
    relative = exact - exact[0]
    _, table, log_distance = analysed(comfy, model, [clip(a, frames)])
    (said,) = re.findall(r"relative to the first: (\S+);", table)
    assert float(said) == pytest.approx(float(relative[-1]), rel=5e-3, abs=0.02)
    steps = frames.diff(dim=0).norm(dim=1)
    weight = (-0.02 * relative).exp()
    length = math.log(float((steps * (weight[1:] + weight[:-1]) / 2).sum()))
    assert log_distance == pytest.approx(length, abs=2e-3)


def test_a_geodesic_is_told_from_other_paths(comfy: Comfy) -> None:
    """A density path passes the paper's criterion; a zigzag of the same frames does not."""
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model)
    settings = {"levels": 4, "iterations": 60, "frames": 17, "frames_per_batch": 0}
    _, latents, *_ = found(comfy, model, a, b, **settings)
    _, table, _ = analysed(comfy, model, latents)
    assert "Nearly a geodesic" in table
    own = norms(table)
    assert set(own) == {"given", "optimised", "perturbed", "smoothed"}
    print(own)
    assert own["given"] < 0.5 * min(own["perturbed"], own["smoothed"])

    inside = comfy.model.model.process_latent_in(latents[0]["samples"])
    frames = inside.flatten(1) / math.sqrt(1 + a["geodesic_sigma"] ** 2)
    generator = torch.Generator().manual_seed(0)
    frames[1:-1] += 0.5 * torch.randn(15, 256, generator=generator)
    _, table, _ = analysed(comfy, model, [clip(a, frames)])
    assert "Not a geodesic" in table
    own = norms(table)
    assert own["optimised"] < 0.5 * own["given"]


@pytest.mark.parametrize(
    ("norms", "near"),
    [
        ((1.0, 0.9, 2.0, 3.0), True),
        ((1.0, 0.1, 1.5, 3.0), False),  # nearer to the perturbed path
        ((1.0, 0.1, 3.0, 1.5), False),  # nearer to the smoothed path
        ((3.0, 0.5, 2.0, 9.0), False),
    ],
)
def test_a_geodesic_is_nearer_to_the_optimised_path(
    comfy: Comfy, norms: tuple[float, ...], near: bool
) -> None:
    """The paper's criterion, on the mean norms of the given path and of its three variants."""
    assert comfy
    from geodesic_morph.nodes.density.analysis import Analysis

    names = ("given", "optimised", "perturbed", "smoothed")
    unused: Any = None
    found = Analysis(unused, 0.0, dict(zip(names, norms, strict=True)), {}, unused, unused)
    assert found.is_near_geodesic == near


def test_the_optimised_path_is_shorter(comfy: Comfy) -> None:
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model)
    arc = line(a["samples"].flatten(), b["samples"].flatten())
    _, table, log_distance = analysed(comfy, model, [clip(a, arc.at([k / 8 for k in range(9)]))])
    lengths = {
        row.split("|")[1].strip(): float(row.split("|")[3])
        for row in table.splitlines()
        if row.startswith(("| given", "| optimised"))
    }
    assert lengths["optimised"] < lengths["given"] - 0.01
    assert lengths["given"] == pytest.approx(log_distance, abs=1e-3)


def test_all_three_kinds_of_latents(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """From a density path, from Invert Image, and from VAE Encode, which are inverted here."""
    a, b = pair
    positives, latents, *_ = found(
        comfy, comfy.model, a, b, frames=5, iterations=0, frames_per_batch=3
    )
    few = {"iterations": 2, "draws": 2}
    _, table, one = analysed(comfy, comfy.model, latents, positive=positives, **few)
    assert "5 frames at noise level 0.6" in table
    assert math.isfinite(one)
    plain = torch.cat([clean(comfy, seed)["samples"] for seed in (1, 2)])
    _, table, two = analysed(comfy, comfy.model, [{"samples": plain}], **few)
    inside = clip(a, torch.cat([a["samples"], b["samples"]]))
    _, same, three = analysed(comfy, comfy.model, [inside], **few)
    assert two == pytest.approx(three, abs=1e-3)
    assert "2 frames" in table
    assert "2 frames" in same


def test_two_frames_have_a_density_and_no_gradient(comfy: Comfy) -> None:
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model)
    chart, table, distance = analysed(comfy, model, [a, b])
    assert "needs three different frames" in table
    assert "Three different frames are needed" in table
    assert math.isfinite(distance)
    assert chart.shape[3] == 3
    with pytest.raises(ValueError, match="latents: expected a path of at least two frames"):
        analysed(comfy, model, [a])


def test_frames_that_stand_still(comfy: Comfy) -> None:
    """Repeated frames count once in the gradient; a clip of one picture has no length, no NaN."""
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model)
    arc = line(a["samples"].flatten(), b["samples"].flatten())
    moving = arc.at([k / 6 for k in range(7)])
    twice = moving.repeat_interleave(2, dim=0)
    _, once_table, once = analysed(comfy, model, [clip(a, moving)])
    _, twice_table, again = analysed(comfy, model, [clip(a, twice)])
    assert again == pytest.approx(once, abs=1e-3)
    assert norms(twice_table)["given"] == pytest.approx(norms(once_table)["given"], rel=0.01)
    chart, table, distance = analysed(comfy, model, [clip(a, moving[:1].expand(4, -1))])
    assert distance == -math.inf
    assert "nan" not in table
    assert bool(torch.isfinite(chart).all())


def test_a_flickering_clip_is_no_geodesic(comfy: Comfy) -> None:
    """A, B, A, B: it turns back at every frame, which gives large numbers and no NaN."""
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model)
    frames = torch.cat([a["samples"], b["samples"]]).repeat(2, 1, 1, 1)
    chart, table, distance = analysed(comfy, model, [a | {"samples": frames}])
    assert "Not a geodesic" in table
    assert "nan" not in table
    assert "inf" not in table
    assert math.isfinite(distance)
    assert bool(torch.isfinite(chart).all())


def test_draws_average_to_the_same(comfy: Comfy) -> None:
    """Scores a little above the level: near those at it, equal for one seed."""
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model)
    arc = line(a["samples"].flatten(), b["samples"].flatten()).at([k / 4 for k in range(5)])
    exact, one, again, other = (
        analysed(comfy, model, [clip(a, arc)], draws=draws, seed=seed)[2]
        for draws, seed in ((0, 0), (8, 1), (8, 1), (8, 2))
    )
    assert one == again
    assert one != other
    # Along a path through noise a little higher up, which is smoother: nearer than that is chance.
    assert one == pytest.approx(exact, abs=0.3)
    assert one == pytest.approx(other, abs=0.1)


def test_each_frame_has_its_own_prompt(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """One prompt per frame gives the same as a batch of prompts; other numbers are refused."""
    a, b = pair
    prompts = [comfy.encode(t) for t in (PROMPT_A, PROMPT_B)]
    few = {"iterations": 0}
    single = analysed(comfy, comfy.model, [a, b], positive=prompts, **few)[2]
    together = clip(a, torch.cat([a["samples"], b["samples"]]))
    joined = [[torch.cat([p[0][0] for p in prompts]), {}]]
    batch = analysed(comfy, comfy.model, [together], positive=joined, **few)[2]
    assert single == pytest.approx(batch, abs=1e-4)
    same = analysed(comfy, comfy.model, [together], positive=prompts[0], **few)[2]
    assert same != pytest.approx(batch, abs=1e-4)
    with pytest.raises(ValueError, match="positive: expected one conditioning, or one for each of"):
        analysed(comfy, comfy.model, [a, b, a], positive=prompts)
    with pytest.raises(ValueError, match="positive: expected one prompt, or one for each of the 2"):
        analysed(comfy, comfy.model, [together], positive=[[joined[0][0].repeat(2, 1, 1), {}]])


def test_a_part_of_a_batch_keeps_its_own_pooled_vectors(comfy: Comfy) -> None:
    """Frames 2 and 0 of a batch: their rows and pooled vectors, and all else as it is."""
    assert comfy
    from geodesic_morph.nodes.prompt.batches import rows_of

    rows, pooled = torch.arange(3.0).reshape(3, 1, 1), torch.arange(3.0).reshape(3, 1)
    ((some, extras),) = rows_of([[rows, {"pooled_output": pooled, "strength": 0.5}]], [2, 0])
    assert some.flatten().tolist() == extras["pooled_output"].flatten().tolist() == [2, 0]
    assert extras["strength"] == 0.5


def test_bad_input_is_named(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    a, b = pair
    small = a | {"samples": torch.ones(1, 4, 4, 4)}
    with pytest.raises(ValueError, match="latents: expected frames of one size"):
        analysed(comfy, comfy.model, [a, small])
    other = inverted(comfy, comfy.model, clean(comfy, 2), comfy.encode(""), LEVEL - 0.1)
    with pytest.raises(ValueError, match="latents: expected frames at one noise level"):
        analysed(comfy, comfy.model, [a, other])
    _, latents, *_ = found(comfy, comfy.model, a, b, iterations=0)
    changed = latents[0] | {"samples": latents[0]["samples"] + 1}
    with pytest.raises(ValueError, match="came from a density path and were changed since"):
        analysed(comfy, comfy.model, [changed])
    from comfy.nested_tensor import NestedTensor

    nested = {"samples": NestedTensor([torch.ones(1, 4, 8, 8), torch.ones(1, 8, 4)])}
    with pytest.raises(ValueError, match="latents: this model's latents are nested"):
        analysed(comfy, comfy.model, [nested])
    with pytest.raises(ValueError, match="latents: expected an encoded image"):
        analysed(comfy, comfy.model, [comfy.latent(count=2)])
    wide = {"samples": torch.ones(2, 16, 8, 8)}
    with pytest.raises(ValueError, match="latents: expected 4 channels"):
        analysed(comfy, comfy.model, [wide])


def test_what_was_rendered_from_a_path_can_be_inverted_again(
    comfy: Comfy, pair: tuple[Any, Any]
) -> None:
    """A sampler keeps the path's key in its latents; Invert Image removes it."""
    _, latents, *_ = found(comfy, comfy.model, *pair, iterations=0, frames=3)
    rendered = latents[0] | {"samples": latents[0]["samples"] * 0.5}
    noise = inverted(comfy, comfy.model, rendered, comfy.encode(""))
    _, table, _ = analysed(comfy, comfy.model, [noise], iterations=0)
    assert "3 frames at noise level 0.6" in table


def test_a_long_clip_is_inverted_in_parts(comfy: Comfy) -> None:
    """More frames than one batch holds, each with its own prompt: as by one inversion."""
    clips = torch.cat([clean(comfy, k)["samples"] for k in range(9)])
    rows = torch.cat([comfy.encode(t)[0][0] for t in (PROMPT_A, PROMPT_B, "") * 3])
    model = known(comfy, "eps", spread())
    _, _, plain = analysed(comfy, model, [{"samples": clips}], positive=[[rows, {}]])
    noise = inverted(comfy, model, {"samples": clips}, [[rows, {}]])
    _, _, same = analysed(comfy, model, [noise], positive=[[rows, {}]])
    assert plain == pytest.approx(same, abs=1e-4)
