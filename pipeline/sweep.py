"""The plan of a sweep: from a config to the points that it asks for, one after the other."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from pipeline.ballparks import BallparkSearch
from pipeline.baseline import baseline_tries
from pipeline.budgets import budgets_usd_per_hour, needs_ballpark
from pipeline.catalogue import find_engine
from pipeline.config import Config, LoadedConfig
from pipeline.config.counts import num_points, num_problems
from pipeline.config.hardware import gpus_of
from pipeline.config.performance_checks import gpu_memory_gb
from pipeline.errors import Fault, InputError, shown
from pipeline.points import Point, Problem, Scales, Task, digest, make_point
from pipeline.results.schema import SCHEMA_VERSION
from pipeline.results.store import now
from pipeline.roofline.cases import hardware_row, level_members
from pipeline.roofline.constant_files import shipped_table, table_of
from pipeline.roofline.constants import ConstantTable
from pipeline.settings import SolverSettings
from pipeline.versions import package_versions

# One takes a third of a millisecond.
MAX_COMBINATIONS_CHECKED = 10_000


def problems(loaded: LoadedConfig) -> Iterator[Problem]:
    """Yield the problem of every combination of swept values. Raises InputError."""
    for swept, variant in loaded.variants():
        yield problem_of(variant, swept)


def problem_of(variant: LoadedConfig, swept: Mapping[str, Any]) -> Problem:
    """Return the problem of a config whose swept values are already in place."""
    return Problem(
        problem_id=problem_id(variant.config),
        instance=variant.instance,
        settings=SolverSettings(**variant.config.solver.model_dump()),
        scales=_scales(variant.config),
        swept=swept,
    )


def points(config: Config, problem: Problem, ballpark: float | None = None) -> Iterator[Point]:
    """Yield the points that a config asks of one problem.

    ballpark: what relative budgets are multiples of, $/h; None where nothing can be placed.
    """
    return _points(config, problem, config.sweep.methods, ballpark)


def missing_tasks(
    loaded: LoadedConfig,
    done: Container[str],
    skip: Callable[[], None] = lambda: None,
    ballparks: Mapping[str, float | None] = MappingProxyType({}),
) -> Iterator[Task | BallparkSearch]:
    """Yield each point of a sweep once unless it is done; call `skip` for every other mention.

    ballparks: those that are known, $/h, by problem. Of a problem whose budgets are multiples of
    one that is not, the search is yielded, and with it the points that wait for it.
    """
    waiting = ["enumeration"] if waits_for_ballpark(loaded.config) else []
    for problem in problems(loaded):
        tasks = partial(_missing, loaded.config, problem, done, skip)
        later = [] if problem.problem_id in ballparks else waiting
        if later:
            instead = tuple(_points(loaded.config, problem, later, None))
            yield BallparkSearch(problem, instead, partial(tasks, later))
        at_once = [method for method in loaded.config.sweep.methods if method not in later]
        yield from tasks(at_once, ballparks.get(problem.problem_id))


def waits_for_ballpark(config: Config) -> bool:
    """Tell whether a sweep has points that are not known before a ballpark is."""
    sweep = config.sweep
    return "enumeration" in sweep.methods and needs_ballpark(sweep.budgets_usd_per_hour)


def _missing(
    config: Config,
    problem: Problem,
    done: Container[str],
    skip: Callable[[], None],
    methods: Sequence[str],
    ballpark: float | None,
) -> Iterator[Task]:
    """Yield the points of some methods to one problem, once each, unless they are done."""
    planned: set[str] = set()
    for point in _points(config, problem, methods, ballpark):
        if point.point_id in done or point.point_id in planned:
            skip()
        else:
            planned.add(point.point_id)
            yield problem, point


def _points(
    config: Config, problem: Problem, methods: Sequence[str], ballpark: float | None
) -> Iterator[Point]:
    """Yield the points that a config asks of one problem by some of its methods."""
    for method in dict.fromkeys(methods):
        arguments = dict.fromkeys(_arguments(config, method, ballpark))
        for name in dict.fromkeys(config.sweep.granularities):
            for budget, weight in arguments:
                yield make_point(problem, name, method, budget, weight)


def check_combinations(loaded: LoadedConfig, most: int = 10) -> None:
    """Raise InputError where values of swept fields do not go together, with up to `most` faults.

    Each value by itself was checked when the config was loaded. Of more combinations than can be
    looked at in a few seconds an even selection is; the others are met as the sweep comes to them.
    """
    over = loaded.config.sweep.over
    if len(over) < 2:
        return
    faults: dict[str, Fault] = {}
    step = -(-num_problems(loaded.config.sweep) // MAX_COMBINATIONS_CHECKED)
    for values in _combinations(list(over.values()), step):
        swept = dict(zip(over, values, strict=True))
        try:
            loaded.swept(list(swept.items()))
        except InputError as error:
            for fault in error.faults:
                # Values of a further field only repeat a fault of two that do not go together.
                faults.setdefault(str(fault), _of_combination(fault, swept))
        if len(faults) >= most:
            break
    if faults:
        raise InputError(faults.values())


def _of_combination(fault: Fault, swept: Mapping[str, Any]) -> Fault:
    """Return a fault that also says what the other swept fields were."""
    others = [
        f"{key} {shown(value)}"
        for key, value in swept.items()
        if fault.field != f"sweep.over.{key}"
    ]
    return replace(fault, reason=f"{fault.reason}; swept with {' and '.join(others)}")


def _combinations(lists: Sequence[Sequence[Any]], step: int) -> Iterator[tuple[Any, ...]]:
    """Yield every `step`-th combination in the order of `itertools.product`, the first too."""
    for index in range(0, math.prod(map(len, lists)), step):
        values = []
        for choices in reversed(lists):
            index, at = divmod(index, len(choices))
            values.append(choices[at])
        yield tuple(reversed(values))


def run_record(loaded: LoadedConfig) -> dict[str, Any]:
    """Return what `run.json` says at the start of a run, beside its schema version."""
    config = loaded.config
    return {
        "name": config.name,
        "status": "running",
        "started_at": now(),
        "instance_hash": problem_id(config),
        "swept_fields": list(config.sweep.over),
        "granularities": list(config.sweep.granularities),
        "planned_points": num_points(config.sweep),
        "versions": package_versions(),
        "host": socket.gethostname(),
        "baseline": [asdict(tried) for tried in baseline_tries(loaded.instance)],
        "config": config.model_dump(mode="json"),
    }


def problem_id(config: Config) -> str:
    """Hash every field of a config that decides answers, whatever its name or plan.

    Fields at their defaults are left out, so that ids stay what they were before a field was
    there; a default that changes needs another SCHEMA_VERSION. What the package knows of GPUs,
    engines and constants stands for itself, whether a file or the catalogue brought it.
    """
    decisive = config.model_dump(mode="json", exclude={"name", "sweep"}, exclude_defaults=True)
    for kind, stated in zip(config.pool, decisive["pool"], strict=True):
        if kind.memory_gb is None:
            stated["memory_gb"] = gpu_memory_gb(kind.gpu, config.performance)
    solver = decisive.pop("solver", {})
    solver.pop("threads", None)
    decisive["solver"] = solver
    sweep = config.sweep
    decisive["scales"] = sweep.normalization.model_dump()
    decisive["target"] = sweep.target_usd_per_million_tokens
    if config.performance.model == "roofline":
        decisive["performance"]["constants"] = _constants(config).fingerprint
        decisive["catalogue"] = list(_catalogued(config))
    return digest([SCHEMA_VERSION, decisive])


def _catalogued(config: Config) -> Iterator[tuple[Any, ...]]:
    """Yield what the `roofline` model takes for given of each GPU of the pool and of the engine."""
    work, own = config.workload, gpus_of(config.performance.hardware)
    share = find_engine(work.engine).memory_share_of
    for kind in config.pool:
        gpu = own.get(kind.gpu, kind.gpu)
        figures = hardware_row(gpu, work.compute_type, None, None)
        yield (*figures, *level_members(gpu, work.engine, work.compute_type), share)


def _constants(config: Config) -> ConstantTable:
    """Return the constants of the `roofline` model that a config asks for."""
    given = config.performance.constants
    return shipped_table() if given is None else table_of(given)


def _arguments(
    config: Config, method: str, ballpark: float | None
) -> list[tuple[float | None, float | None]]:
    """List the budgets and cost weights with which a method is asked."""
    if method == "weighted":
        return [(None, weight) for weight in config.sweep.cost_weights]
    budgets = config.sweep.budgets_usd_per_hour
    if method != "enumeration" or (ballpark is None and needs_ballpark(budgets)):
        return [(None, None)]  # without a ballpark: one row will say why
    return [(budget, None) for budget in budgets_usd_per_hour(budgets, ballpark)]


def _scales(config: Config) -> Scales:
    sweep = config.sweep
    target = sweep.target_usd_per_million_tokens
    return Scales(
        sweep.normalization.throughput_tokens_per_s,
        sweep.normalization.cost_usd_per_hour,
        None if target is None else target / 1e6,
    )
