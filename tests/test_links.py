"""Throughput of hops between groups, and the bandwidth filter."""

import math
from itertools import product

import numpy as np
from hypothesis import given

from pipeline.instance import GpuType, Instance, Limits
from pipeline.links import stage_links
from pipeline.network import matrix_network
from pipeline.options import stage_options
from tests import oracles
from tests.builders import small_instance, small_instances

# One token of the tiny model is D·B = 64·2 bytes.
TOKENS_PER_GB = 1024**3 / 128


@given(small_instances(max_types=3, max_count=4, max_layers=6, percentiles=(0.0, 20.0, 60.0)))
def test_hops_are_those_of_an_enumeration_less_what_the_filter_drops(instance: Instance) -> None:
    options = stage_options(instance, range(1, instance.num_layers + 1))
    links = stage_links(instance, options)
    speeds = [
        oracles.slowest_pair_gb_per_s(instance, a.group, b.group)
        for a, b in oracles.connections(instance, options, as_published=False)
    ]
    percentile = instance.network.drop_below_percentile
    threshold = np.percentile(speeds, percentile) if speeds and percentile else -math.inf
    for one, other in product(oracles.all_groups(instance), repeat=2):
        if not one.overlaps(other):
            dropped = oracles.slowest_pair_gb_per_s(instance, one, other) < threshold
            expected = 0.0 if dropped else oracles.hop_gb_per_s(instance, one, other)
            assert links.hop_tokens_per_s(one.ids, other.ids) == expected * TOKENS_PER_GB


@given(small_instances(max_types=3))
def test_the_slowest_hop_between_kinds_is_the_least_over_disjoint_groups(
    instance: Instance,
) -> None:
    links = stage_links(instance, stage_options(instance, range(1, instance.num_layers + 1)))
    kinds = {(g.gpu, g.degree) for g in oracles.all_groups(instance) if g.gpu != 1}
    groups = [g for g in oracles.all_groups(instance) if (g.gpu, g.degree) in kinds]
    hops = [
        oracles.hop_gb_per_s(instance, one, other) * TOKENS_PER_GB
        for one, other in product(groups, repeat=2)
        if not one.overlaps(other)
    ]
    assert links.slowest_between(kinds) == min(hops, default=math.inf)


def test_a_hop_has_a_direction() -> None:
    instance = small_instance(
        GpuType("A10", 1, 4.0, 0.5),
        GpuType("T4", 1, 4.0, 0.2),
        network=matrix_network([[0, 100], [0, 0]]),
        limits=Limits(tp_degrees=(1,)),
    )
    links = stage_links(instance, stage_options(instance, [1]))
    assert links.hop_tokens_per_s([0], [1]) == 100 * TOKENS_PER_GB
    assert links.hop_tokens_per_s([1], [0]) == 0.0


def test_a_single_group_has_no_hop_that_could_bind() -> None:
    instance = small_instance(GpuType("A10", 1, 4.0, 0.5))
    links = stage_links(instance, stage_options(instance, [1]))
    assert links.slowest_between({(0, 1)}) == math.inf
