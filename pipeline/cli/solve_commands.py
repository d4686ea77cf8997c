"""Commands that answer one question at once: solve, frontier."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer

from pipeline.cli.app import FAILED, NO_PLACEMENT, app, guarded, out
from pipeline.cli.inputs import checked_granularity, read_config
from pipeline.cli.options import AsJson, Assignments, Budget, ConfigPath, GranularityName
from pipeline.errors import Fault, InputError


@app.command()
def solve(
    config: ConfigPath,
    granularity: GranularityName = "exact",
    budget: Budget = None,
    cost_weight: Annotated[
        float | None,
        typer.Option(
            "--cost-weight", "-w", min=0.0, max=1.0, help="Trade throughput against cost."
        ),
    ] = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> None:
    """Find one placement and draw it: the lowest $/token, or the fastest at a budget.

    Exits 3 where no placement exists, with the reason.
    """

    def run() -> int:
        if budget is not None and cost_weight is not None:
            raise typer.BadParameter("--budget and --cost-weight exclude each other")
        method = "ratio"
        if budget is not None and not math.isfinite(budget):
            reason = "must be a finite number; leave it out for no budget"
            raise InputError([Fault("command line", "--budget", reason, budget)])
        if budget is not None:
            method = "enumeration"
        elif cost_weight is not None:
            method = "weighted"
        return _answer(config, assignments, granularity, method, budget, cost_weight, as_json)

    guarded(run)


@app.command()
def frontier(
    config: ConfigPath,
    granularity: GranularityName = "exact",
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> None:
    """Find every placement that is not beaten in both throughput and cost."""

    def run() -> int:
        return _answer(config, assignments, granularity, "frontier", None, None, as_json)

    guarded(run)


def _answer(
    config: Any,
    assignments: list[str] | None,
    granularity: str,
    method: str,
    budget: float | None,
    cost_weight: float | None,
    as_json: bool,
) -> int:
    """Solve one point and print it; return the exit code."""
    from pipeline.cli.answers import answer_json, answer_view, frontier_view
    from pipeline.points import make_point
    from pipeline.run import run_point
    from pipeline.sweep import problem_of

    loaded = read_config(config, assignments)
    name = checked_granularity(granularity, loaded.instance.num_layers)
    problem = problem_of(loaded, {})
    rows = run_point(problem, make_point(problem, name, method, budget, cost_weight))
    statuses = {row.values["status"] for row in rows.points}
    if as_json:
        answers = [answer_json(row, rows.segments) for row in rows.points]
        points = [a for a in answers if a["throughput_tokens_per_s"] is not None]
        typer.echo(json.dumps(points if method == "frontier" else answers[0], indent=2))
    elif method == "frontier":
        out().print(frontier_view(rows))
    else:
        out().print(answer_view(problem, rows))
    if statuses == {"infeasible"}:
        return NO_PLACEMENT
    placed = any(row.values.get("cost_usd_per_hour") is not None for row in rows.points)
    return 0 if placed and "error" not in statuses else FAILED
