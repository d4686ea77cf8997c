"""From a problem to its ballpark: the cost, $/h, that relative budgets are multiples of.

It is the cost of the lowest $/token at `coarsest`, or where nothing can be placed there at `exact`.
A search for it is a point like others, but its row is read instead of stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.errors import PlacementError
from pipeline.points import Point, Problem, Task, make_point
from pipeline.results.schema import SOLVED

if TYPE_CHECKING:
    from pipeline.run import Solve

Row = Mapping[str, Any]


class NoBallparkError(PlacementError):
    """A search ended without a proof: its budgets would be others at the next try."""


@dataclass(frozen=True)
class BallparkSearch:
    """A search for the ballpark of a problem.

    instead: the points whose rows say so where the search fails. then: makes the points that wait
    for the ballpark; it is None where it is proven that nothing can be placed.
    """

    problem: Problem
    instead: tuple[Point, ...] = ()
    then: Callable[[float | None], Iterator[Task]] = lambda _: iter(())
    granularity: str = "coarsest"

    @property
    def point(self) -> Point:
        """The question that is asked; its id is that of no point of a sweep."""
        asked = make_point(self.problem, self.granularity, "ratio")
        return replace(asked, point_id=f"{asked.point_id}-ballpark")

    def found(self, row: Row) -> float | BallparkSearch | None:
        """Return the ballpark that a row tells, or the search that is to follow.

        Raises NoBallparkError where the row proves nothing.
        """
        if row["status"] in SOLVED:
            return float(row["cost_usd_per_hour"])
        if row["status"] == "infeasible":
            return replace(self, granularity="exact") if self.granularity == "coarsest" else None
        reason = row["message"]
        if row["status"] == "time_limit":
            reason = f"time ran out before the lowest $/token at {self.granularity} was proven"
        raise NoBallparkError(f"no ballpark that the budgets are multiples of: {reason}")


def ballpark_usd_per_hour(search: BallparkSearch, solve: Solve) -> float | None:
    """Search in this process; return the ballpark, None where nothing can be placed.

    Raises NoBallparkError.
    """
    found = search.found(solve(search.problem, search.point).points[0].values)
    return ballpark_usd_per_hour(found, solve) if isinstance(found, BallparkSearch) else found
