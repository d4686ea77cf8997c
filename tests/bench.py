"""Benchmarks: `python -m tests.bench [NAME...]` prints one table, medians within one run.

A benchmark is data: what it measures, on what, how often, and what was aimed for. Machines are
shared and noisy, so nothing here fails; ratios compare what ran side by side.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline import methods
from pipeline.config import load_config
from pipeline.curve import CostCurve
from pipeline.granularity import granularity
from pipeline.instance import GpuType, Instance, Limits, Performance, Serving, Workload
from pipeline.model_shape import ModelShape
from pipeline.network import Override, uniform_network
from pipeline.performance.flops import GPU_FIGURES
from pipeline.published import PublishedSearch
from pipeline.roofline.constant_files import shipped_table
from pipeline.serving import methods as serving_methods
from pipeline.serving.search import ServingSearch
from pipeline.serving.tables import serving_tables
from pipeline.settings import SolverSettings
from tests.builders import CONFIGS, REAL_CONFIGS
from tests.sweeps import store_for

MEDIUM = CONFIGS / "medium.yaml"
# What the config of a real model would have to say to serve prompts alone.
PREFILL = (
    ("workload.phase", "prefill"),
    ("workload.output_tokens", 0),
    ("limits.max_tpot_s", None),
)
# GPUs of the large pool by the names of the roofline catalogue, where those differ.
CATALOGUE_NAMES = {"A100": "A100-80G", "V100": "V100-32G", "RTX4090": "RTX-4090"}
PUBLISHED_LIMIT_S = 60.0
# At this budget no segment alone bounds the throughput, so that a bound has to be worked for.
YARDSTICK_BUDGET = 5.0
# The yardstick gets HiGHS as it comes: on a model of this size presolve and heuristics pay.
HIGHS_DEFAULTS: dict[str, bool | int | float | str] = {
    "presolve": "choose",
    "mip_heuristic_run_feasibility_jump": True,
    "mip_heuristic_run_rins": True,
    "mip_heuristic_run_rens": True,
    "mip_heuristic_run_root_reduced_cost": True,
    "mip_detect_symmetry": True,
}


@dataclass(frozen=True)
class Outcome:
    """What one repetition did, and anything worth a word."""

    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Bench:
    """One line of the table. aim_s: what it should take at most, None where there is no aim."""

    name: str
    run: Callable[[], Outcome]
    repeats: int = 5
    aim_s: float | None = None


def reference() -> Instance:
    """Return the reference instance."""
    return load_config(MEDIUM).instance


def large_pool(scale: int = 1, seed: int = 7) -> Instance:
    """Generate 1,104 GPUs (times `scale`) of ten types, 126 layers, up to 16 stages.

    Counts are multiples of 8 that sum to 1,104; prices and memories are drawn around what such
    cards have.
    """
    rng = random.Random(seed)
    names = sorted(GPU_FIGURES)
    counts = [8 * rng.randint(4, 20) for _ in names[:-1]]
    counts.append(1104 - sum(counts))
    memory = {"H100": 80, "A100": 80, "L40S": 48, "A40": 48, "L40": 48, "V100": 32, "RTX4090": 24}
    pool = tuple(
        GpuType(
            name,
            count * scale,
            float(memory.get(name, 24)),
            round(GPU_FIGURES[name].tflops / 250 * rng.uniform(0.7, 1.3), 2),
        )
        for name, count in zip(names, counts, strict=True)
    )
    shape = ModelShape("large", 126, 16384, 53248, 128, 8, 128256, layer_weight_gb=6.0)
    return Instance(
        name="large",
        model=shape,
        workload=Workload(sequence_length=2048, batch_size=8),
        pool=pool,
        network=uniform_network(sum(kind.count for kind in pool), 400.0),
        limits=Limits(max_stages=16, tp_degrees=(1, 2, 4, 8)),
        performance=Performance(),
    )


def large_roofline_pool() -> Instance:
    """Return the large pool in hosts of eight on slower links, as the roofline model sees it."""
    large = large_pool()
    pool = tuple(
        replace(kind, name=CATALOGUE_NAMES.get(kind.name, kind.name), gpus_per_node=8)
        for kind in large.pool
    )
    return replace(
        large,
        pool=pool,
        network=uniform_network(sum(kind.count for kind in pool), 10.0),
        performance=Performance("roofline"),
        serving=Serving("mixed", input_tokens=2048, output_tokens=512),
    )


def tables(instance: Instance) -> Outcome:
    """Time the figures of all groups, sizes and loads."""
    constants = shipped_table()
    started = time.perf_counter()
    found = serving_tables(instance, constants)
    seconds = time.perf_counter() - started
    groups, loads = found.pass_s.shape
    return Outcome(seconds, f"{groups} groups × {instance.num_layers} sizes × {loads} loads")


def served(
    method: Callable[[ServingSearch], object], name: str, changes: tuple[tuple[str, object], ...]
) -> Outcome:
    """Time one answer of a real config at `exact`, from the instance on."""
    instance = load_config(CONFIGS / f"{name}.yaml", list(changes)).instance
    started = time.perf_counter()
    sizes = granularity("exact", instance.num_layers)
    search = ServingSearch(instance, sizes, SolverSettings(), shipped_table())
    answer = method(search)
    seconds = time.perf_counter() - started
    points = f"{len(answer)} points, " if isinstance(answer, list) else ""
    return Outcome(seconds, f"{points}{search.effort.num_solves} models")


def served_benches() -> Iterator[Bench]:
    """Yield the benchmarks under `roofline`."""
    large = large_roofline_pool()

    def frontier(search: ServingSearch) -> list[object]:
        return list(serving_methods.frontier(search))

    yield Bench("roofline tables, 1,104 GPUs", lambda: tables(large), aim_s=0.2)
    for name in REAL_CONFIGS:
        ratio = partial(served, serving_methods.ratio, name)
        yield Bench(f"roofline ratio, {name}", partial(ratio, ()), aim_s=1.0)
        every = partial(served, frontier, name, ())
        yield Bench(f"roofline frontier, {name}", every, 1, 10.0)
        yield Bench(f"roofline prefill ratio, {name}", partial(ratio, PREFILL), 1, 2.0)


def islands(bandwidth: float) -> Instance:
    """Return the reference instance in eight islands of slow links, GB/s."""
    inner = [Override(frozenset(range(8 * i, 8 * i + 8)), None, 0.4) for i in range(8)]
    return replace(reference(), network=uniform_network(64, bandwidth, inner))


def timed(solve: Callable[[CostCurve], object], instance: Instance, sizes: str) -> Outcome:
    """Time one answer from the instance on: options, models, hand-over and solver."""
    started = time.perf_counter()
    curve = CostCurve(instance, granularity(sizes, instance.num_layers), SolverSettings())
    answer = solve(curve)
    seconds = time.perf_counter() - started
    points = f"{len(answer)} points, " if isinstance(answer, list) else ""
    return Outcome(seconds, f"{points}{curve.effort.num_solves} models")


def fastest(curve: CostCurve, budget: float) -> object:
    """Find the highest throughput at a budget."""
    return methods.enumeration(curve, budget)


def enumerated(instance: Instance, sizes: str) -> Outcome:
    """Time one budget point, the median over the `wide` budgets."""
    budgets = (0.3, 0.4951, 0.817, 1.3483, 2.225, 3.6719, 6.0596, 10.0)
    outcomes = [timed(partial(fastest, budget=b), instance, sizes) for b in budgets]
    return Outcome(statistics.median(o.seconds for o in outcomes), "median of 8 budgets")


def slowest_point(bandwidth: float) -> Outcome:
    """Time the slowest budget point where links bind."""
    instance = islands(bandwidth)
    budgets = (2.4, 3.6, 5.0, 8.0)
    outcomes = [timed(partial(fastest, budget=b), instance, "exact") for b in budgets]
    return Outcome(max(o.seconds for o in outcomes), "slowest of 4 budgets")


def published_yardstick() -> Outcome:
    """Run the published formulation at six sizes, with a time limit."""
    started = time.perf_counter()
    instance = reference()
    settings = SolverSettings(time_limit_s=PUBLISHED_LIMIT_S, highs_options=HIGHS_DEFAULTS)
    search = PublishedSearch(instance, granularity("coarse", 40), settings)
    answer = search.enumeration(YARDSTICK_BUDGET)
    found = f"{answer.placement.tokens_per_s:,.0f}" if answer.placement else "none"
    bound = f"{answer.bound:,.0f}" if answer.bound is not None else "none"
    binaries = search.effort.variables - 1
    note = f"{binaries:,} binaries, {answer.status}: incumbent {found}, bound {bound} tokens/s"
    return Outcome(time.perf_counter() - started, note)


def compact_beside() -> Outcome:
    """Answer the yardstick's question with the compact formulation."""
    instance = reference()
    outcome = timed(lambda c: methods.enumeration(c, YARDSTICK_BUDGET), instance, "coarse")
    curve = CostCurve(instance, granularity("coarse", 40), SolverSettings())
    answer = methods.enumeration(curve, YARDSTICK_BUDGET)
    assert answer.placement is not None
    note = f"{answer.status}: {answer.placement.tokens_per_s:,.0f} tokens/s, {outcome.note}"
    return Outcome(outcome.seconds, note)


def whole_sweep(cpus: int, with_start: bool) -> Outcome:
    """Time the `wide` budgets over five granularities on Ray: 40 points."""
    from pipeline.driver import Tally, run_sweep, start_ray, stop_ray
    from pipeline.results.store import Store
    from pipeline.sweep import missing_tasks, run_record

    loaded = load_config(MEDIUM, [("sweep.methods", ["enumeration"])])
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.prepare(run_record(loaded))
        tally = Tally()
        started = time.perf_counter()
        start_ray(num_cpus=cpus)
        up = time.perf_counter()
        run_sweep(missing_tasks(loaded, set(), tally.skip, store.ballparks), store, tally)
        ended = time.perf_counter()
        stop_ray()
    return Outcome(ended - (started if with_start else up), f"{tally.done} points, {cpus} CPUs")


def empty_tasks(count: int = 2000) -> Outcome:
    """Time Ray's own work for a task that does nothing, as many in flight as in a sweep."""
    import ray

    from pipeline.driver import TaskRules, start_ray, stop_ray

    start_ray(num_cpus=2)
    empty = ray.remote(num_cpus=1, max_retries=0)(lambda: None)
    ray.get([empty.remote() for _ in range(20)])
    most, flying = 2 * TaskRules().in_flight_per_cpu, []
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        flying.append(empty.remote())
        if len(flying) >= most:
            ready, flying = ray.wait(flying)
            ray.get(ready)
    ray.get(flying)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    stop_ray()
    return Outcome(cpu / count, f"CPU time; {1000 * seconds / count:.2f} ms by the clock")


def driver_overhead(count: int = 2000) -> Outcome:
    """Time the driver's work for a point that takes none: plan, task, rows, files, merging."""
    from pipeline.driver import Tally, run_sweep, start_ray, stop_ray
    from pipeline.run import failed
    from pipeline.sweep import missing_tasks, run_record

    budgets = [round(1 + i / count, 6) for i in range(count)]
    plan = {"granularities": ["coarse"], "methods": ["enumeration"]}
    loaded = load_config(MEDIUM, [("sweep", {**plan, "budgets_usd_per_hour": budgets})])
    with tempfile.TemporaryDirectory() as folder:
        store = store_for(loaded, Path(folder))
        store.prepare(run_record(loaded))
        start_ray(num_cpus=2)
        tally = Tally()
        started, cpu = time.perf_counter(), time.process_time()
        tasks = missing_tasks(loaded, set(), tally.skip, store.ballparks)
        run_sweep(tasks, store, tally, solve=lambda one, point: failed(one, point, "not solved"))
        store.finish(stopped=False, failed=0)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        stop_ray()
    return Outcome(cpu / count, f"CPU time; {1000 * seconds / count:.2f} ms by the clock")


def both_cpus() -> Outcome:
    """Compare a sweep of 400 points at `exact` on one CPU and on two, Ray being up."""
    one, two = (exact_sweep(cpus) for cpus in (1, 2))
    return Outcome(two, f"400 points, 2 CPUs; {one / two:.2f} times as fast as 1 (aim ≥ 1.8)")


def exact_sweep(cpus: int, count: int = 400) -> float:
    """Return the time of so many budgets at `exact`, s, without Ray's start."""
    from pipeline.driver import Tally, run_sweep, start_ray, stop_ray
    from pipeline.sweep import missing_tasks, run_record

    budgets = [round(2.5 + 0.01 * i, 4) for i in range(count)]
    plan = {"granularities": ["exact"], "methods": ["enumeration"]}
    warm, loaded = (
        load_config(MEDIUM, [("sweep", {**plan, "budgets_usd_per_hour": some})])
        for some in ([9.5 + i for i in range(8)], budgets)
    )
    with tempfile.TemporaryDirectory() as folder:
        store = store_for(loaded, Path(folder))
        store.prepare(run_record(loaded))
        start_ray(num_cpus=cpus)
        for sweep in (warm, loaded):  # workers are started and warm before the clock is
            started = time.perf_counter()
            tally = Tally()
            tasks = missing_tasks(sweep, set(), tally.skip, store.ballparks)
            run_sweep(tasks, store, tally)
        seconds = time.perf_counter() - started
        stop_ray()
    return seconds


def benches() -> Iterator[Bench]:
    """Yield every benchmark, the quick ones first."""
    medium, large, larger = reference(), large_pool(), large_pool(scale=4)

    def frontier(curve: CostCurve) -> list[object]:
        return list(methods.frontier(curve))

    yield Bench("point at coarse", lambda: enumerated(medium, "coarse"), aim_s=0.05)
    yield Bench("point at exact", lambda: enumerated(medium, "exact"), aim_s=0.1)
    yield Bench("ratio at exact", lambda: timed(methods.ratio, medium, "exact"), aim_s=0.2)
    yield Bench("frontier at exact", lambda: timed(frontier, medium, "exact"), aim_s=1.0)
    yield Bench("ratio, 1,104 GPUs", lambda: timed(methods.ratio, large, "exact"), aim_s=2.0)
    yield Bench("ratio, 4,416 GPUs", lambda: timed(methods.ratio, larger, "exact"))
    yield Bench("frontier, 1,104 GPUs", lambda: timed(frontier, large, "exact"), 3, 15.0)
    yield Bench("frontier, 4,416 GPUs", lambda: timed(frontier, larger, "exact"), 3)
    yield Bench("point over slow islands, 0.1 GB/s", lambda: slowest_point(0.1), 3, 10.0)
    yield from served_benches()
    yield Bench("compact at six sizes, $5/h", compact_beside)
    yield Bench("pairwise at six sizes, $5/h", published_yardstick, 1)
    yield Bench("sweep of 40 points, Ray up", lambda: whole_sweep(2, with_start=False), 3, 4.0)
    yield Bench("Ray's empty task", empty_tasks, 3)
    yield Bench("driver, a point that takes no time", driver_overhead, 3, 0.005)
    yield Bench("sweep of 400 points on both CPUs", both_cpus, 1)
    yield Bench("sweep of 40 points, with Ray's start", lambda: whole_sweep(2, with_start=True), 3)


def main() -> None:
    """Run the benchmarks whose names contain one of the arguments, or all; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; all where none is given")
    wanted = parser.parse_args().names
    table = Table(title="Benchmarks, one thread", title_justify="left", box=None)
    for header in ("benchmark", "median s", "spread s", "aim s", "runs", "what it did"):
        table.add_column(header, justify="right" if header.endswith(" s") else "left")
    console = Console(width=150)
    for bench in benches():
        if wanted and not any(name in bench.name for name in wanted):
            continue
        outcomes = [bench.run() for _ in range(bench.repeats)]
        seconds = sorted(outcome.seconds for outcome in outcomes)
        spread = f"{seconds[0]:.3f}–{seconds[-1]:.3f}"
        aim = f"≤ {bench.aim_s:g}" if bench.aim_s else ""
        median = f"{statistics.median(seconds):.3f}"
        table.add_row(bench.name, median, spread, aim, str(bench.repeats), outcomes[-1].note)
        console.print(f"{bench.name}: {median} s", style="dim")
    console.print(table)


if __name__ == "__main__":
    main()
