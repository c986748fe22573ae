"""`make bench`: print all ratios; benchmarks/README.md holds a run and explains how to read it.

Below the table: the goals of Morph Sampler, from the last `python -m study even`.

`--without-server` leaves out the morph on a server, `--gpu` measures on the first CUDA device.
"""

from __future__ import annotations

import argparse

import pandas as pd
import torch

from dev.measure import Row, table
from study.__main__ import RESULTS
from study.even import report

from . import (
    coupling,
    density,
    film,
    morph,
    morph_sampler,
    noise,
    perceptual,
    photos,
    schedule,
    study,
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ratios against peers, in one run.")
    parser.add_argument("--without-server", action="store_true")
    parser.add_argument("--gpu", action="store_true")
    arguments = parser.parse_args()
    device = torch.device("cuda" if arguments.gpu else "cpu")
    cpu = f"CPU, {torch.get_num_threads()} threads"
    device_name = torch.cuda.get_device_name() if arguments.gpu else cpu
    print(f"torch {torch.__version__} on {device_name}\n")
    rows: list[Row] = [
        *coupling.rows(),
        *schedule.rows(cpu=not arguments.gpu),
        *film.rows(cpu=not arguments.gpu),
        *perceptual.rows(device),
        *noise.rows(cpu=not arguments.gpu),
        *density.rows(cpu=not arguments.gpu),
        *study.rows(cpu=not arguments.gpu),
        *morph_sampler.rows(cpu=not arguments.gpu),
        *photos.rows(cpu=not arguments.gpu),
    ]
    if not arguments.without_server:
        rows += morph.rows(cpu=not arguments.gpu)
    print(table(rows))
    print("\nEvenness, from study/results/even_morph:\n")
    print(report.goals(pd.read_parquet(RESULTS / "even_morph" / report.TABLE)))


if __name__ == "__main__":
    main()
