"""Numbering and degrees of a pool."""

from hypothesis import given

from pipeline.config import load_config
from pipeline.instance import GpuType, Instance, Limits
from tests import oracles
from tests.builders import CONFIGS, small_instance, small_instances


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


def test_under_roofline_a_degree_that_does_not_split_the_heads_is_left_out() -> None:
    """20 heads and 20 of keys and values: 2 and 4 divide them, 8 does not."""
    heads = [("model.num_attention_heads", 20), ("model.num_key_value_heads", 20)]
    loaded = load_config(CONFIGS / "llama-3.1-70b-cloud.yaml", [*heads, ("model.head_dim", 128)])
    degrees = {kind.name: loaded.instance.degrees(i) for i, kind in enumerate(loaded.instance.pool)}
    assert set(degrees.values()) == {(1, 2, 4)}
