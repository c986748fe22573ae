"""The cost of the study itself: its images per second compared with a plain KSampler."""

from __future__ import annotations

import torch

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE
from dev.measure import Row, paired
from dev.workflows.settings import SMALL
from scenes import checkpoint
from study.prompts.plan import Plan
from study.prompts.scene_pairs import generate
from study.prompts.studio import Studio, Task, joined

REPEATS = 3


def rows(cpu: bool) -> list[Row]:
    """One pair with the small checkpoint's settings, in the batch size that the study chooses."""
    lpips_weights.ensure(BASE / "models" / "lpips")
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    studio = Studio(Plan(threads=torch.get_num_threads()), cpu)
    batch = studio.fastest_batch()
    count = studio.plan.images_per_pair
    pair = generate(1, 0)[0]
    task = Task(0, pair, False, batch)
    with torch.inference_mode():
        prompt = joined([studio.encode(pair.caption_a)] * count)

    def ours() -> None:
        failure = studio.run(task).failure
        assert failure is None, failure  # a failing pair would look very fast

    def plain() -> None:
        with torch.inference_mode():
            studio.sample(prompt, count)

    def decoded() -> None:
        with torch.inference_mode():
            studio.painter.decode(studio.sample(prompt, count))

    what = f"study: {count} images of a pair in batches of {batch} (its choice), all included,"
    return [
        paired(f"{what} against one KSampler call", ours, plain, REPEATS),
        paired(f"{what} against KSampler and VAE Decode", ours, decoded, REPEATS),
    ]
