"""Options and size bounds against the scalar formulas of DESIGN.md §4."""

import math
from itertools import pairwise

import pytest
from hypothesis import given

from pipeline.granularity import granularity
from pipeline.instance import GpuType, Instance, Limits
from pipeline.options import Option, SizeBounds, size_bounds, stage_options
from pipeline.performance import performance_model
from tests.builders import reference_instance, small_instance, small_instances


def bounds_of(instance: Instance, gpu: int, degree: int) -> SizeBounds:
    return size_bounds(instance, performance_model(instance), gpu, degree)


def activation_gb(instance: Instance, degree: int) -> float:
    """A(d) = 1.15·( max(7D/d, D) + 2D/d )·b·s·B / 1024³."""
    hidden, work = instance.model.hidden_size, instance.workload
    elements = max(7 * hidden / degree, hidden) + 2 * hidden / degree
    tokens = work.batch_size * work.sequence_length
    return 1.15 * elements * tokens * instance.model.bytes_per_weight / 1024**3


def scalar_bounds(instance: Instance, gpu: int, degree: int) -> tuple[int, int]:
    """Smallest and largest size: floor and ceil of the formulas, the largest at most L."""
    memory, per_layer = instance.pool[gpu].memory_gb, instance.model.layer_gb / degree
    activation = activation_gb(instance, degree)
    largest = min(instance.num_layers, max(0, math.floor((memory - activation) / per_layer)))
    wanted = instance.limits.min_memory_utilization * memory
    filling = max(1, math.ceil((wanted - activation) / per_layer))
    smallest = 1 if activation > wanted else min(filling, largest)
    return max(smallest, instance.limits.min_layers_per_stage), largest


@given(small_instances())
def test_size_bounds_are_those_of_the_scalar_formulas(instance: Instance) -> None:
    # The activations are an odd share of a kilobyte, so no bound falls on a rounding error.
    for gpu in range(len(instance.pool)):
        for degree in instance.degrees(gpu):
            bounds = bounds_of(instance, gpu, degree)
            assert (bounds.smallest, bounds.largest) == scalar_bounds(instance, gpu, degree)


@given(small_instances())
def test_options_are_all_sizes_within_bounds_and_each_fits_memory(instance: Instance) -> None:
    sizes = granularity("coarse", instance.num_layers).sizes
    options = stage_options(instance, sizes)
    assert {(o.gpu, o.degree, o.size) for o in options} == {
        (gpu, degree, size)
        for gpu in range(len(instance.pool))
        for degree in instance.degrees(gpu)
        for size in sizes
        if scalar_bounds(instance, gpu, degree)[0] <= size
        if size <= scalar_bounds(instance, gpu, degree)[1]
    }
    for option in options:
        kind = instance.pool[option.gpu]
        used = option.size * instance.model.layer_gb / option.degree
        used += activation_gb(instance, option.degree)
        assert option.memory_gb == pytest.approx(used)
        assert option.memory_gb <= kind.memory_gb
        assert option.usd_per_hour == option.degree * kind.usd_per_hour


@given(small_instances())
def test_options_are_ordered_and_larger_ones_are_slower(instance: Instance) -> None:
    options = stage_options(instance, range(1, instance.num_layers + 1))
    keys = [(o.gpu, o.degree, o.size) for o in options]
    assert keys == sorted(set(keys))
    for one, other in pairwise(options):
        if (one.gpu, one.degree) == (other.gpu, other.degree):
            assert one.tokens_per_s > other.tokens_per_s


def v100_bounds(degree: int) -> SizeBounds:
    instance = reference_instance()
    v100 = next(i for i, kind in enumerate(instance.pool) if kind.name == "V100")
    return bounds_of(instance, v100, degree)


def test_all_forty_layers_fit_the_v100_at_tp_8() -> None:
    # A(8) = 1.15·(8192 + 2048)·131072·2 / 1024³ = 2.875 GB; 40·3.5/8 + 2.875 = 20.375 ≤ 24 GB.
    # Half of 24 GB: ceil((12 − 2.875) / 0.4375) = ceil(20.86) = 21.
    assert v100_bounds(8) == SizeBounds(21, 40)


@pytest.mark.parametrize(
    ("degree", "largest"),
    [
        # A(1) = 1.15·9·8192·131072·2 / 1024³ = 20.7 GB: (24 − 20.7)/3.5 = 0.94 layers.
        (1, 0),
        # A(2) = half of it = 10.35 GB: (24 − 10.35)/1.75 = 7.8 layers.
        (2, 7),
        # A(4) = 5.175 GB: (24 − 5.175)/0.875 = 21.5 layers.
        (4, 21),
    ],
)
def test_forty_layers_do_not_fit_the_v100_at_smaller_degrees(degree: int, largest: int) -> None:
    assert v100_bounds(degree).largest == largest < 40


def one_gpu(memory_gb: float, **limits: float) -> Instance:
    return small_instance(
        GpuType("A10", 1, memory_gb, 0.5),
        limits=Limits(tp_degrees=(1,), **limits),  # type: ignore[arg-type]
    )


# In the following a layer takes 1 GB and the activations less than 0.001 GB; L is 6.


def test_the_smallest_size_fills_the_share_of_memory_asked_for() -> None:
    # Half of 7 GB: 3 layers take 3.0 GB, 4 take 4.0 GB.
    assert bounds_of(one_gpu(7.0, min_memory_utilization=0.5), 0, 1) == SizeBounds(4, 6)


def test_a_model_too_small_to_fill_the_memory_may_still_be_placed_whole() -> None:
    # Half of 20 GB would take 10 layers of the 6 there are.
    assert bounds_of(one_gpu(20.0, min_memory_utilization=0.5), 0, 1) == SizeBounds(6, 6)


def test_a_utilization_that_no_whole_layer_reaches_asks_for_the_largest_size() -> None:
    # 99 % of 4.5 GB lies between 4 layers, the most that fit, and 5.
    assert bounds_of(one_gpu(4.5, min_memory_utilization=0.99), 0, 1) == SizeBounds(4, 4)


def test_where_not_one_layer_fits_there_is_no_option() -> None:
    instance = one_gpu(1.0)
    assert bounds_of(instance, 0, 1).largest == 0
    assert stage_options(instance, range(1, 7)) == ()


def test_the_fewest_layers_of_a_stage_may_exceed_what_fits() -> None:
    assert stage_options(one_gpu(2.5, min_layers_per_stage=3), range(1, 7)) == ()


def test_no_degree_exceeds_the_types_count_or_its_largest_degree() -> None:
    instance = small_instance(
        GpuType("A100", 8, 4.0, 1.0, max_tp=2),
        GpuType("T4", 3, 4.0, 0.2),
        GpuType("A10", 4, 4.0, 0.5),
        limits=Limits(tp_degrees=(1, 2, 4), exclude=("A10",)),
    )
    degrees = {(o.gpu, o.degree) for o in stage_options(instance, [1])}
    assert degrees == {(0, 1), (0, 2), (1, 1), (1, 2)}


def test_a_size_given_twice_is_one_option() -> None:
    [option] = stage_options(one_gpu(4.0), [2, 2])
    assert isinstance(option, Option)
    assert option.size == 2


def test_a_size_that_fills_the_memory_to_the_last_byte_fits() -> None:
    needed_gb = 2.0 + activation_gb(one_gpu(4.0), 1)
    assert bounds_of(one_gpu(needed_gb), 0, 1).largest == 2
