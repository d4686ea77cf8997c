"""The plan of a sweep: from a config to the points that it asks for, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.budgets import budgets_usd_per_hour, needs_ballpark
from pipeline.config import Config, LoadedConfig
from pipeline.points import Point, Problem, Scales, digest, make_point
from pipeline.results.schema import SCHEMA_VERSION
from pipeline.solver import SolverSettings


Ballpark = Callable[[Problem], float | None]


def problems(loaded: LoadedConfig) -> Iterator[Problem]:
    """Yield the problem of every combination of swept values. Raises InputError."""
    for swept, variant in loaded.variants():
        yield Problem(
            problem_id=problem_id(variant.config),
            instance=variant.instance,
            settings=SolverSettings(**variant.config.solver.model_dump()),
            scales=_scales(variant.config),
            swept=swept,
        )


def points(config: Config, problem: Problem, ballpark: Ballpark) -> Iterator[Point]:
    """Yield the points that a config asks of one problem.

    ballpark: finds the cost that relative budgets are multiples of, $/h; only asked for these.
    """
    sweep = config.sweep
    for method in sweep.methods:
        for name in sweep.granularities:
            for budget, weight in _arguments(config, problem, method, ballpark):
                yield make_point(problem, name, method, budget, weight)


def problem_id(config: Config) -> str:
    """Hash every field of a config that decides answers, whatever its name or plan."""
    decisive = config.model_dump(mode="json", exclude={"name", "sweep"})
    decisive["solver"].pop("threads")
    sweep = config.sweep
    decisive["scales"] = sweep.normalization.model_dump()
    decisive["target"] = sweep.target_usd_per_million_tokens
    return digest([SCHEMA_VERSION, decisive])


def _arguments(
    config: Config, problem: Problem, method: str, ballpark: Ballpark
) -> list[tuple[float | None, float | None]]:
    """List the budgets and cost weights with which a method is asked."""
    if method == "weighted":
        return [(None, weight) for weight in config.sweep.cost_weights]
    if method != "enumeration":
        return [(None, None)]
    budgets = config.sweep.budgets_usd_per_hour
    cost = ballpark(problem) if needs_ballpark(budgets) else None
    if cost is None and needs_ballpark(budgets):
        return [(None, None)]  # nothing can be placed: one row will say why
    return [(budget, None) for budget in budgets_usd_per_hour(budgets, cost)]


def _scales(config: Config) -> Scales:
    sweep = config.sweep
    target = sweep.target_usd_per_million_tokens
    return Scales(
        sweep.normalization.throughput_tokens_per_s,
        sweep.normalization.cost_usd_per_hour,
        None if target is None else target / 1e6,
    )
