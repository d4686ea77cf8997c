"""Numbering and degrees of a pool."""

from hypothesis import given

from pipeline.instance import GpuType, Instance, Limits
from tests import oracles
from tests.builders import small_instance, small_instances


def test_gpu_ids_are_numbered_in_pool_order() -> None:
    instance = small_instance(
        GpuType("T4", 3, 2.0, 0.2), GpuType("A100", 2, 4.0, 1.0), GpuType("A10", 1, 4.0, 0.5)
    )
    assert instance.first_gpu_ids == (0, 3, 5)


@given(small_instances())
def test_degrees_of_a_type_are_those_of_its_groups(instance: Instance) -> None:
    groups = oracles.all_groups(instance)
    for gpu in range(len(instance.pool)):
        degrees = sorted({group.degree for group in groups if group.gpu == gpu})
        assert instance.degrees(gpu) == tuple(degrees)


def test_a_degree_listed_twice_counts_once() -> None:
    instance = small_instance(limits=Limits(tp_degrees=(2, 1, 2)))
    assert instance.degrees(0) == (1, 2)


def test_an_excluded_type_has_no_degrees() -> None:
    instance = small_instance(limits=Limits(exclude=("A100",)))
    assert instance.degrees(0) == ()
    assert instance.degrees(1) == (1, 2)
