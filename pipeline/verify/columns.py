"""Which columns a row may fill: by its method, its performance model, and whether it has an answer.

A figure where none can be is believed by whoever reads the table, and no rule of placements looks
at it: the figures of a placement are held to it, those of rows without one to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.results.schema import BOUND_COLUMNS, LOAD_COLUMNS, UNSOLVED, present
from pipeline.verify.case import Case, Mismatch, mismatch

OF_PLACEMENTS = ("num_stages", "num_gpus", "mip_gap", "target_met", "ratio_to_baseline")
PROVEN_BY = {
    "enumeration": ("bound_throughput_tokens_per_s", "bound_cost_usd_per_hour"),
    "weighted": ("bound_weighted_score",),
    "iterative": ("bound_cost_usd_per_token",),
    "ratio": ("bound_cost_usd_per_token",),
    "frontier": ("bound_cost_usd_per_hour",),
}
"""The bounds that each method proves."""
# Of throughput alone, or of cost alone, the answer is one of `enumeration`, with its least cost.
ONE_GOAL = (0.0, 1.0)


def only_own_columns(case: Case) -> Iterator[Mismatch]:
    """A row fills no column that its method, its model or its status does not have."""
    for name in _foreign(case):
        if present(case.point[name]):
            yield mismatch(case, name, case.point[name], "empty")


def _foreign(case: Case) -> Iterator[str]:
    """Yield the columns that must be empty, each once."""
    point, serving = case.point, case.instance.serving
    has_answer = present(point["throughput_tokens_per_s"])
    if not has_answer:
        yield from OF_PLACEMENTS
    if serving is None or not has_answer:
        yield from LOAD_COLUMNS
    elif serving.phase == "prefill":
        yield "tpot_s"
    own = () if point["status"] in UNSOLVED else PROVEN_BY.get(point["method"], BOUND_COLUMNS)
    if has_answer and point["method"] == "weighted" and point["cost_weight"] in ONE_GOAL:
        own = (*own, "bound_cost_usd_per_hour")
    yield from (name for name in BOUND_COLUMNS if name not in own)
