"""The page, the curve and the strips of a run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from .catalogue import (
    BISECTED,
    BLENDING,
    CURVE,
    EQUAL,
    FIRST,
    GOALS,
    IN_TIME,
    LATENT,
    MANY,
    MORE,
    ONE,
    PEERS,
    PLACED,
    RETIMED,
    ROOTS,
    SHARES,
    SHOWN,
    VARIED,
)
from .run import Plan

PAGE, STRIPS, CURVES, TABLE = "report.md", "strips.png", "curve.png", "measurements.parquet"
TITLES = {
    GOALS: "the goals",
    PEERS: "peers",
    CURVE: "the curve",
    VARIED: "variations",
    SHARES: "shares",
    FIRST: "first rounds",
}
RESAMPLES, SEED = 2000, 0
MEASURES = ("largest", "sum", "cv", "strays", "confidence", "sharpness", "renders", "rounds")


def values(table: pd.DataFrame, way: str, measure: str) -> pd.Series:
    """One number for each pair, by its number."""
    return pd.Series(table[table["way"] == way].set_index("pair")[measure])


def ratio(table: pd.DataFrame, way: str, measure: str, other: str = EQUAL) -> tuple[float, ...]:
    """Mean over pairs against the mean of another way, with its 95 % bootstrap interval."""
    a, b = values(table, way, measure).align(values(table, other, measure), join="inner")
    rng = np.random.default_rng(SEED)
    draws = rng.integers(len(a), size=(RESAMPLES, len(a)))
    found = a.to_numpy()[draws].mean(1) / b.to_numpy()[draws].mean(1)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(a.mean() / b.mean()), float(low), float(high)


def report(table: pd.DataFrame, plan: Plan) -> str:
    """A Markdown page; curve and strips are files beside it."""
    counts = table.groupby("group", sort=False)["pair"].nunique()
    pairs = ", ".join(f"{counts.get(group, 0)} for {name}" for group, name in TITLES.items())
    return f"""# Even morphs: where to render, what to share, where to bridge

Written by `python -m study even`: {plan.frames} frames a film, 20 steps (euler, karras),
guidance 4, small model. {plan.pairs} pairs of prompts were fixed before anything was measured
(seed {plan.seed}, no pair of one scene in two wordings); settings were tuned on other ones.
Measured so far: pairs
{pairs}.
Each table is of the pairs of its own part.

## Were the goals reached?

{goals(table)}

## All ways

{compared(table)}

- *Largest step*: the largest LPIPS of two consecutive frames, mean over pairs; in brackets against
  equal times, with the 95 % bootstrap interval over pairs. *CV*: coefficient of variation of
  √LPIPS, the unevenness. *Renders*: model evaluations, in those of a plain render.
- *Strays*: the share of frames between the ends whose number of things is neither end's, or that
  show a shape that neither end shows, as the scene classifier sees them. *Confidence*: its mean
  probability of what it sees. *Sharpness*: mean |Laplacian| of those frames against that of the
  ends. Equal times show few frames on the way, so compare these three with *{BISECTED}*, whose
  frames are plain renders on the way.
- *{MORE}* renders up to three times as many frames as are shown, where *{PLACED}* renders up to
  1.75 times as many. Both show the most even choice of them.
- *{BLENDING}* is written from a description of its code; the path is the same as of all others.

## What one choice changes

{varied(table)}

{batching(table)}

## What bridging costs

![Largest step, strays, confidence and sharpness by the latest step]({CURVES})

{curve(table)}

*Latest step*: of 20, where a new frame may start at most.

## What sharing costs

{part_table(table, SHARES)}

## How many frames are rendered before any are placed

{part_table(table, FIRST)}

Frames of the first round, beside both keyframes. They are plain renders, so they hold the film to
pictures that the prompts between have; each is a place that the film must pass by.

## Strips

{strip_note(table)}

![The worst, the median and the best pair]({STRIPS})
"""


def write(table: pd.DataFrame, plan: Plan, folder: Path) -> None:
    """All of a run's results: measurements.parquet, report.md, curve.png and strips.png."""
    folder.mkdir(parents=True, exist_ok=True)
    table.drop(columns="strip").to_parquet(folder / TABLE, index=False)
    (folder / PAGE).write_text(report(table, plan))
    curves(table).save(folder / CURVES, optimize=True)
    strips(table).save(folder / STRIPS, optimize=True)


def goals(table: pd.DataFrame) -> str:
    """The goals, each with what was measured."""
    asked = [
        (f"{PLACED}: largest step against equal times", (PLACED, "largest", EQUAL), 0.25),
        (f"{PLACED}: renders against equal times", (PLACED, "renders", EQUAL), 0.5),
        (f"{MORE}: largest step against equal times", (MORE, "largest", EQUAL), 0.15),
        (f"{MORE}: renders against equal times", (MORE, "renders", EQUAL), 1.0),
        (f"{PLACED}: CV of √LPIPS against equal times", (PLACED, "cv", EQUAL), 0.4),
        (f"{MORE}: CV of √LPIPS against equal times", (MORE, "cv", EQUAL), 0.4),
        (f"{LATENT}: largest step against LPIPS", (LATENT, "largest", PLACED), 1.25),
    ]
    lines = ["| goal | at most | measured | 95 % interval | |", "|---|---|---|---|---|"]
    for name, (way, measure, other), most in asked:
        if not {way, other} <= set(table["way"]):
            continue
        found, low, high = ratio(table, way, measure, other)
        met = "met" if found <= most else "**not met**"
        lines.append(f"| {name} | {most:g} | {found:.3f} | {low:.3f} to {high:.3f} | {met} |")
    return "\n".join(lines)


def ways_of(table: pd.DataFrame, *groups: str) -> list[str]:
    """The ways of these groups, as they were measured."""
    return list(dict.fromkeys(table[table["group"].isin(groups)]["way"]))


def compared(table: pd.DataFrame) -> str:
    """Ways that use LPIPS or nothing at all to place frames."""
    return _table(table, [way for way in ways_of(table, GOALS, PEERS) if way != LATENT])


def varied(table: pd.DataFrame) -> str:
    return _table(table, [PLACED, LATENT, *ways_of(table, VARIED)])


def _table(table: pd.DataFrame, ways: Sequence[str]) -> str:
    lines = [
        "| way | largest step | sum of LPIPS | CV | strays | confidence | sharpness | renders | "
        "rounds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for way in ways:
        mean = {m: values(table, way, m).mean() for m in MEASURES}
        found, low, high = ratio(table, way, "largest")
        cells = [
            way,
            f"{mean['largest']:.3f} ({found:.2f}, {low:.2f} to {high:.2f})",
            f"{mean['sum']:.2f}",
            f"{mean['cv']:.2f} ({ratio(table, way, 'cv')[0]:.2f})",
            f"{100 * mean['strays']:.1f} %",
            f"{mean['confidence']:.3f}",
            f"{mean['sharpness']:.2f}",
            f"{mean['renders']:.1f}",
            f"{mean['rounds']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def batching(table: pd.DataFrame) -> str:
    """What choosing several gaps a round costs, the time that is not the model's, and the like."""
    outside = values(table, PLACED, "outside").mean() / values(table, PLACED, "renders").mean()
    lines = [
        f"Outside the model {outside:.3f} s are spent for each render's worth of evaluations, "
        "LPIPS included, on one thread."
    ]
    for way, other in ((PLACED, ONE), (MANY, ONE), (IN_TIME, PLACED), (ROOTS, RETIMED)):
        if {way, other} <= set(table["way"]):
            step, cv, work = (ratio(table, way, m, other)[0] for m in ("largest", "cv", "renders"))
            lines.append(
                f"*{way}* against *{other}*: largest step {step:.2f} times, CV {cv:.2f} times, "
                f"evaluations {work:.2f} times."
            )
    return "\n".join(f"- {line}" for line in lines)


def curve(table: pd.DataFrame) -> str:
    """The numbers of the picture."""
    return part_table(table, CURVE)


def part_table(table: pd.DataFrame, group: str) -> str:
    """The ways of a group, with those that they are compared with, all on the group's own pairs."""
    ways = ways_of(table, group)
    if not ways:
        return "*Not measured yet.*"
    beside = [way for way in (EQUAL, BISECTED, PLACED) if way in set(table["way"])]
    return _table(of_pairs(table, group), [*beside, *ways])


def of_pairs(table: pd.DataFrame, group: str) -> pd.DataFrame:
    """All rows of the pairs on which a group was measured."""
    pairs = pd.Series(table.loc[table["group"] == group, "pair"])
    return pd.DataFrame(table[table["pair"].isin(pairs)])


def by_latest(table: pd.DataFrame) -> pd.DataFrame:
    """Means of the curve's ways, by the latest step."""
    rows = table[table["group"] == CURVE]
    return pd.DataFrame(rows.groupby("setting")[list(MEASURES)].mean())


def strip_pairs(table: pd.DataFrame) -> dict[str, int]:
    """The pairs whose largest step is the largest, the median, the smallest, placed by default."""
    order = values(table, PLACED, "largest").sort_values(ascending=False, kind="stable").index
    return {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}


def strip_note(table: pd.DataFrame) -> str:
    lines = []
    for name, pair in strip_pairs(table).items():
        row = table[table["pair"] == pair].iloc[0]
        step = values(table, PLACED, "largest")[pair]
        a, b = row["caption_a"], row["caption_b"]
        lines.append(f"- {name} pair ({pair}): “{a}” to “{b}”, largest step {step:.3f}")
    rows = ", ".join(SHOWN)
    return "\n".join(
        [*lines, "", f"Rows of each: {rows}. Chosen by the largest step of “{PLACED}”."]
    )


def strips(table: pd.DataFrame) -> Image.Image:
    """The strips of three pairs under each other, by ways."""
    films = []
    for pair in strip_pairs(table).values():
        for way in SHOWN:
            films.append(Image.open(io.BytesIO(bytes(values(table, way, "strip")[pair]))))
    width, height = films[0].size
    gap = height // 4
    whole = height * len(films) + gap * (len(films) // len(SHOWN) - 1)
    sheet = Image.new("RGB", (width, whole), "white")
    for i, film in enumerate(films):
        sheet.paste(film, (0, i * height + gap * (i // len(SHOWN))))
    return sheet


def curves(table: pd.DataFrame) -> Image.Image:
    """Four small charts over the latest step."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    means = by_latest(table)
    same = of_pairs(table, CURVE)
    figure = Figure(figsize=(11, 3), dpi=110, layout="constrained")
    names = {
        "largest": "largest LPIPS step",
        "strays": "strays",
        "confidence": "confidence",
        "sharpness": "sharpness",
    }
    for axes, (measure, name) in zip(figure.subplots(1, len(names)), names.items(), strict=True):
        axes.plot(means.index, means[measure], "o-", color="#0072B2", label="placed")
        for way, colour in ((EQUAL, "#9aa0a6"), (BISECTED, "#E69F00")):
            axes.axhline(values(same, way, measure).mean(), color=colour, ls="--", label=way)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("latest step of 20")
        axes.grid(color="#dddddd", linewidth=0.6)
    figure.axes[0].legend(fontsize=8)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return Image.open(file).convert("RGB")
