"""Commands that answer one question at once: solve, frontier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.app import FAILED, NO_PLACEMENT, command, err, examples, out
from pipeline.cli.inputs import checked_granularity, read_config
from pipeline.cli.options import AsJson, Assignments, Budget, ConfigPath, GranularityName
from pipeline.errors import Fault, InputError, as_message

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pipeline.points import Point, Problem
    from pipeline.serving.uncertainty import Robustness


@command(
    epilog=examples(
        "solve configs/medium.yaml",
        "solve configs/medium.yaml --budget 5 --granularity coarse",
        "solve configs/medium.yaml --set pool.A100.usd_per_hour=1.2 --set limits.uniform_tp=true",
        "solve configs/medium.yaml --json",
    )
)
def solve(
    config: ConfigPath,
    granularity: GranularityName = "exact",
    budget: Budget = None,
    cost_weight: Annotated[
        float | None,
        typer.Option(
            "--cost-weight",
            "-w",
            min=0.0,
            max=1.0,
            help="Trade throughput against cost: 0 is throughput alone, 1 cost alone; each is "
            "divided by its scale in sweep.normalization, so set these near your answers.",
        ),
    ] = None,
    formulation: Annotated[
        str | None,
        typer.Option(help="compact, or pairwise: the published one, for small cases."),
    ] = None,
    brief: Annotated[
        bool,
        typer.Option("--brief", help="The answer alone, without what comes below the pipeline."),
    ] = False,
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> int:
    """Find one placement, draw and explain it: the lowest $/token, or the fastest at a budget.

    Says what was proven, what holds the answer back, what lies next to it and what coarser
    granularities give away; under `roofline` instead how often the lowest $/token stays with
    the same groups under other plausible constants. At a budget also where several copies side
    by side are faster. Exits 3 where no placement exists, with the reason.
    """
    from pipeline.config.fields import LARGEST

    if budget is not None and cost_weight is not None:
        raise typer.BadParameter("--budget and --cost-weight exclude each other")
    method = "ratio"
    if budget is not None and not budget <= LARGEST:
        reason = f"must be a number of at most {LARGEST:g}; leave it out for no budget"
        raise InputError([Fault("command line", "--budget", reason, budget)])
    if budget is not None:
        method = "enumeration"
    elif cost_weight is not None:
        method = "weighted"
    given = list(assignments or [])
    if formulation is not None:
        given.append(f"solver.formulation={formulation}")
    question = _Question(config, given, granularity, method, budget, cost_weight)
    return _answer(question, as_json, explained=not brief)


@command(epilog=examples("frontier configs/medium.yaml", "frontier configs/medium.yaml --json"))
def frontier(
    config: ConfigPath,
    granularity: GranularityName = "exact",
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> int:
    """Find every placement that is not beaten in both throughput and cost.

    With --json a list of answers as those of `solve`; where nothing can be placed it is empty,
    standard error says why, and the exit code is 3.
    """
    question = _Question(config, assignments or [], granularity, "frontier")
    return _answer(question, as_json, explained=False)


@dataclass(frozen=True)
class _Question:
    """What the user asked, as the command line has it."""

    config: Path
    assignments: list[str]
    granularity: str
    method: str
    budget: float | None = None
    cost_weight: float | None = None


def _asked(question: _Question) -> tuple[Problem, Point]:
    """Return the problem and the point that a question is about. Raises InputError."""
    from pipeline.points import make_point
    from pipeline.sweep import problem_of

    loaded = read_config(question.config, question.assignments)
    name = checked_granularity(question.granularity, loaded.instance.num_layers)
    problem = problem_of(loaded, {})
    if question.method == "frontier" and problem.settings.formulation == "pairwise":
        reason = "has no frontier; compact has"
        fault = Fault(loaded.document.file, "solver.formulation", reason, "pairwise")
        raise InputError([fault])
    weight = question.cost_weight
    return problem, make_point(problem, name, question.method, question.budget, weight)


def _answer(question: _Question, as_json: bool, explained: bool) -> int:
    """Solve one point and print it; return the exit code."""
    from pipeline.cli.answers import answer_json, answer_view, frontier_view
    from pipeline.cli.progress import working
    from pipeline.run import solved_rows

    problem, point = _asked(question)
    with working(err(), f"solving at {point.granularity}"):
        rows = solved_rows(problem, point)
    answers = [answer_json(problem, row, rows.segments) for row in rows.points]
    placed = [answer for answer in answers if answer["throughput_tokens_per_s"] is not None]
    many = point.method == "frontier"
    if not as_json:
        out().print((frontier_view if many else answer_view)(problem, rows))
    more = _more(problem, point, answers[0]) if explained and placed else []
    if as_json:
        first = answers[0] | {name: value for part in more for name, value in part.data.items()}
        typer.echo(json.dumps(placed if many else first, indent=2))
        if many and not placed:
            err().print(as_message(f"{answers[0]['status']}: {answers[0]['message']}"))
    for part in () if as_json else more:
        if part.view is not None:
            out().print(part.view)
    if all(answer["status"] == "infeasible" for answer in answers):
        return NO_PLACEMENT
    return 0 if placed else FAILED


@dataclass(frozen=True)
class _More:
    """What is said of an answer beside itself: for people, if it is for them, and for machines."""

    view: RenderableType | None
    data: dict[str, Any]


def _more(problem: Problem, point: Point, answer: Mapping[str, Any]) -> list[_More]:
    """Explain an answer, say what copies do within its budget, and how sure a lowest $/token is."""
    found: list[_More] = []
    is_late = answer["status"] == "time_limit"
    if problem.instance.serving is None:
        found += _explained(problem, point)
    elif point.method == "ratio":
        found.append(_decided_again(problem, point, is_late))
    # An answer that took all the time that there is would take it once more.
    if point.method == "enumeration" and not is_late:
        found.append(_copied(problem, point, answer))
    return found


def _explained(problem: Problem, point: Point) -> list[_More]:
    """Say what binds and what lies next to an answer under `flops`."""
    from pipeline.cli.explanation import explanation_json, explanation_view
    from pipeline.cli.progress import working
    from pipeline.explain import explain_point

    with working(err(), "looking at what binds; the answer above is final"):
        found = explain_point(problem, point)
    if found is None:
        return []
    view = explanation_view(found, held_by_budget=point.method == "enumeration")
    return [_More(view, {"explanation": explanation_json(found)})]


def _copied(problem: Problem, point: Point, answer: Mapping[str, Any]) -> _More:
    """Say where copies side by side are faster than one placement within its budget."""
    from pipeline.cli.explanation import copies_json, copies_view
    from pipeline.cli.progress import working
    from pipeline.copies import faster_copies

    rate = answer["throughput_tokens_per_s"]
    with working(err(), "looking at copies side by side; the answer above is final"):
        copies = faster_copies(problem, point, rate)
    view = None if copies is None else copies_view(copies, rate)
    return _More(view, {"faster_copies": None if copies is None else copies_json(copies)})


def _decided_again(problem: Problem, point: Point, is_late: bool) -> _More:
    """Say how sure a lowest $/token is under `roofline`."""
    from pipeline.cli.progress import working
    from pipeline.cli.render import plain
    from pipeline.cli.serving_views import robustness_view, undecided_view

    with working(err(), "deciding again under drawn constants; the answer above is final"):
        steady = None if is_late else _robustness(problem, point.granularity)
    if steady is None:
        return _More(undecided_view(problem.settings.time_limit_s), {"robustness": None})
    return _More(robustness_view(steady), {"robustness": plain(asdict(steady))})


def _robustness(problem: Problem, granularity: str) -> Robustness | None:
    """Decide again under drawn constants which groups have the lowest $/token."""
    from pipeline.granularity import granularity as fitted
    from pipeline.serving.answers import serving_search
    from pipeline.serving.uncertainty import solved_robustness

    sizes = fitted(granularity, problem.instance.num_layers)
    return solved_robustness(serving_search(problem.instance, sizes, problem.settings))
