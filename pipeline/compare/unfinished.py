"""Tells of a run that has not come to its end how far it is, from its tables alone."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compare.tables import asked
from pipeline.results.frames import Results
from pipeline.results.planned import is_planned, plan_columns
from pipeline.words import counted


def unfinished(results: Results) -> str:
    """Say how much of its plan a run has; empty where it has come to its end."""
    run = results.run
    if run["status"] == "finished":
        return ""
    planned = run.get("planned_points")
    if planned is None:
        return "This run has not finished."
    questions = asked(results.points)[plan_columns(run)]
    table = pa.Table.from_pandas(questions, preserve_index=False)
    there = pc.sum(is_planned(table, run)).as_py() or 0
    if there > planned:  # among them are some of other plans, with budgets from a ballpark
        return "This run has not finished."
    are = "is" if planned == 1 else "are"
    return (
        f"This run has not finished: {there:,} of {counted(planned, 'point')} {are} there; "
        "placement sweep with the same config and --out goes on."
    )
