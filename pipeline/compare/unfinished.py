"""Tells of a run that has not come to its end how far it is, from its tables alone."""

from __future__ import annotations

from pipeline.results.frames import Results
from pipeline.results.planned import planned_done
from pipeline.words import counted


def unfinished(results: Results) -> str:
    """Say how much of its plan a run has; empty where it has come to its end."""
    run = results.run
    if run["status"] == "finished":
        return ""
    there = planned_done(results.points_there(), run)
    if there is None:
        return "This run has not finished."
    planned = run["planned_points"]
    are = "is" if planned == 1 else "are"
    return (
        f"This run has not finished: {there:,} of {counted(planned, 'point')} {are} there; "
        "placement sweep with the same config and --out goes on."
    )
