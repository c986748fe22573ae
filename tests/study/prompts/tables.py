"""Tables of measurements whose answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from scenes.language import evaluation_scene, say
from study.prompts.pairs import bin_of
from study.prompts.plan import OPTIMAL, RANDOM, ROW_ORDER
from study.prompts.scene_pairs import similarity

COLUMNS = ["pair", "caption_a", "caption_b", "similarity", "bin", "coupling", "seed"]
COLUMNS += ["ppl", "largest", "steps", "cost", "relative_cost"]
STEPS = 10
Law = Callable[[float, np.random.Generator], tuple[float, float]]  # similarity → cost, PPL


def table(optimal: Law, row: Law, random: Law, pairs: int = 120, seeds: int = 2) -> pd.DataFrame:
    """A table as `measurements.Measurements` holds it; captions have words in common at random."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(pairs):
        near = round(5 * k / max(pairs - 1, 1), 2)
        captions = f"photograph {k}", f"photograph {k + pairs if rng.random() < 0.5 else k} again"
        drawn = {(OPTIMAL, 0): optimal(near, rng), (ROW_ORDER, 0): row(near, rng)}
        drawn |= {(RANDOM, seed): random(near, rng) for seed in range(1, seeds + 1)}
        w2 = drawn[OPTIMAL, 0][0]
        for (coupling, seed), (cost, ppl) in drawn.items():
            about = (k, *captions, near, bin_of(near), coupling, seed)
            relative = cost / w2 if w2 else np.nan
            rows.append((*about, ppl, ppl, [ppl] * STEPS, cost, relative))
    return pd.DataFrame(rows, columns=COLUMNS)


def with_one_scene(measured: pd.DataFrame, count: int) -> pd.DataFrame:
    """The same and as many pairs of one scene in two wordings, whose optimal path stands still."""
    rows, number = [], int(np.max(np.asarray(measured["pair"]), initial=-1)) + 1
    for k in range(count):
        scene, rng = evaluation_scene(0, k)
        first = second = say(scene, rng, complete=True)
        while first == second:
            second = say(scene, rng, complete=True)
        near = similarity(scene, scene, first, second)
        for coupling, ppl in ((OPTIMAL, 1e-4), (ROW_ORDER, 0.05), (RANDOM, 0.06)):
            about = (number + k, first, second, near, bin_of(near), coupling, 0)
            cost = 100 * (1 + ppl)
            rows.append((*about, ppl + 1e-5 * k, ppl, [ppl] * STEPS, cost, 1 + ppl))
    return pd.concat([measured, pd.DataFrame(rows, columns=COLUMNS)], ignore_index=True)


def law(slope: float, cost: float, ppl: float, rise: float = 0.0) -> Law:
    """cost, ppl: added to what falls with similarity by `slope`. rise: of both with similarity."""

    def one(similarity: float, rng: np.random.Generator) -> tuple[float, float]:
        unlike = 1 + slope * (5 - similarity)
        # No two gains in cost are equal: scipy would go through all 2^n signs of tied ones.
        paid = (cost + rise * similarity) + unlike + 0.001 * rng.random()
        return paid, (ppl * (1 + rise * similarity) + 0.01 * unlike) * (1 + 0.01 * rng.normal())

    return one


# As the hypotheses say; the absolute gain grows with similarity, not its share alone.
EXPECTED = table(law(1, 0, 0), law(1, 2, 0.02, 0.5), law(1, 5, 0.05, 0.5))
REVERSED = table(law(-0.1, 0, 0.05), law(-0.1, 2, 0.03, -0.15), law(-0.1, 5, 0.02, -0.15))
