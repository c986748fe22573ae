"""docs/models.md: the table of families and nodes."""

from __future__ import annotations

from collections.abc import Mapping

from dev.comfyui.environment import ROOT

from .matrix import WAYS

PAGE = ROOT / "docs" / "models.md"
REFUSED = "refused: "
INTRODUCTION = """# On which models the nodes work

Written by `make models`, which runs every node of this table on a tiny model of each family, on
ComfyUI {versions}. The tests run it again and compare. The models are built from ComfyUI's own
classes and have random weights. So the table says what runs and agrees with ComfyUI's own sampling:
a batch equals its frames one by one, and the ends are KSampler's pictures. It does not say how good
the pictures are: only Stable Diffusion 1.5's format was tried with trained weights, those of the
project's small model.

| family | {ways} |
|---|{lines}|
"""
LEGEND = """
*Morph Schedule* includes Couple Prompts and KSampler. *Row order* is the verdict of Test Row
Invariance: where the order is *seen*, optimal transport has no reason to be better than row
order; where *copies* are seen, prompts should have equally many rows. *Image Keyframe* includes
Morph Sampler. *Density Path* begins with Invert Image. The classes of Flux.1 and LTXV overwrite
numbers that gradients need; Text Inversion then keeps copies, which takes more time and memory.
Prompts *of unequal length* have 77 and 154 rows where prompts come in chunks, else 23 and 31:
those can only be paired *in row order*, and between them zeros stand for the rows that the
shorter one lacks.
"""
# Family → column → what `matrix.outcome` returned.
Outcomes = Mapping[str, Mapping[str, str]]


def row(family: str, outcomes: Mapping[str, str]) -> str:
    """A family's line of the table."""
    cells = ["refused" if told.startswith(REFUSED) else told for told in outcomes.values()]
    return f"| {family} | {' | '.join(cells)} |"


def refusals(found: Outcomes) -> list[str]:
    """A line for every refusal, in the node's own words."""
    return [
        f"- {family}, {way}: {told.removeprefix(REFUSED)}"
        for family, outcomes in found.items()
        for way, told in outcomes.items()
        if told.startswith(REFUSED)
    ]


def page(found: Mapping[str, Outcomes]) -> str:
    """The whole page. found: ComfyUI's version → outcomes. Raises ValueError where they differ."""
    first, *others = found.values()
    if any(other != first for other in others):
        raise ValueError(f"expected the same outcomes on all versions, got {found}")
    head = INTRODUCTION.format(
        versions=" and ".join(found), ways=" | ".join(WAYS), lines="|".join(["---"] * len(WAYS))
    )
    rows = "\n".join(row(family, outcomes) for family, outcomes in first.items())
    told = "\n".join(refusals(first))
    return f"{head}{rows}\n{LEGEND}\n## What is refused\n\n{told or 'Nothing.'}\n"
