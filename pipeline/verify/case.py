"""What the rules of a verification look at, and what they find."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.instance import GpuType, Instance
from pipeline.performance import PerformanceModel, performance_model
from pipeline.results.schema import present
from pipeline.roofline import StageFigures
from pipeline.serving_check import figures_of_stages

TOLERANCE = 1e-9
# What a solver may be off by, of a bound that it proved.
PROOF_TOLERANCE = 1e-6
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Mismatch:
    """One thing in the tables that the config contradicts."""

    point_id: str
    what: str
    stored: Any
    recomputed: Any

    def __str__(self) -> str:
        return f"{self.point_id}: {self.what}: stored {self.stored}, recomputed {self.recomputed}"


@dataclass(frozen=True)
class Case:
    """A point with its segments in pipeline order, and what the config says about it.

    linked: tells whether the bandwidth filter leaves the link from one group to another.
    """

    point: Row
    segments: Sequence[Row]
    instance: Instance
    linked: Callable[[Sequence[int], Sequence[int]], bool]

    @cached_property
    def model(self) -> PerformanceModel:
        """The performance model that gives every stage a throughput of its own."""
        return performance_model(self.instance)

    @cached_property
    def stage_figures(self) -> list[StageFigures]:
        """What the `roofline` model says of every stage; empty under another model."""
        serving = self.instance.serving
        if serving is None:
            return []
        return figures_of_stages(self.instance, serving, self.point, self.segments)

    def kind(self, segment: Row) -> GpuType | None:
        """Return the type of a segment's GPUs as the pool states it."""
        return next((k for k in self.instance.pool if k.name == segment["gpu"]), None)

    def first_id(self, segment: Row) -> int:
        """Return the lowest GPU id of the segment's type."""
        names = [kind.name for kind in self.instance.pool]
        return self.instance.first_gpu_ids[names.index(segment["gpu"])]


def compare(case: Case, what: str, stored: Any, recomputed: float) -> Iterator[Mismatch]:
    """Yield a mismatch where a stored number is not the recomputed one."""
    if not present(stored) or not math.isclose(stored, recomputed, rel_tol=TOLERANCE):
        yield mismatch(case, what, stored, recomputed)


def mismatch(case: Case, what: str, stored: Any, recomputed: Any) -> Mismatch:
    """Return a mismatch of the case's point."""
    return Mismatch(str(case.point["point_id"]), what, stored, recomputed)
