"""The sizes that fit, against asking every size in turn."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.instance import Instance
from pipeline.roofline import stage_figures
from pipeline.serving.tables import roofline_workload, serving_of, serving_tables
from tests.serving.test_against_oracle import random_instance


def one_with_sizes(seed: int) -> Instance:
    """Draw a model of more layers, a share of the memory to fill, and open loads."""
    chance = np.random.default_rng(seed)
    base = random_instance(seed, ("decode", "mixed", "prefill")[seed % 3])
    assert base.serving is not None
    return replace(
        base,
        model=replace(base.model, num_hidden_layers=int(chance.choice([1, 2, 13, 40]))),
        pool=tuple(replace(k, memory_gb=float(chance.choice([4, 12, 40, 640]))) for k in base.pool),
        limits=replace(
            base.limits,
            min_memory_utilization=float(chance.choice([0.0, 0.2, 0.5, 0.9])),
            min_layers_per_stage=int(chance.choice([1, 3])),
        ),
        serving=replace(base.serving, concurrency=(1, 3, 20, 400), micro_batches=()),
    )


@pytest.mark.parametrize("seed", range(30))
def test_sizes_that_fit_are_those_that_each_fit_alone(seed: int) -> None:
    instance = one_with_sizes(seed)
    table, serving = instance.performance.constant_table, serving_of(instance)
    tables, layers = serving_tables(instance, table), instance.num_layers
    for index, group_class in enumerate(tables.groups):
        kind = instance.pool[group_class.gpu]
        alone = stage_figures(
            *(kind.hardware, group_class.degree, range(1, layers + 1), instance.model),
            *(roofline_workload(serving), serving.engine, table, [1.0]),
            *(kind.memory_gb, kind.link_gb_per_s),
        )
        wanted_gb = instance.limits.min_memory_utilization * kind.memory_gb
        for load, decision in enumerate(tables.decisions):
            sizes, held = range(1, layers + 1), alone.max_requests
            most = max((k for k in sizes if held[k - 1] >= decision.concurrency), default=0)
            full = (k for k in sizes if tables.memory_gb(index, load, k) >= wanted_gb)
            fewest = max(min(min(full, default=layers), most), 1)
            assert tables.largest[index, load] == most
            least = max(fewest, instance.limits.min_layers_per_stage)
            assert tables.smallest[index, load] == least


@pytest.mark.parametrize("even", [False, True])
def test_more_loads_of_groups_than_memory_holds_are_refused(even: bool) -> None:
    """With even sizes, which are searched apart, one of 10,000 layers took 22 GB."""
    base = random_instance(0, "decode")
    assert base.serving is not None
    most = 2_000 if even else 100_000
    instance = replace(
        base,
        model=replace(base.model, num_hidden_layers=10_000),
        pool=4 * tuple(replace(kind, count=2_000) for kind in base.pool),
        limits=replace(base.limits, max_stages=most, equal_sizes=even),
        serving=replace(base.serving, concurrency=(), micro_batches=()),
    )
    with pytest.raises(InputError, match=f"limits.max_stages: asks for .*got {most}"):
        serving_tables(instance, instance.performance.constant_table)


def test_the_deepest_model_takes_little_memory() -> None:
    base = random_instance(0, "decode")
    assert base.serving is not None
    instance = replace(
        base,
        model=replace(base.model, num_hidden_layers=10_000),
        serving=replace(base.serving, concurrency=(), micro_batches=tuple(range(1, 33))),
    )
    tracemalloc.start()
    tables = serving_tables(instance, instance.performance.constant_table)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    by_size = tables.weight_gb.nbytes
    assert peak_bytes < 30 * by_size  # an entry for every class, size and load took 576 of them
