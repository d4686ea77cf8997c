"""Tells whether the tables of a run can be compared: all in them has what describes it."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import ResultsError, shown
from pipeline.results.checked import NO_TOKENS, check_run, tells_tokens
from pipeline.results.frames import Results
from pipeline.results.schema import LOAD_COLUMNS
from pipeline.results.store import RUN_FILE

# What is described, the columns of which any says that it is there, and what else it then has.
FIGURES = ("throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token")
BASELINE = tuple(f"baseline_{name}" for name in FIGURES)
SIZES = ("num_stages", "num_gpus", "options", "segments", "connections", "binaries")
TOKENS = ("input_tokens", "output_tokens")
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
    points = results.points
    idle = points[(points.concurrency < 1) | (points.micro_batches < 1)]
    if len(idle):
        raise ResultsError(
            f"{results.directory}: point {idle.point_id.iloc[0]}: has a load without requests"
        )
    _check_swept_workloads(results)


def _check_swept_workloads(results: Results) -> None:
    """Raise ResultsError for swept values by which whole requests have no tokens.

    `check_run` looks at the workload that the config states, before anything is swept.
    """
    names = [name for name in results.run["swept_fields"] if name.startswith("workload.")]
    stated = results.run["config"]["workload"]
    for swept in results.points[names].drop_duplicates().to_dict("records") if names else ():
        values = {str(name).partition(".")[2]: value for name, value in swept.items()}
        workload = {**stated, **values}
        tokens = [workload.get(name) for name in TOKENS]
        if not tells_tokens(workload.get("phase"), *tokens):
            reason = f"{NO_TOKENS} (got {shown(tokens)})"
            raise ResultsError(f"{results.directory}: points: {', '.join(names)}: {reason}")
