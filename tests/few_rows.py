"""What `calibrate --from` gains where one measured a few configurations of one's own.

    python -m tests.few_rows throughput.csv

Every source in turn plays one's own measurements: a few of its rows are fitted, from the priors
alone and from constants fitted on half of all other sources. Scored are the source's other rows,
and the unseen half of the others: GPUs, engines and models that the few rows mostly lack.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from rich.console import Console

from pipeline.constant_fit import fit_constants, predicted_tokens_per_s
from pipeline.grids import Grid, figures, texts
from pipeline.held_out import picked, random_half
from pipeline.measurements import Measurement, measured_tokens_per_s, read_measurements
from pipeline.roofline.constants import ConstantTable
from pipeline.words import counted

FEW = (5, 20)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Score:
    """Median relative errors of constants, on the rest of one's own rows and on all others'."""

    rows: int
    constants: str
    own: float
    others: float


def scores(measurements: list[Measurement]) -> Iterator[Score]:
    """Score what a few rows of every source make, for each seed."""
    for source in sorted({entry.source for entry in measurements}):
        own = [entry for entry in measurements if entry.source == source]
        others = [entry for entry in measurements if entry.source != source]
        half = random_half(len(others), SEEDS[0])
        known = fit_constants(picked(others, half), "other sources")
        unseen = picked(others, ~half)
        for few in (few for few in FEW if len(own) >= 2 * few):
            for seed in SEEDS:
                order = np.random.default_rng(seed).permutation(len(own))
                rows = [own[i] for i in order[:few]]
                rest = [own[i] for i in order[few:]]
                tables = {
                    "others' alone": known,
                    "from priors": fit_constants(rows, "few"),
                    "from others'": fit_constants(rows, "few", start=known),
                }
                for name, table in tables.items():
                    yield Score(few, name, _error(table, rest), _error(table, unseen))


def _error(table: ConstantTable, rows: list[Measurement]) -> float:
    """Return the median relative error of tokens/s."""
    ratios = predicted_tokens_per_s(table, rows) / measured_tokens_per_s(rows)
    return float(np.median(np.abs(ratios - 1)))


def main() -> None:
    """Print the mean over sources and seeds of the median errors."""
    found = list(scores(list(read_measurements(sys.argv[1], {}))))
    columns = [texts("constants"), figures("own other rows, %"), figures("other sources, %")]
    for few in FEW:
        layout = Grid(f"{counted(few, 'row')} of one's own", columns)
        for name in dict.fromkeys(score.constants for score in found):
            own, others = zip(
                *[(s.own, s.others) for s in found if (s.rows, s.constants) == (few, name)],
                strict=True,
            )
            layout.add_row(name, f"{100 * fmean(own):.1f}", f"{100 * fmean(others):.1f}")
        Console().print(layout)


if __name__ == "__main__":
    main()
