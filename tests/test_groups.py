"""Classes of groups against the enumeration of single groups."""

from collections import Counter
from itertools import product

import numpy as np
from hypothesis import given

from pipeline.groups import GroupClasses, group_classes, hop_gb_per_s, slowest_pair_gb_per_s
from pipeline.instance import GpuType, Instance, Limits
from pipeline.network import Override, uniform_network
from tests import oracles
from tests.builders import small_instance, small_instances


def class_of(groups: GroupClasses, group: oracles.Group) -> int:
    return groups.class_at[group.ids[0], group.degree]


@given(small_instances())
def test_every_group_is_in_exactly_one_class_of_its_type_and_degree(instance: Instance) -> None:
    for by_network in (True, False):
        classed = [
            oracles.Group(c.gpu, tuple(range(first, first + c.degree)))
            for c in group_classes(instance, by_network)
            for first in c.first_gpu_ids
        ]
        assert Counter(classed) == Counter(oracles.all_groups(instance))


@given(small_instances())
def test_without_the_network_there_is_one_class_per_type_and_degree(instance: Instance) -> None:
    kinds = [(c.gpu, c.degree) for c in group_classes(instance, by_network=False)]
    assert kinds == sorted({(g.gpu, g.degree) for g in oracles.all_groups(instance)})


@given(small_instances(max_types=3))
def test_overlapping_and_disjoint_pairs_are_those_of_an_enumeration(instance: Instance) -> None:
    for by_network in (True, False):
        groups = group_classes(instance, by_network)
        overlapping = np.zeros((len(groups), len(groups)), dtype=int)
        disjoint = np.zeros_like(overlapping)
        for one, other in product(oracles.all_groups(instance), repeat=2):
            pairs = overlapping if one.overlaps(other) else disjoint
            pairs[class_of(groups, one), class_of(groups, other)] += 1
        assert (groups.overlapping_pairs() == overlapping).all()
        assert (groups.disjoint_pairs() == disjoint).all()


@given(small_instances(max_types=3))
def test_across_types_equal_numbers_are_taken_for_the_same_gpu(instance: Instance) -> None:
    groups = group_classes(instance)
    overlapping = np.zeros((len(groups), len(groups)), dtype=int)
    for one, other in product(oracles.all_groups(instance), repeat=2):
        numbers = [{i - instance.first_gpu_ids[g.gpu] for i in g.ids} for g in (one, other)]
        if numbers[0] & numbers[1]:
            overlapping[class_of(groups, one), class_of(groups, other)] += 1
    assert (groups.overlapping_pairs_as_published() == overlapping).all()


@given(small_instances())
def test_all_blocks_of_a_class_contain_the_same_blocks_of_other_classes(instance: Instance) -> None:
    groups = group_classes(instance)
    for outer in oracles.all_groups(instance):
        inside = Counter(
            class_of(groups, inner)
            for inner in oracles.all_groups(instance)
            if set(inner.ids) < set(outer.ids)
        )
        index = class_of(groups, outer)
        stated = {inner: n for (o, inner), n in groups.contained.items() if o == index}
        assert stated == inside


@given(small_instances(max_types=3))
def test_hops_between_classes_have_the_bandwidth_of_any_of_their_members(
    instance: Instance,
) -> None:
    groups = group_classes(instance)
    hops = hop_gb_per_s(instance.network, groups)
    slowest = slowest_pair_gb_per_s(instance.network, groups)
    for one, other in product(oracles.all_groups(instance), repeat=2):
        if not one.overlaps(other):
            at = class_of(groups, one), class_of(groups, other)
            assert hops[at] == oracles.hop_gb_per_s(instance, one, other)
            assert slowest[at] == oracles.slowest_pair_gb_per_s(instance, one, other)


def test_gpus_left_over_after_the_last_whole_block_form_no_group() -> None:
    instance = small_instance(GpuType("A10", 6, 4.0, 0.5), limits=Limits(tp_degrees=(1, 4)))
    assert [c.first_gpu_ids for c in group_classes(instance)] == [(0, 1, 2, 3, 4, 5), (0,)]


def test_groups_that_straddle_a_slow_link_differently_are_of_different_classes() -> None:
    # GPUs 1 and 2 are slow between themselves: the pairs {0,1} and {2,3} hold one slow GPU each,
    # but in another order, and the lowest id is the one that a hop starts from.
    network = uniform_network(4, 600.0, [Override(frozenset({1, 2}), None, 100.0)])
    instance = small_instance(
        GpuType("A10", 4, 4.0, 0.5), network=network, limits=Limits(tp_degrees=(2,))
    )
    groups = group_classes(instance)
    assert [c.zones for c in groups] == [(0, 1), (1, 0)]
    # Ring inside each: 600 · (2−1)/2 = 300, below the direct link of 600 from 0 to 2.
    assert hop_gb_per_s(instance.network, groups)[0, 1] == 300.0
    # 1 → 2 is the slowest pair between the two.
    assert slowest_pair_gb_per_s(instance.network, groups)[0, 1] == 100.0
