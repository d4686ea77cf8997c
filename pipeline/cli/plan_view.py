"""Shows the plan of a sweep: its points by method and granularity, and an estimate of the time."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.text import Text

from pipeline.grids import Grid, figures, names
from pipeline.plan import SECONDS_TO_START, Plan
from pipeline.words import counted, duration


def plan_view(plan: Plan) -> Group:
    """Return the table of a plan with a sentence on the whole."""
    columns = [names("method"), names("granularity"), figures("points"), figures("s per point")]
    table = Grid("Plan", columns)
    for line in plan.lines:
        seconds = f"{'≥ ' if line.is_cut_off else ''}{line.seconds_per_point:.3f}"
        table.add_row(line.method, line.granularity, f"{line.points:,}", seconds)
    return Group(table, *map(Text, [*plan.errors, _crossed(plan), _time(plan)]))


def _crossed(plan: Plan) -> str:
    """Say how many points there are, and what is crossed to make them."""
    factors = " × ".join(
        f"{counted(count, 'value')} of {name}" for name, count in plan.swept.items()
    )
    return counted(plan.points, "point") + (f", over {factors}" if factors else "")


def _time(plan: Plan) -> str:
    """Say how long the points may take, and on what that rests."""
    low, high = map(duration, plan.range_s)
    about = duration(plan.points_s) + (f" ({low} to {high})" if low != high else "")
    return (
        f"{'at least' if plan.is_lower_bound else 'about'} {about} on "
        f"{counted(plan.cpus, 'CPU')} that nothing else uses, once Ray has started (some "
        f"{duration(SECONDS_TO_START)}); reckoned from up to three points of each kind, solved "
        "here; nothing is stored"
    )


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data."""
    return {
        "points": plan.points,
        "swept": dict(plan.swept),
        "cpus": plan.cpus,
        "estimated_seconds": plan.seconds,
        "points_seconds": plan.points_s,
        "points_seconds_range": list(plan.range_s),
        "is_lower_bound": plan.is_lower_bound,
        "kinds": [
            {
                "method": line.method,
                "granularity": line.granularity,
                "points": line.points,
                "seconds_per_point": line.seconds_per_point,
                "error": line.error or None,
            }
            for line in plan.lines
        ],
    }
