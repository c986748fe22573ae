"""Results that are kept: one Parquet file an experiment, with the plans that its models ran by.

Runs take over what these files hold of them, so that a run can go on in another checkout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from dev.workflows.settings import SMALL_MODELS

from .. import parquet
from .experiments import EXPERIMENTS
from .run import PLAN, Plan, file_of, write_part

COMMAND = "python -m study paths"
Plans = Mapping[str, Plan]  # by the model's name


def model_name(plan: Plan) -> str:
    names = {file: name for name, file in SMALL_MODELS.items()}
    return names.get(plan.checkpoint, plan.checkpoint)


def write(name: str, table: pd.DataFrame, plans: Plans, output: Path) -> Path:
    """Write an experiment's rows, of all models in the column "model"."""
    about = {"experiment": name, "plans": {model: asdict(plan) for model, plan in plans.items()}}
    parquet.write(table, about, output / f"{name}.parquet")
    return output / f"{name}.parquet"


def read(name: str, output: Path) -> tuple[pd.DataFrame, Plans]:
    """An experiment's rows and plans; nothing where there is no file.

    Raises ValueError for a file that `write` did not write.
    """
    file = output / f"{name}.parquet"
    if not file.is_file():
        return pd.DataFrame(), {}
    table, about = parquet.read(file, COMMAND)
    try:
        return table, {model: plan_from(given) for model, given in about["plans"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} was not written by `{COMMAND}` ({error}).") from error


def plan_from(given: Mapping[str, object]) -> Plan:
    """A plan as JSON holds it. Raises KeyError or TypeError for anything else."""
    pairs: list[list[object]] = given["pairs"]  # type: ignore[assignment]
    return Plan(**{**given, "pairs": tuple(map(tuple, pairs))})  # type: ignore[arg-type]


def plan_of(folder: Path) -> Plan:
    return plan_from(json.loads((folder / PLAN).read_text()))


def take_over(plan: Plan, folder: Path, output: Path) -> int:
    """Put what is kept of a plan into its run's folder; returns how many parts were new there."""
    new = 0
    for name in EXPERIMENTS:
        table, plans = read(name, output)
        model = model_name(plan)
        if plans.get(model) != plan:
            continue
        own = pd.DataFrame(table[table["model"] == model]).drop(columns="model")
        for pair, rows in own.groupby("pair"):
            file = file_of(folder, (name, int(str(pair))))
            if not file.exists():
                # Columns of other pairs' rows alone are not this pair's.
                write_part(rows.dropna(axis=1, how="all"), file)
                new += 1
    return new
