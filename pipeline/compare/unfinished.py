"""Tells of a run that has not come to its end how far it is, from its tables alone."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compare.tables import asked
from pipeline.results.frames import Results
from pipeline.results.planned import is_planned, plan_columns, planned_done
from pipeline.words import counted


def unfinished(results: Results) -> str:
    """Say how much of its plan a run has; empty where it has come to its end."""
    run = results.run
    if run["status"] == "finished":
        return ""
    questions = asked(results.points)[plan_columns(run)]
    table = pa.Table.from_pandas(questions, preserve_index=False)
    there = planned_done(pc.sum(is_planned(table, run)).as_py() or 0, run)
    if there is None:
        return "This run has not finished."
    planned = run["planned_points"]
    are = "is" if planned == 1 else "are"
    return (
        f"This run has not finished: {there:,} of {counted(planned, 'point')} {are} there; "
        "placement sweep with the same config and --out goes on."
    )
