"""Every method under `roofline` finds what an exhaustive search of small instances finds."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.granularity import granularity
from pipeline.instance import GpuType, Instance, Limits, Performance, Serving, Workload
from pipeline.model_shape import ModelShape
from pipeline.network import uniform_network
from pipeline.restrictions import unrestricted
from pipeline.roofline.constant_files import shipped_table
from pipeline.serving import methods
from pipeline.serving.search import ServingSearch
from pipeline.serving.tables import serving_of
from pipeline.serving.uncertainty import robustness
from pipeline.settings import SolverSettings
from tests.serving import oracle

SHAPE = ModelShape(
    name="small",
    num_hidden_layers=5,
    hidden_size=8192,
    intermediate_size=28672,
    num_attention_heads=64,
    num_key_value_heads=8,
    vocab_size=32000,
)
NAMES = ("H100", "A100-80G", "L40S", "L4", "T4")


def random_instance(seed: int, phase: str) -> Instance:
    """Draw a pool of two types, hosts, prices, a load and limits; memory is set to be scarce."""
    chance = np.random.default_rng(seed)
    names = chance.choice(NAMES, size=2, replace=False)
    pool = tuple(
        GpuType(
            str(name),
            count=int(chance.integers(1, 3)),
            memory_gb=float(chance.choice([8.0, 10.0, 14.0])),
            usd_per_hour=float(chance.choice([0.2, 0.5, 0.7, 1.0, 1.3])),
            gpus_per_node=int(chance.choice([1, 2])),
            link_gb_per_s=float(chance.choice([20.0, 200.0])),
        )
        for name in names
    )
    serving = Serving(
        phase,
        input_tokens=int(chance.choice([100, 2000])),
        output_tokens=0 if phase == "prefill" else int(chance.choice([50, 400])),
        concurrency=[(1,), (4, 8), (2, 6, 30)][int(chance.integers(3))],
        micro_batches=[(), (1, 2)][int(chance.integers(2))],
    )
    limits = Limits(
        max_stages=int(chance.integers(2, 4)),
        min_layers_per_stage=int(chance.integers(1, 3)),
        tp_degrees=(1, 2),
        uniform_tp=seed % 5 == 1,
        single_gpu_type=seed % 5 == 2,
        equal_sizes=seed % 5 == 4,
    )
    total = sum(kind.count for kind in pool)
    network = uniform_network(max(total, 2), float(chance.choice([1.0, 10.0])))
    instance = Instance(
        "random",
        SHAPE,
        Workload(1, 1),
        pool,
        network,
        limits,
        Performance("roofline"),
        None,
        serving,
    )
    return with_latency(instance, chance) if chance.random() < 0.5 else instance


def with_latency(instance: Instance, chance: np.random.Generator) -> Instance:
    """Limit latency to that of some placement under some load, so that the limit can bind."""
    search = oracle.Oracle(instance)
    placed = list(search.placements(range(1, 6)))
    if not placed:
        return instance
    stages = placed[int(chance.integers(len(placed)))][2]
    found = [f for load in search.loads if (f := search.figures_of(stages, load))]
    _, ttft_s, tpot_s = found[int(chance.integers(len(found)))]
    limits = replace(instance.limits, max_ttft_s=ttft_s * 1.01)
    if search.serving.phase != "prefill":
        limits = replace(limits, max_tpot_s=tpot_s * 1.01)
    return replace(instance, limits=limits)


def search_of(instance: Instance, name: str) -> ServingSearch:
    sizes = granularity(name, instance.num_layers)
    return ServingSearch(instance, sizes, SolverSettings(), shipped_table())


PHASES = ("decode", "mixed", "prefill")
# Of 14 and 19 whole answers fall short of their throughput by what the solver's integers allow.
SEEDS = (*range(9), 14, 19)
MANY_LOADS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 30, 48, 60)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_method_agrees_with_the_exhaustive_search(phase: str, seed: int) -> None:
    agrees(random_instance(seed, phase), sizes_of(seed))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("seed", [1, 4, 6])
def test_many_loads_agree_with_the_exhaustive_search(phase: str, seed: int) -> None:
    agrees(with_many_loads(random_instance(seed, phase)), sizes_of(seed))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("times", [1e-5, 1e5])
def test_prices_of_any_size_agree_with_the_exhaustive_search(phase: str, times: float) -> None:
    """In a currency of small units a linear program ended without an answer, and so the command."""
    base = with_many_loads(random_instance(6, phase))
    pool = (replace(kind, usd_per_hour=times * kind.usd_per_hour) for kind in base.pool)
    agrees(replace(base, pool=tuple(pool)), "exact")


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("seed", [4, 5])
def test_more_micro_batches_than_stages_agree_with_the_exhaustive_search(
    phase: str, seed: int
) -> None:
    base = with_many_loads(random_instance(seed, phase))
    instance = replace(base, serving=replace(serving_of(base), micro_batches=(3, 4, 6)))
    assert oracle.frontier(instance, granularity(sizes_of(seed), instance.num_layers).sizes)
    agrees(instance, sizes_of(seed))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    ("restriction", "seed"),
    [
        ("uniform_tp", 5),
        ("uniform_tp", 19),
        ("single_gpu_type", 8),
        ("single_gpu_type", 19),
        ("equal_sizes", 2),
    ],
)
def test_a_restriction_that_binds_agrees_with_the_exhaustive_search(
    phase: str, restriction: str, seed: int
) -> None:
    base = random_instance(seed, phase)
    free = replace(base, limits=unrestricted(base.limits))
    asked: dict[str, Any] = {restriction: True}
    bound = replace(free, limits=replace(free.limits, **asked))
    sizes = granularity(sizes_of(seed), base.num_layers).sizes
    kept = oracle.frontier(bound, sizes)
    assert kept  # it leaves a placement, and is in the way of a better one
    assert kept != oracle.frontier(free, sizes)
    agrees(bound, sizes_of(seed))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("seed", [1, 4, 22])  # in the way in two phases of two, in one of the last
def test_even_sizes_agree_with_the_exhaustive_search(phase: str, seed: int) -> None:
    base = with_many_loads(random_instance(seed, phase))
    even = replace(base, limits=replace(unrestricted(base.limits), equal_sizes=True))
    assert oracle.frontier(even, granularity(sizes_of(seed), even.num_layers).sizes)
    agrees(even, sizes_of(seed))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", ["1+3", "2+3", "1+2+4"])
def test_even_sizes_with_gaps_at_one_degree_agree_with_the_exhaustive_search(
    phase: str, name: str
) -> None:
    base = with_many_loads(random_instance(8, phase))  # with limits on latency
    even = replace(
        base,
        model=replace(SHAPE, num_hidden_layers=6),
        pool=tuple(replace(kind, count=2) for kind in base.pool),
        network=uniform_network(4, 10.0),
        limits=replace(base.limits, equal_sizes=True, uniform_tp=True, max_stages=3),
    )
    assert len(oracle.frontier(even, granularity(name, 6).sizes)) > 1
    agrees(even, name)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("seed", [0, 1, 4, 6, 7])
@pytest.mark.parametrize("free", [0, 1, None])
def test_what_is_free_is_placed_as_well(phase: str, seed: int, free: int | None) -> None:
    instance = with_many_loads(random_instance(seed, phase))
    pool = [
        replace(kind, usd_per_hour=0.0) if free in (None, index) else kind
        for index, kind in enumerate(instance.pool)
    ]
    instance = replace(instance, pool=tuple(pool))
    search = search_of(instance, "exact")
    points = oracle.frontier(instance, granularity("exact", instance.num_layers).sizes)
    answer = methods.ratio(search)
    if not points:
        assert answer.placement is None
        return
    assert answer.placement is not None
    assert answer.status == "optimal"
    lowest = min(cost / rate / 3600 for rate, cost in points)
    assert answer.placement.usd_per_token == pytest.approx(lowest, rel=1e-9)
    if not lowest:
        fastest = max(rate for rate, cost in points if not cost)
        assert answer.placement.tokens_per_s == pytest.approx(fastest, rel=1e-9)
    figures = [
        (a.placement.tokens_per_s, a.placement.usd_per_hour)
        for a in methods.frontier(search_of(instance, "exact"))
        if a.placement is not None
    ]
    assert figures == [pytest.approx(point, rel=1e-9) for point in points]
    assert not search.clock.out_of_time
    robustness(search, draws=2)  # divides by no price of zero


def test_a_point_is_found_where_the_solver_calls_a_model_of_it_infeasible() -> None:
    """A cheaper placement misses the throughput asked for by 1e-8, which HiGHS lost its way at."""
    pool = (
        GpuType("L40S", 5, 8.0, 0.35, link_gb_per_s=200.0),
        GpuType("L4", 1, 80.0, 1.3, gpus_per_node=4, link_gb_per_s=20.0),
        GpuType("H100", 2, 22.0, 2.49, gpus_per_node=8, link_gb_per_s=200.0),
        GpuType("T4", 8, 14.0, 1.3, gpus_per_node=4, link_gb_per_s=20.0),
        GpuType("A100-80G", 5, 8.0, 0.7, gpus_per_node=4, link_gb_per_s=20.0),
    )
    loads = (2, 12, 13, 18, 19, 23, 24, 59, 62, 68)
    instance = replace(
        random_instance(0, "mixed"),
        model=replace(SHAPE, num_hidden_layers=11),
        pool=tuple(replace(kind, usd_per_hour=1e-4 * kind.usd_per_hour) for kind in pool),
        network=uniform_network(21, 0.5),
        limits=Limits(max_stages=2, min_layers_per_stage=2, tp_degrees=(1, 2), uniform_tp=True),
        serving=Serving("mixed", input_tokens=700, output_tokens=400, concurrency=loads),
    )
    answers = list(methods.frontier(search_of(instance, "exact")))
    figures = [1e4 * a.placement.usd_per_hour for a in answers if a.placement is not None]
    assert figures == pytest.approx([4.98, 3.19, 2.84, 2.8, 2.1, 2.0, 1.65, 1.3])


def test_a_point_is_found_where_the_solver_calls_another_one_optimal() -> None:
    """Of 5e-5 $/h units nine are enough at 53,584 tokens/s; under its first seed HiGHS said ten."""
    pool = (
        GpuType("A100-80G", 8, 22.0, 5e-5, gpus_per_node=8, link_gb_per_s=200.0),
        GpuType("H100", 3, 22.0, 1e-4, link_gb_per_s=200.0),
    )
    instance = replace(
        random_instance(0, "decode"),
        model=replace(SHAPE, num_hidden_layers=14),
        pool=pool,
        network=uniform_network(11, 0.5),
        limits=Limits(max_stages=5, tp_degrees=(1, 2, 4, 8)),
        serving=Serving("decode", 100, 50, concurrency=(), micro_batches=(1, 2, 3, 4, 6)),
    )
    placements = [a.placement for a in methods.frontier(search_of(instance, "exact"))]
    found = {round(1e5 * p.usd_per_hour): p.tokens_per_s for p in placements if p is not None}
    # By walking through all sets of groups and sizes.
    assert found[45] == pytest.approx(51716.188910, rel=1e-9)
    assert sorted(found) == [10, 15, 20, 25, 30, 40, 45, 50, 60]


def with_many_loads(instance: Instance) -> Instance:
    """Return an instance with a list of many requests at once, in any number of micro-batches."""
    serving = replace(serving_of(instance), concurrency=MANY_LOADS, micro_batches=())
    return replace(instance, serving=serving)


def sizes_of(seed: int) -> str:
    """Return the granularity of a seed; every third has gaps."""
    return "exact" if seed % 3 else "1+2+4"


def agrees(instance: Instance, name: str) -> None:
    """Compare every method with all placements under all loads; name: of the granularity."""
    sizes = granularity(name, instance.num_layers).sizes
    points = oracle.frontier(instance, sizes)
    found = [a.placement for a in methods.frontier(search_of(instance, name))]
    figures = [(p.tokens_per_s, p.usd_per_hour) for p in found if p is not None]
    assert figures == [pytest.approx(point, rel=1e-9) for point in points]

    cheapest = methods.ratio(search_of(instance, name))
    if not points:
        assert cheapest.placement is None
        return
    lowest = min(cost / rate / 3600 for rate, cost in points)
    assert cheapest.placement is not None
    assert cheapest.status == "optimal"
    assert cheapest.placement.usd_per_token == pytest.approx(lowest, rel=1e-9)

    budget = points[len(points) // 2][1]
    best = max(rate for rate, cost in points if cost <= budget * (1 + 1e-9))
    fastest = methods.enumeration(search_of(instance, name), budget)
    assert fastest.placement is not None
    assert fastest.status == "optimal"
    assert fastest.placement.tokens_per_s == pytest.approx(best, rel=1e-9)

    scale, weight = points[0][0], 0.4
    scores = [rate / scale - weight / (1 - weight) * cost for rate, cost in points]
    answer = methods.weighted(search_of(instance, name), weight, scale, 1.0)
    assert answer.bound == pytest.approx(max(scores), rel=1e-8, abs=1e-8)
    assert answer.bound is not None
    assert math.isfinite(answer.bound)
