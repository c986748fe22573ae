"""What the pack's nodes do on each family: every column of docs/models.md, as a function.

Each takes the pack's node modules and a tiny model, and returns what the table says. A ValueError
of a node is a refusal, and the table says so; anything else is a defect. The numbers are of random
weights: they show that the nodes run and agree with ComfyUI's own sampling, not that pictures are
good.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from .tiny import Family, Pixels

STEPS, FRAMES, LEVEL = 3, 3, 0.6
# A batch and its frames one by one differ by rounding. Relative to the largest value.
ROUNDING = 1e-4
Way = Callable[[Any, Family], str]


def coupling(pack: Any, family: Family, rows: tuple[int, int] | None = None, how: str = "") -> Any:
    """Two random prompts, coupled."""
    counts = rows or (family.kind.rows, family.kind.rows)
    clouds = [
        pack.prompt.nodes.GeodesicPointCloud.execute(family.prompt(seed, count)).result[0]
        for seed, count in zip((1, 2), counts, strict=True)
    ]
    method = how or "optimal transport"
    return pack.prompt.nodes.GeodesicCouple.execute(*clouds, method, 0, True).result[0]


def times(pack: Any, frames: int = FRAMES) -> Any:
    return pack.times.nodes.GeodesicTimes.execute(frames, "linear", "stop", "").result[0]


def sampled(family: Family, positive: Any, latent: Any) -> Tensor:
    """KSampler's latents."""
    (done,) = import_module("nodes").common_ksampler(
        *(family.model, 1, STEPS, 3.0, "euler", "normal"), positive, family.prompt(0), latent
    )
    return done["samples"]


def near(a: Tensor, b: Tensor) -> bool:
    return bool(torch.isfinite(a).all()) and float((a - b).abs().max() / b.abs().max()) < ROUNDING


def morph_schedule(pack: Any, family: Family) -> str:
    """A batch of frames is its frames one by one, and the ends are the prompts' own pictures."""
    pair, films = coupling(pack, family), []
    for size in (0, 1):
        execute = pack.schedule.nodes.GeodesicSchedule.execute
        batches = execute(pair, times(pack), family.latent(), size).result
        rendered = [sampled(family, p, z) for p, z in zip(*batches[:2], strict=True)]
        films.append(torch.cat(rendered))
    assert near(*films)
    assert near(films[1][:1], sampled(family, family.prompt(1), family.latent()))
    return "yes"


def unequal_prompts(pack: Any, family: Family) -> str:
    """Prompts of 77 and 154 rows where prompts come in chunks, else of 23 and 31.

    The latter only in row order. The ends are the prompts' own pictures either way.
    """
    chunks = family.kind.rows == 77
    rows = (77, 154) if chunks else (23, 31)
    pair = coupling(pack, family, rows, "" if chunks else "row order")
    execute = pack.schedule.nodes.GeodesicSchedule.execute
    batches = execute(pair, times(pack), family.latent(), 1).result
    frames = [sampled(family, p, latent) for p, latent in zip(*batches[:2], strict=True)]
    assert all(torch.isfinite(frame).all() for frame in frames)
    for frame, seed, count in ((frames[0], 1, rows[0]), (frames[-1], 2, rows[1])):
        assert near(frame, sampled(family, family.prompt(seed, count), family.latent()))
    return "yes" if chunks else "in row order"


def row_order(pack: Any, family: Family) -> str:
    """The verdict of Test Row Invariance."""
    execute = pack.prompt.nodes.GeodesicInvarianceTest.execute
    report = execute(family.model, family.prompt(1), family.latent(), 0).result[0]
    if "Row order matters" in report:
        return "seen"
    return "not seen" if "of any length" in report else "not seen; copies are"


def morph_sampler(pack: Any, family: Family) -> str:
    """An even film, its first frame as KSampler's."""
    images, latents, *_ = pack.render.nodes.GeodesicMorphSampler.execute(
        family.model,
        coupling(pack, family),
        family.prompt(0),
        family.latent(),
        Pixels(),
        frames=4,
        seed=1,
        steps=STEPS,
        cfg=3.0,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
        share=0.5,
        bridge="strong",
        distance="latent",
        ending="stop",
    ).result
    assert len(images) == 4
    assert near(latents["samples"][:1], sampled(family, family.prompt(1), family.latent()))
    return "yes"


def noise_path(pack: Any, family: Family) -> str:
    """Noise of two seeds, mixed along the way: finite, of unit variance."""
    path = None
    for seed in (1, 2):
        path = pack.noise.nodes.GeodesicNoiseKeyframe.execute(seed, 1.0, None, path).result[0]
    along = pack.noise.nodes.GeodesicNoiseAlong.execute(path, times(pack), "COG").result[0]
    latent = {"samples": torch.cat([family.latent()["samples"]] * FRAMES)}
    noise = along.generate_noise(latent)
    assert noise.shape == latent["samples"].shape
    # Between keyframes the deviation of so many draws is 1 within a few hundredths.
    assert abs(float(noise.std()) - 1) < 0.1
    return "yes"


def inverted(pack: Any, family: Family, seed: int) -> Any:
    execute = pack.noise.nodes.GeodesicInvert.execute
    return execute(family.model, family.prompt(1), family.picture(seed), STEPS, LEVEL, 1).result[0]


def invert_image(pack: Any, family: Family) -> str:
    """The noise of a picture: finite."""
    assert torch.isfinite(inverted(pack, family, 1)["samples"]).all()
    return "yes"


class Photos(Pixels):
    """A VAE whose photos are the family's pictures: a photo's first value is the picture's seed."""

    def __init__(self, family: Family) -> None:
        self.family = family

    def encode(self, image: Tensor) -> Tensor:
        return self.family.picture(int(image.flatten()[0]))["samples"]


def photos(pack: Any, family: Family) -> str:
    """A film of two photos. The first frame is what comes back from Invert Image's noise."""
    vae, path = Photos(family), None
    for seed in (1, 2):
        image = torch.full((1, 8, 8, 3), float(seed))
        path = pack.noise.image_keyframe.GeodesicImageKeyframe.execute(
            family.model, vae, image, family.prompt(seed), STEPS, LEVEL, 1.0, path
        ).result[0]
    _, latents, *_ = pack.render.nodes.GeodesicMorphSampler.execute(
        family.model,
        path,
        family.prompt(0),
        family.latent(),
        vae,
        frames=4,
        seed=1,
        steps=STEPS,
        cfg=1.0,
        sampler_name="euler",
        scheduler="normal",
        denoise=LEVEL,
        share=0.5,
        bridge="strong",
        distance="latent",
        ending="stop",
    ).result
    inside = inverted(pack, family, 1)["samples"] * path.level.sampler_scale
    start = family.model.model.process_latent_out(inside)
    assert near(latents["samples"][:1], continued(family, family.prompt(1), start))
    return "yes"


def continued(family: Family, prompt: Any, start: Tensor) -> Tensor:
    """ComfyUI's own sampler from noised latents on, without guidance and without more noise."""
    from comfy_extras import nodes_custom_sampler as custom

    return custom.SamplerCustomAdvanced.execute(
        custom.DisableNoise.execute()[0],
        custom.BasicGuider.execute(family.model, prompt)[0],
        custom.KSamplerSelect.execute("euler")[0],
        custom.BasicScheduler.execute(family.model, "normal", STEPS, LEVEL)[0],
        {"samples": start},
    )[0]["samples"]


def density_path(pack: Any, family: Family) -> str:
    """A path between two inverted pictures that ends at them."""
    ends = inverted(pack, family, 1), inverted(pack, family, 2)
    execute = pack.density.nodes.GeodesicDensityPath.execute
    found = execute(
        family.model,
        coupling(pack, family),
        family.prompt(0),
        *ends,
        frames=FRAMES,
        strength=0.002,
        levels=1,
        iterations=2,
        learning_rate=0.1,
        score="noise difference",
        seed=0,
    )
    samples = torch.cat([latent["samples"] for latent in found.result[1]])
    assert torch.isfinite(samples).all()
    return "yes"


def text_inversion(pack: Any, family: Family) -> str:
    """Two steps move the rows, and leave the weights as they were."""
    before = {name: value.clone() for name, value in family.model.model.state_dict().items()}
    prompt = family.prompt(1)
    execute = pack.density.nodes.GeodesicTextInversion.execute
    fitted = execute(family.model, prompt, family.picture(1), 2, 0.01, 0).result[0]
    assert torch.isfinite(fitted[0][0]).all()
    assert not torch.equal(fitted[0][0], prompt[0][0])
    after = family.model.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    return "yes"


WAYS: dict[str, Way] = {
    "Morph Schedule": morph_schedule,
    "prompts of unequal length": unequal_prompts,
    "Morph Sampler": morph_sampler,
    "row order": row_order,
    "Noise Along": noise_path,
    "Invert Image": invert_image,
    "Image Keyframe": photos,
    "Density Path": density_path,
    "Text Inversion": text_inversion,
}


def outcome(pack: Any, family: Family, way: str) -> str:
    """What the table says: "yes", a verdict, or "refused: " and the node's own sentence."""
    try:
        with torch.inference_mode():
            return WAYS[way](pack, family)
    except ValueError as error:
        return f"refused: {error}"
