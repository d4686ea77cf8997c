"""Tells whether the tables of a run can be compared: all in them has what describes it."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import ResultsError
from pipeline.results.checked import check_run
from pipeline.results.frames import Results
from pipeline.results.schema import LOAD_COLUMNS
from pipeline.results.store import RUN_FILE

# What is described, the columns of which any says that it is there, and what else it then has.
FIGURES = ("throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token")
BASELINE = tuple(f"baseline_{name}" for name in FIGURES)
SIZES = ("num_stages", "num_gpus", "options", "segments", "connections", "binaries")
LOAD = tuple(name for name in LOAD_COLUMNS if name != "tpot_s")
DESCRIBED: Sequence[tuple[str, Sequence[str], Sequence[str]]] = (
    ("a placement", FIGURES, SIZES),
    ("a baseline", BASELINE, ()),
    ("a load", LOAD, ()),
)


def check_comparable(results: Results) -> None:
    """Raise ResultsError for an answer without a figure or with one below 0, and for odd notes.

    `placement verify` lists what is wrong with such rows.
    """
    check_run(results.run, results.directory / RUN_FILE)
    for what, figures, sizes in DESCRIBED:
        rows = results.points[results.points[list(figures)].notna().any(axis=1)]
        for name in (*figures, *sizes):
            lacking = rows.point_id[rows[name].isna()]
            if len(lacking):
                raise ResultsError(
                    f"{results.directory}: point {lacking.iloc[0]}: has {what} but no {name}; "
                    "placement verify tells what else is wrong"
                )
            below = rows.point_id[rows[name] < 0]
            if len(below):
                raise ResultsError(
                    f"{results.directory}: point {below.iloc[0]}: has {what} whose {name} is below "
                    "0; placement verify tells what else is wrong"
                )
    stages = results.segments
    odd = stages[(stages.tp_degree < 1) | (stages["size"] < 1) | (stages.gpu_ids.map(len) < 1)]
    if len(odd):
        raise ResultsError(
            f"{results.directory}: point {odd.point_id.iloc[0]}: has a stage without layers or GPUs"
        )
