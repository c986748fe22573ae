"""The page of Morph Attention's measurement; what counts as a win was written before the run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from .attention import FILE, GUIDANCE, MATCHINGS, OFF, PHOTOS, PROMPTS, VARIANTS, StudyResult
from .density import LEVEL
from .density_report import p_value
from .prompts.resampling import interval

MOST_STRAYS = 0.01  # mean difference from "off"
LEAST_ENDS, NOTICED = -0.5, 45.0  # dB: mean difference from "off", where they are below `NOTICED`
SURE = 0.05

RULES = """\
Written before the run. By place or by transport wins on a model and a kind of film if, against
*off*,

1. the largest step is smaller: the 95 % bootstrap interval of the mean difference lies below 0, and
   q (Wilcoxon's signed-rank test, after Benjamini and Hochberg over all comparisons of the largest
   step with *off* by place and by transport) is below 0.05;
2. strays are not more: their mean is at most 1 percentage point higher (not judged on photographs);
3. the ends are kept: their mean PSNR is at most 0.5 dB lower, or still above 45 dB.
"""


@dataclass(frozen=True)
class Comparison:
    """A variant against "off" on one model and kind: differences, mean and 95 % interval.

    smaller: the pairs whose largest step it makes smaller. p: of the largest step; length_p: of the
    length. q: of p, NaN for the prompt path, which is not on trial.
    """

    model: str
    kind: str
    variant: str
    pairs: int
    largest: tuple[float, float, float]
    length: tuple[float, float, float]
    strays: tuple[float, float, float]
    ends: float
    ends_change: float
    smaller: int
    p: float
    length_p: float
    q: float = float("nan")

    @property
    def wins(self) -> bool:
        """By the rules of the page."""
        calm = self.kind == PHOTOS or self.strays[0] <= MOST_STRAYS
        kept = self.ends_change >= LEAST_ENDS or self.ends >= NOTICED
        return self.largest[2] < 0 and self.q < SURE and calm and kept


def measures(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the largest step, and the length: the sum of √LPIPS."""
    return table.assign(
        largest=[float(np.max(steps)) for steps in table["steps"]],
        length=[float(np.sqrt(steps).sum()) for steps in table["steps"]],
    )


def compare(table: pd.DataFrame) -> list[Comparison]:
    """Every variant against "off", on every model and kind that was measured."""
    known = measures(table)
    found: list[Comparison] = []
    for kind, model in known[["kind", "model"]].drop_duplicates().itertuples(index=False):
        here = pd.DataFrame(known[(known["kind"] == kind) & (known["model"] == model)])
        off = _columns(here, OFF)
        for variant in VARIANTS[kind][1:]:
            own = _columns(here, variant)
            changes = {name: own[name] - off[name] for name in own}
            found.append(
                Comparison(
                    model,
                    kind,
                    variant,
                    len(own["ends"]),
                    _mean(changes["largest"]),
                    _mean(changes["length"]),
                    _mean(changes["strays"]),
                    float(own["ends"].mean()),
                    float(changes["ends"].mean()),
                    int((changes["largest"] < 0).sum()),
                    p_value(own["largest"], off["largest"]),
                    p_value(own["length"], off["length"]),
                )
            )
    tried = [k for k, c in enumerate(found) if c.variant in MATCHINGS]
    q = false_discovery_control([found[k].p for k in tried])
    for k, value in zip(tried, q, strict=True):
        found[k] = replace(found[k], q=float(value))
    return found


def _columns(films: pd.DataFrame, variant: str) -> dict[str, np.ndarray]:
    """What is compared of a variant's films, in the order of the pairs."""
    own = pd.DataFrame(films[films["variant"] == variant]).sort_values(by="pair")
    return {m: own[m].to_numpy(float) for m in ("largest", "length", "strays", "ends")}


def _mean(changes: np.ndarray) -> tuple[float, float, float]:
    """Mean with its interval; NaN where it was not measured."""
    if np.isnan(changes).any():
        return (float("nan"), float("nan"), float("nan"))
    low, high = interval(np.mean, changes)
    return float(changes.mean()), low, high


def report(result: StudyResult) -> str:
    """A Markdown page."""
    plan, found = result.plan, compare(result.table)
    kinds = list(dict.fromkeys(result.table["kind"]))
    photos = result.table[result.table["kind"] == PHOTOS]
    names = ", ".join(sorted({*photos["a"], *photos["b"]}))
    parts = [
        f"""# Morph Attention: do frames that also see their keyframes morph more smoothly?

Written by `python -m study attention`, on a {result.device}. Between two keyframes the
self-attention sees, beside a frame's own tokens, those of both keyframes, blended at the frame's
time: AID's *fused inner* interpolation (arXiv 2403.17924) on the self-attention, over the first
{plan.share:.0%} of the {plan.steps} steps, as in FreeMorph (arXiv 2507.01953). Tokens are blended
before keys and values are made of them, which are linear maps. {plan.frames} frames a film, one
batch; its first and last frame are the keyframes.

- *off*: without it. *By place*: tokens at one place are blended. *By transport*: the keyframes'
  tokens are first matched by optimal transport, at every level, step and prompt anew.
- *Scenes*: {plan.pairs} pairs of held-out scenes, inverted with their captions to noise level
  {LEVEL:g}; noises on their great arc, prompts by optimal transport, no guidance. *Prompt path
  alone*: the same prompts from one noise; it does not lead to the images.
{_others(kinds, plan.pairs)}""",
        f"## What counts as a win\n\n{RULES}",
        f"## Verdict\n\n{verdict(found)}",
        f"## Means\n\n{means(result.table)}",
        f"## Differences from off\n\n{differences(found)}",
        f"""- *Largest*: the largest LPIPS of consecutive frames; *length*: the sum of √LPIPS,
  because LPIPS is a squared distance. LPIPS is that of this project's scene classifier. *Strays*:
  the share of frames that show a number of things, or a shape, that neither end has. *Sharpness*:
  mean |Laplacian| of the frames between, against both ends'. *Ends*: PSNR of the worse end against
  its image; between prompts, against the prompt drawn alone.
- Differences are means over the pairs with 95 % bootstrap intervals; p is Wilcoxon's signed-rank.
- The share of the steps was set beforehand. No other was measured.
- Both models have 8×8 tokens on one level. Models with levels of 32×32 and more may differ.
- The ends are kept by construction: a keyframe sees its own tokens twice, which leaves its
  attention as it is, up to rounding.
- Every film is in `{FILE}`; `python -m study attention --report` writes this page from it.

![The first pairs, by every variant](attention.jpg)
""",
    ]
    if names:
        parts.append(f"Photographs: {names}.\n")
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _others(kinds: list[str], pairs: int) -> str:
    """What the page says of the kinds besides scenes, and which were not measured."""
    lines = []
    if PHOTOS in kinds:
        lines.append(
            "- *Photographs*: pairs of photographs, 64×64 pixels, inverted without a caption. The\n"
            "  small models have never seen one, and the judge of strays can't read them."
        )
    if PROMPTS in kinds:
        lines.append(
            f"- *Prompts*: {pairs} pairs of captions, one noise, guidance {GUIDANCE:g};\n"
            "  *off* is the prompt path."
        )
    missing = [kind for kind in VARIANTS if kind not in kinds]
    if missing:
        lines.append(f"- Not measured in this run: {', '.join(missing)}.")
    return "\n".join(lines)


def verdict(found: list[Comparison]) -> str:
    """Which variants win, and where."""
    tried = [c for c in found if c.variant in MATCHINGS]
    winners = [c for c in tried if c.wins]
    if not winners:
        low = min(c.largest[0] for c in tried)
        high = max(c.largest[0] for c in tried)
        return (
            f"**No variant wins anywhere** ({len(tried)} comparisons). The mean largest step "
            f"changes by {low:+.4f} to {high:+.4f}. So there is no such node."
        )
    return "\n".join(
        f"- **{c.variant} wins** on {c.kind}, model *{c.model}*: largest step {_shown(c.largest)}, "
        f"smaller in {c.smaller} of {c.pairs}."
        for c in winners
    )


def means(table: pd.DataFrame) -> str:
    """A row for each model, kind and variant."""
    lines = [
        "| kind | model | variant | largest | length | strays | sharpness | ends |",
        "|---|---|---|---|---|---|---|---|",
    ]
    known = measures(table)
    names = ["kind", "model", "variant"]
    for kind, model, variant in known[names].drop_duplicates().itertuples(index=False):
        chosen = (known[names] == [kind, model, variant]).all(axis=1)
        films = known[chosen]
        mean = films[["largest", "length", "strays", "sharpness", "ends"]].mean()
        cells = [
            *(kind, model, variant),
            f"{mean['largest']:.4f}",
            f"{mean['length']:.3f}",
            "" if np.isnan(mean["strays"]) else f"{100 * mean['strays']:.1f} %",
            f"{mean['sharpness']:.3f}",
            "" if np.isnan(mean["ends"]) else f"{mean['ends']:.1f} dB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(found: list[Comparison]) -> str:
    """A row for each comparison."""
    lines = [
        "| kind | model | variant | largest | smaller | p | q | length | p | strays, points |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for c in found:
        points = (100 * c.strays[0], 100 * c.strays[1], 100 * c.strays[2])
        cells = [
            *(c.kind, c.model, c.variant, _shown(c.largest), f"{c.smaller} of {c.pairs}"),
            f"{c.p:.2g}",
            "" if np.isnan(c.q) else f"{c.q:.2g}",
            _shown(c.length),
            f"{c.length_p:.2g}",
            _shown(points, 1),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(mean: tuple[float, float, float], digits: int = 4) -> str:
    """A mean with its interval, where it has one."""
    if np.isnan(mean[0]):
        return ""
    whole = f"{mean[0]:+.{digits}f}"
    return (
        whole if np.isnan(mean[1]) else f"{whole} ({mean[1]:+.{digits}f} to {mean[2]:+.{digits}f})"
    )
