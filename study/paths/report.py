"""The page of the experiments: a table for each, for every model that was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from ..prompts.plan import OPTIMAL, RANDOM, ROW_ORDER
from . import content, figure, kept
from .experiments import (
    BISECTED,
    EQUAL,
    EXPERIMENTS,
    FINE_ENOUGH,
    GUIDANCES,
    LENGTHS,
    LPIPS,
    RETIMED,
    ROOT,
    SAMPLER,
    SAMPLERS,
    STEP_COUNTS,
)
from .kept import COMMAND
from .run import PLAN, Plan, measured
from .statistics import (
    CV,
    LARGEST,
    LENGTH,
    MEASURES,
    by_pair,
    crossed,
    mean,
    one_random,
    only,
    paired,
    with_measures,
)

PAGE, FIGURE = "report.md", "seeds.png"
THRESHOLDS = (0.1, FINE_ENOUGH)
FEWEST = 8  # pairs that a table needs
COMPARED = ((ROW_ORDER, OPTIMAL), (RANDOM, OPTIMAL), (RANDOM, ROW_ORDER))
Tables = Mapping[str, pd.DataFrame]  # by experiment, of all models


def write(folders: Sequence[Path], output: Path) -> Iterator[Path]:
    """Write the page, its figure, and a Parquet file for each experiment, of runs' folders.

    What was kept of other runs stays. Raises ValueError where nothing was measured.
    """
    plans = {folder: kept.plan_of(folder) for folder in folders if (folder / PLAN).is_file()}
    for folder, plan in plans.items():
        kept.take_over(plan, folder, output)
    tables = {name: _table(name, plans, output) for name in EXPERIMENTS}
    known = {name: table for name, (table, _) in tables.items() if len(table)}
    if not known:
        raise ValueError(f"paths: nothing was measured yet; run `{COMMAND} all` first.")
    output.mkdir(parents=True, exist_ok=True)
    for name, table in known.items():
        yield kept.write(name, table, tables[name][1], output)
    if "seeds" in known:
        figure.ratios(known["seeds"], COMPARED).save(output / FIGURE, optimize=True)
        yield output / FIGURE
    (output / PAGE).write_text(page(known))
    yield output / PAGE


def _table(
    name: str, plans: Mapping[Path, Plan], output: Path
) -> tuple[pd.DataFrame, dict[str, Plan]]:
    """All rows of an experiment, with the column "model", and the models' plans."""
    found: dict[str, tuple[pd.DataFrame, Plan]] = {}
    for folder, plan in plans.items():
        rows = measured(plan, folder, name)
        if len(rows):
            model = kept.model_name(plan)
            found[model] = rows.assign(model=model), plan
    before, known = kept.read(name, output)
    for model in known:
        if model not in found:
            found[model] = pd.DataFrame(before[before["model"] == model]), known[model]
    if not found:
        return pd.DataFrame(), {}
    # In one order, whatever was measured when.
    tables = pd.concat([found[model][0] for model in sorted(found)], ignore_index=True)
    return tables, {model: found[model][1] for model in sorted(found)}


def page(tables: Tables) -> str:
    """All experiments that were measured, as Markdown."""
    sections: dict[str, tuple[str, Callable[[pd.DataFrame], str]]] = {
        "seeds": ("1. Seeds and couplings", seeds),
        "content": ("2. Content", contents),
        "calibration": ("The judge of contents, on drawn pictures", calibration),
        "cost": ("3. Cost of smoothness", cost),
        "pace": ("4. Pace", pace),
        "robustness": ("5. Robustness", robustness),
        "measures": ("Paths that nobody compared", measures),
        "more-moves": ("Where nearly all mass moves", measures),
    }
    parts = [
        f"## {title}\n\n{_counts(tables[name])}\n\n{_section(name, tables[name], of)}"
        for name, (title, of) in sections.items()
        if name in tables
    ]
    head = f"""# Paths between prompts

Written by `{COMMAND} report`. [study/design.md](../../design.md) says what was measured, why and
how, and was written before. Ratios are geometric means over pairs, with 95 % intervals; above 1 the
first path has the larger number. **Bold** where the interval does not hold 1."""
    return "\n\n".join([head, *parts]) + "\n"


def _section(name: str, table: pd.DataFrame, of: Callable[[pd.DataFrame], str]) -> str:
    """The table of an experiment, if all models have pairs enough for it."""
    designed = EXPERIMENTS[name].pairs
    least = min(FEWEST, designed)
    if min(_pairs(table).values()) >= least:
        return of(table)
    return (
        f"Too few for a table, which needs {least} of the {designed} designed pairs of every "
        f"model: intervals of so few say nothing. `{COMMAND} {name}` goes on from these."
    )


def _pairs(table: pd.DataFrame) -> dict[str, int]:
    """How many pairs of each model were measured."""
    return {name: len(set(own["pair"].tolist())) for name, own in _models(table)}


def _counts(table: pd.DataFrame) -> str:
    counts = _pairs(table)
    return "Pairs: " + ", ".join(f"{count} ({name})" for name, count in counts.items()) + "."


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _by_path(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {path: only(table, table["path"] == path) for path in set(table["path"].tolist())}


def _bold(ratio: object) -> str:
    return f"**{ratio}**" if getattr(ratio, "side", 0) else str(ratio)


def _models(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, own in table.groupby("model", sort=False):
        yield str(name), pd.DataFrame(own)


def seeds(table: pd.DataFrame) -> str:
    """Every measure of every two paths, by the crossed model."""
    rows = []
    for name, own in _models(with_measures(table)):
        for (path, against), measure in product(COMPARED, MEASURES):
            found = crossed(own, measure, path, against)
            parts = (f"{v:.2f}" for v in (found.pair, found.seed, found.rest))
            share = f"{100 * found.smaller:.0f} %"
            rows.append([name, f"{path} / {against}", measure, _bold(found.ratio), *parts, share])
    head = ["model", "", "measure", "ratio", "sd of pairs", "of noise seeds", "of the rest"]
    note = (
        f"![Ratios of all measures]({FIGURE})\n\n"
        "Standard deviations are of logarithms: 0.10 is a tenth more or less. *Larger*: the share "
        "of films in which the first path's number is the larger one."
    )
    return f"{_rows([*head, 'larger'], rows)}\n\n{note}"


def contents(table: pd.DataFrame) -> str:
    """Strays, colours, switches and still frames of each path, and what differs from optimal."""
    rows = []
    for name, own in _models(one_random(table)):
        numbers = _content_numbers(own)
        optimal = only(numbers, numbers["path"] == OPTIMAL)
        for path in dict.fromkeys(numbers["path"].tolist()):
            films = only(numbers, numbers["path"] == path)
            cells = [name, str(path)]
            for column, text in CONTENT.items():
                mine = by_pair(films, column)
                value = text(float(np.mean(mine.to_numpy())))
                if path != OPTIMAL:
                    gap, low, high = mean((mine - by_pair(optimal, column)).to_numpy())
                    strong = "**" if low > 0 or high < 0 else ""
                    span = f"{text(low)} to {text(high)}"
                    value += f" ({strong}{text(gap)}{strong}, {span})"
                cells.append(value)
            rows.append(cells)
    note = (
        "In brackets the difference from optimal transport with its interval, in the same unit "
        "(percentage points for shares)."
    )
    return f"{_rows(['model', 'path', *CONTENT], rows)}\n\n{note}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


# The columns of the table of contents, and how their numbers are written.
CONTENT: dict[str, Callable[[float], str]] = {
    "strays, %": _percent,
    "colours off the segment, %": _percent,
    "switches": lambda value: f"{value:.2f}",
    "still, %": _percent,
}
STILL = 0.05  # of the distance between both ends


def _content_numbers(table: pd.DataFrame) -> pd.DataFrame:
    strays, colours, switches, still = CONTENT
    rows = [row for _, row in table.iterrows()]
    return pd.DataFrame(
        {
            "pair": [row["pair"] for row in rows],
            "path": [row["path"] for row in rows],
            strays: [content.strays(row) for row in rows],
            colours: [content.off_colours(row) for row in rows],
            switches: [content.switches(row) for row in rows],
            still: [_still(row) for row in rows],
        }
    )


def _still(row: pd.Series) -> float:
    """The share of inner frames whose LPIPS to an end is below 5 % of that between both ends."""
    near = np.minimum(row["to_first"], row["to_last"])[1:-1]
    return float((near < STILL * row["to_first"][-1]).mean())


def calibration(table: pd.DataFrame) -> str:
    """How often the judge sees a stray, or a colour off the segment, in drawn pictures."""
    once = table[table["model"] == table["model"].iloc[0]]  # the judge is the same for all models
    rows = []
    for kind, films in once.groupby("path", sort=False):
        found = [
            mean([of(row) for _, row in films.iterrows()])
            for of in (content.strays, content.off_colours)
        ]
        rows.append([str(kind), *(_share(*one) for one in found)])
    head = ["drawn between both ends", "called a stray", "a colour off the segment"]
    return _rows(head, rows)


def _share(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def cost(table: pd.DataFrame) -> str:
    """Evaluations until the largest step is small."""
    rows = []
    for name, own in _models(one_random(with_measures(table))):
        for path, way in product((OPTIMAL, ROW_ORDER, RANDOM), (EQUAL, RETIMED, BISECTED, SAMPLER)):
            films = only(own, (own["path"] == path) & (own["way"] == way))
            if len(films):
                rows.append([name, path, way, *(_until(films, most) for most in THRESHOLDS)])
    head = ["model", "path", "frames placed by", *(f"below {most:g}" for most in THRESHOLDS)]
    note = (
        "Median over pairs of the evaluations of the first film whose largest step (LPIPS) is "
        "below the threshold, in plain renders; of films of "
        f"{', '.join(map(str, LENGTHS))} frames. In brackets in how many pairs such a film was "
        "found. > where that are too few for a median."
    )
    return f"{_rows(head, rows)}\n\n{note}"


def _until(films: pd.DataFrame, most: float) -> str:
    """The median number of evaluations, over all pairs."""
    found = []
    for pair in sorted(set(films["pair"].tolist())):
        small = only(films, (films["pair"] == pair) & (films[LARGEST] < most))
        found.append(min(small["evaluations"].tolist(), default=np.inf))
    reached = int(np.isfinite(found).sum())
    median = float(np.median(found)) if reached else np.inf
    text = f"{median:.0f}" if np.isfinite(median) else f"> {films['evaluations'].max():.0f}"
    return f"{text} ({reached} of {len(found)})"


def pace(table: pd.DataFrame) -> str:
    """Evenness of 24 frames, by equal times and re-timed."""
    rows = []
    for name, own in _models(with_measures(table)):
        peak = [float(np.sqrt(s).max() / np.sqrt(s).mean()) for s in own["steps"]]
        own = own.assign(peak=peak)
        equal = only(own, own["way"] == EQUAL)
        for way, passes in ((EQUAL, 0), *product((LPIPS, ROOT), (1, 2))):
            films = only(own, (own["way"] == way) & (own["passes"] == passes))
            cells = [name, way, str(passes)]
            for column in (CV, "peak"):
                value = f"{by_pair(films, column).mean():.2f}"
                ratio = "" if way == EQUAL else f" · {_bold(paired(films, equal, column))}"
                cells.append(value + ratio)
            rows.append(cells)
    head = ["model", "equal in", "passes", "CV of √LPIPS", "largest / mean of √LPIPS"]
    note = "Mean over pairs, and its ratio to equal times."
    return f"{_rows(head, rows)}\n\n{note}"


def robustness(table: pd.DataFrame) -> str:
    """Ratios to optimal transport for every setting."""
    rows, settings = [], list(product(GUIDANCES, SAMPLERS, STEP_COUNTS))
    for name, own in _models(one_random(with_measures(table))):
        for guidance, sampler, steps in settings:
            here = (own["guidance"] == guidance) & (own["sampler"] == sampler)
            films = only(own, here & (own["sampling_steps"] == steps))
            if not len(films):
                continue
            by = _by_path(films)
            ratios = [
                _bold(paired(by[path], by[OPTIMAL], measure))
                for path, measure in product((ROW_ORDER, RANDOM), (LENGTH, LARGEST))
            ]
            rows.append([name, f"{guidance:g}", sampler, str(steps), *ratios])
    columns = [f"{path}: {m}" for path, m in product((ROW_ORDER, RANDOM), (LENGTH, LARGEST))]
    head = ["model", "guidance", "sampler", "steps", *columns]
    return f"{_rows(head, rows)}\n\nAll ratios are to optimal transport."


def measures(table: pd.DataFrame) -> str:
    """Paths on which mass fades against optimal transport, and what follows."""
    rows: list[list[str]] = []
    wins: dict[str, list[bool]] = {p: [] for p in dict.fromkeys(table["path"]) if p != OPTIMAL}
    for name, own in _models(with_measures(table)):
        by = _by_path(own)
        for path, won in wins.items():
            ratios = {m: paired(by[path], by[OPTIMAL], m) for m in MEASURES}
            won.append(ratios[LENGTH].side < 0 and ratios[LARGEST].side < 0)
            rows.append([name, path, *(_bold(ratios[m]) for m in MEASURES)])
    verdicts = [
        f"The {path} path {'wins' if all(won) else 'does not win'} by the rule of the design "
        "(shorter, and with a smaller largest step, on every model)."
        for path, won in wins.items()
    ]
    table_text = _rows(["model", "path", *(f"{m}, to optimal" for m in MEASURES)], rows)
    return f"{table_text}\n\n{' '.join(verdicts)}"
