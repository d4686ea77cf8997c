"""Counts of the search space: published rows, enumeration, and the percentile by numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.granularity import granularity
from pipeline.groups import group_classes
from pipeline.instance import GpuType, Instance, Limits
from pipeline.network import matrix_network
from pipeline.options import stage_options
from pipeline.search_space import SearchSpace, connections, search_space, weighted_percentile
from tests import oracles
from tests.builders import reference_instance, small_instance, small_instances

# Segments, connections after the filter at the 10th percentile, binaries, with a largest TP degree
# of 8 for A100 and 4 for the rest. Source: DESIGN.md §4 (fine: as published; coarse: measured).
PUBLISHED = [("fine", 4_797, 335_868, 340_665), ("coarse", 2_788, 128_418, 131_206)]


def space_of(instance: Instance, text: str) -> SearchSpace:
    sizes = granularity(text, instance.num_layers).sizes
    return search_space(instance, group_classes(instance), stage_options(instance, sizes))


@pytest.mark.parametrize(("text", "segments", "kept", "binaries"), PUBLISHED)
def test_the_published_counts_of_the_reference_instance_come_out(
    text: str, segments: int, kept: int, binaries: int
) -> None:
    fields = {f"pool.{name}.max_tp": 4 for name in ("L20", "A10", "V100", "T4")}
    space = space_of(reference_instance({"network.drop_below_percentile": 10, **fields}), text)
    assert space.segments == segments
    assert space.connections == kept
    assert space.binary_variables == binaries


def brute_force(instance: Instance, text: str, as_published: bool) -> tuple[int, int, int]:
    """Count segments, connections and those that the filter keeps, one by one."""
    options = stage_options(instance, granularity(text, instance.num_layers).sizes)
    pairs = list(oracles.connections(instance, options, as_published))
    speeds = [oracles.slowest_pair_gb_per_s(instance, a.group, b.group) for a, b in pairs]
    percentile = instance.network.drop_below_percentile
    threshold = np.percentile(speeds, percentile) if speeds and percentile else -math.inf
    kept = sum(speed >= threshold for speed in speeds)
    return len(oracles.all_segments(instance, options)), len(pairs), kept


@given(
    small_instances(max_types=3, max_count=4, max_layers=6, percentiles=(0.0, 10.0, 35.0, 80.0)),
    st.sampled_from(["coarse", "exact"]),
)
def test_counts_are_those_of_an_enumeration(instance: Instance, text: str) -> None:
    space = space_of(instance, text)
    published = space.segments, space.connections_before_filter, space.connections
    assert published == brute_force(instance, text, as_published=True)
    assert space.disjoint_connections == brute_force(instance, text, as_published=False)[2]
    assert space.binary_variables == space.segments + space.connections


def test_groups_of_different_types_are_disjoint_though_the_published_count_denies_it() -> None:
    # One GPU of each of two types, two layers, TP 1. Segments: sizes 1 (two starts) and 2 (one
    # start) on two groups = 6. Pairs: layer 1 on one GPU, layer 2 on the other = 2. The published
    # system gives both GPUs number 0, so it sees no pair at all.
    instance = small_instance(
        GpuType("A100", 1, 4.0, 1.0),
        GpuType("T4", 1, 4.0, 0.2),
        num_layers=2,
        limits=Limits(tp_degrees=(1,)),
    )
    assert space_of(instance, "exact") == SearchSpace(
        options=4,
        segments=6,
        connections_before_filter=0,
        connections=0,
        disjoint_connections=2,
    )


def test_the_filter_keeps_connections_at_the_threshold() -> None:
    # All links are equal, so every percentile of their bandwidths is that one bandwidth.
    instance = reference_instance({"network.overrides": [], "network.drop_below_percentile": 99})
    space = space_of(instance, "coarse")
    assert 0 < space.connections == space.connections_before_filter


def test_a_space_without_options_is_empty() -> None:
    # A quarter of a layer (TP 4) already takes 0.25 GB.
    instance = small_instance(GpuType("T4", 4, 0.2, 0.2))
    assert space_of(instance, "exact") == SearchSpace(0, 0, 0, 0, 0)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), min_size=1, max_size=12),
    st.integers(1, 100),
)
def test_the_weighted_percentile_is_numpys_on_the_written_out_list(
    weighted: list[tuple[int, int]], percentile: int
) -> None:
    values = np.array([float(value) for value, _ in weighted])
    counts = np.array([count for _, count in weighted], dtype=np.int64)
    found = weighted_percentile(values, counts, percentile)
    if counts.sum() == 0:
        assert found == -math.inf
    else:
        assert found == pytest.approx(np.percentile(np.repeat(values, counts), percentile))


def test_percentile_zero_drops_nothing() -> None:
    values, counts = np.array([5.0, 7.0]), np.array([1, 1], dtype=np.int64)
    assert weighted_percentile(values, counts, 0.0) == -math.inf


def test_the_filters_threshold_lies_between_the_two_nearest_bandwidths() -> None:
    # Occurrences 5, 5, 9; position 0.75·(3−1) = 1.5, half-way between the second 5 and the 9.
    values, counts = np.array([9.0, 5.0]), np.array([1, 2], dtype=np.int64)
    assert weighted_percentile(values, counts, 75.0) == 7.0


def test_connections_that_the_filter_drops_are_those_below_its_threshold() -> None:
    instance = reference_instance({"network.drop_below_percentile": 10})
    options = stage_options(instance, granularity("coarse", 40).sizes)
    found = connections(instance, group_classes(instance), options, as_published=True)
    # 137,446 − 131,114 = 6,332 connections run inside ids 25–34 at 550 GB/s; the rest have 600.
    assert found.threshold_gb_per_s == 600.0
    assert int((found.count - found.kept).sum()) == 6_332


def test_where_there_is_no_link_there_is_no_connection() -> None:
    # As above, but only the first GPU can send to the second: one of the two pairs is left.
    instance = small_instance(
        GpuType("A10", 2, 4.0, 0.5),
        num_layers=2,
        limits=Limits(tp_degrees=(1,)),
        network=matrix_network([[0, 100], [0, 0]]),
    )
    space = space_of(instance, "exact")
    assert (space.connections_before_filter, space.disjoint_connections) == (1, 1)
