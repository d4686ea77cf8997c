"""Recomputes every placement of a run from its config alone, and lists what does not hold.

Nothing here uses the options, the models or the solver: memory, throughput and cost come
from the performance model and the prices, everything else from the rows themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.instance import Instance
from pipeline.results.schema import present
from pipeline.verify.case import (
    PROOF_TOLERANCE,
    TOLERANCE,
    Case,
    Mismatch,
    Row,
    mismatch,
)
from pipeline.verify.columns import only_own_columns
from pipeline.verify.rules import RULES, bound_distances, gap_stands, values_possible
from pipeline.verify.served import SERVED_RULES

__all__ = [
    "PROOF_TOLERANCE",
    "TOLERANCE",
    "Mismatch",
    "bound_distances",
    "gap_stands",
    "verify_point",
]


def verify_point(
    point: Row,
    segments: Sequence[Row],
    instance: Instance,
    linked: Callable[[Sequence[int], Sequence[int]], bool] = lambda _a, _b: True,
) -> list[Mismatch]:
    """Return everything about a stored point that does not follow from the instance."""
    case = Case(point, segments, instance, linked)
    foreign = list(only_own_columns(case))
    if not present(point["throughput_tokens_per_s"]):
        what = "segments of a point without placement"
        return foreign + [mismatch(case, what, len(segments), 0)] * bool(segments)
    if not segments:
        return [*foreign, mismatch(case, "segments of a placement", 0, "at least 1")]
    if any(case.kind(segment) is None for segment in segments):
        return [mismatch(case, "GPU types", [s["gpu"] for s in segments], "types of the pool")]
    # What cannot be at all is told alone: nothing could be computed from it.
    impossible = list(values_possible(case))
    rules = RULES if instance.serving is None else SERVED_RULES
    return impossible or [*foreign, *(found for rule in rules for found in rule(case))]
