"""Runs of sizes, and the dealing of layers, against enumeration."""

from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from pipeline.groups import group_classes
from pipeline.instance import GpuType, Instance, Limits
from pipeline.options import Option, stage_options
from pipeline.runs import Run, deal_layers, size_runs
from tests.builders import small_instance, small_instances

ONE_TYPE = small_instance(GpuType("A10", 4, 9.0, 0.5), limits=Limits(tp_degrees=(1,)))
ONE_CLASS = group_classes(ONE_TYPE)


def options_of_sizes(*sizes: int) -> list[Option]:
    """Return options of one class that get slower by 10 tokens/s with every layer."""
    return [Option(0, 1, k, 100.0 - 10 * k, float(k), 0.5) for k in sizes]


@given(
    small_instances(),
    st.sets(st.integers(1, 12), min_size=1),
    st.floats(0, 1),
    st.booleans(),
)
def test_runs_cover_exactly_the_sizes_that_reach_the_throughput(
    instance: Instance, sizes: set[int], share: float, split: bool
) -> None:
    options = stage_options(instance, sizes)
    groups = group_classes(instance)
    wanted = share * max((o.tokens_per_s for o in options), default=0.0)
    runs = size_runs(groups, options, wanted, split)
    for index, group_class in enumerate(groups):
        of_class = [run for run in runs if run.group_class == index]
        covered = [k for run in of_class for k in range(run.smallest, run.largest + 1)]
        kind = group_class.gpu, group_class.degree
        reached = [
            o.size for o in options if (o.gpu, o.degree) == kind and o.tokens_per_s >= wanted
        ]
        assert covered == reached
        price = group_class.degree * instance.pool[group_class.gpu].usd_per_hour
        assert all(run.usd_per_hour == price for run in of_class)
        if split:
            assert len(of_class) == len(reached)
        else:
            gaps = pairwise(of_class)
            assert all(after.smallest > before.largest + 1 for before, after in gaps)


def test_a_gap_between_sizes_starts_another_run() -> None:
    runs = size_runs(ONE_CLASS, options_of_sizes(1, 2, 3, 5, 6, 8), 0.0)
    assert [(run.smallest, run.largest) for run in runs] == [(1, 3), (5, 6), (8, 8)]


def test_sizes_too_slow_for_the_throughput_are_left_out() -> None:
    # Sizes 1 to 5 make 90, 80, 70, 60, 50 tokens/s.
    assert size_runs(ONE_CLASS, options_of_sizes(1, 2, 3, 4, 5), 70.0) == (Run(0, 1, 3, 0.5),)
    assert size_runs(ONE_CLASS, options_of_sizes(1, 2, 3, 4, 5), 90.5) == ()


@st.composite
def deals(draw: st.DrawFn) -> tuple[list[Run], list[int], int, dict[tuple[int, int], float]]:
    """Draw runs with falling rates, groups chosen of each, and layers that they can hold."""
    runs: list[Run] = []
    rates: dict[tuple[int, int], float] = {}
    for index in range(draw(st.integers(1, 3))):
        low = draw(st.integers(1, 3))
        high = low + draw(st.integers(0, 3))
        runs.append(Run(index, low, high, 1.0))
        falling = sorted(draw(st.lists(st.integers(1, 50), min_size=high, max_size=high)))[::-1]
        rates |= {(index, k): float(rate) for k, rate in enumerate(falling, start=1)}
    counts = [draw(st.integers(0, 2)) for _ in runs]
    least = sum(n * run.smallest for n, run in zip(counts, runs, strict=True))
    most = sum(n * run.largest for n, run in zip(counts, runs, strict=True))
    return runs, counts, draw(st.integers(least, most)), rates


@given(deals())
def test_layers_are_dealt_so_that_the_slowest_group_is_as_fast_as_can_be(
    deal: tuple[list[Run], list[int], int, dict[tuple[int, int], float]],
) -> None:
    runs, counts, num_layers, rates = deal
    dealt = deal_layers(
        runs, counts, num_layers, lambda group_class, size: rates[group_class, size]
    )
    assert sum(size for _, size in dealt) == num_layers
    assert [run for run, _ in dealt] == [i for i, n in enumerate(counts) for _ in range(n)]
    assert all(runs[i].smallest <= size <= runs[i].largest for i, size in dealt)

    chosen = [run for run, n in zip(runs, counts, strict=True) for _ in range(n)]
    ways = product(*(range(run.smallest, run.largest + 1) for run in chosen))
    slowest = [
        min((rates[run.group_class, k] for run, k in zip(chosen, way, strict=True)), default=0.0)
        for way in ways
        if sum(way) == num_layers
    ]
    assert min((rates[i, size] for i, size in dealt), default=0.0) == max(slowest)
