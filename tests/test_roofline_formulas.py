"""Each formula of the roofline against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.roofline.communication import (
    all_reduce_seconds,
    hop_seconds,
    ring_steps,
    shared_bus_factor,
)
from pipeline.roofline.compute import (
    activation_bytes,
    causal_pairs,
    gemm_seconds,
    smooth_max,
    touched_experts,
)
from pipeline.roofline.memory import (
    concurrency_limit,
    kv_bytes_per_token,
    kv_room_tokens,
    weight_bytes_per_gpu,
)

positive = st.floats(1e-6, 1e6)


def test_smooth_max_of_equal_times_is_their_p_norm() -> None:
    # (1² + 1²)^½
    assert smooth_max(1.0, 1.0, 2.0) == pytest.approx(math.sqrt(2))


@given(first=positive, second=positive, sharpness=st.floats(1.0, 30.0))
def test_smooth_max_lies_between_the_larger_and_the_sum(
    first: float, second: float, sharpness: float
) -> None:
    value = float(smooth_max(first, second, sharpness))
    assert max(first, second) * (1 - 1e-12) <= value <= (first + second) * (1 + 1e-12)


def test_gemm_time_is_bound_by_compute_or_by_memory() -> None:
    # 100 FLOP at 10/s take 10 s, 20 bytes at 5/s take 4 s: (10³ + 4³)^⅓
    assert gemm_seconds(100.0, 20.0, 10.0, 5.0, 3.0) == pytest.approx(1064 ** (1 / 3))
    # a very sharp corner is the plain maximum
    assert gemm_seconds(100.0, 20.0, 10.0, 5.0, 200.0) == pytest.approx(10.0)


def test_touched_experts_grow_from_those_of_one_token_to_all() -> None:
    # 2 of 8 for one token; two tokens: 8·(1 − (6/8)²) = 3.5
    assert touched_experts(1.0, 8.0, 2.0) == pytest.approx(2.0)
    assert touched_experts(2.0, 8.0, 2.0) == pytest.approx(3.5)
    assert touched_experts(1e6, 8.0, 2.0) == pytest.approx(8.0)
    assert touched_experts(5.0, 0.0, 0.0) == 0.0
    assert touched_experts(1.0, 1.0, 1.0) == 1.0


def test_causal_pairs_are_half_the_square_or_a_band() -> None:
    assert causal_pairs(10.0, np.inf) == 50.0
    # the first 4 tokens see 4²/2 = 8, the other 6 see 4 each
    assert causal_pairs(10.0, 4.0) == 8.0 + 24.0


def test_activation_bytes_count_sixteen_bit_reads_and_writes() -> None:
    # 2 bytes · 3 tokens · (12·8 + 5·16/2)
    assert activation_bytes(3.0, 8.0, 16.0, 0.0, 2.0) == 2 * 3 * (96 + 40)


def test_every_copy_for_an_expert_is_read_written_and_summed_on_every_gpu() -> None:
    # two experts a token: 3·2·8 more elements, not split over the two GPUs
    assert activation_bytes(3.0, 8.0, 16.0, 2 * 8.0, 2.0) == 2 * 3 * (96 + 40 + 48)


def test_a_ring_takes_every_step_and_a_switch_hardly_more_for_more_gpus() -> None:
    assert ring_steps(4.0, 0.0) == 6.0
    assert ring_steps(8.0, 1.0) == 2.0


def test_a_shared_bus_loses_bandwidth_as_the_group_grows() -> None:
    assert shared_bus_factor(8.0, 0.0, 0.5) == pytest.approx(0.5)
    assert shared_bus_factor(2.0, 0.0, 0.5) == 1.0
    assert shared_bus_factor(8.0, 1.0, 0.5) == 1.0


def test_all_reduce_adds_latency_and_bandwidth() -> None:
    # d = 4 over PCIe: 6 steps of 1 s, 2·3/4·100/(10·(2/4)^1) = 30 s
    assert all_reduce_seconds(100.0, 4.0, 1.0, 10.0, 0.0, 1.0) == pytest.approx(36.0)
    # d = 8 behind a switch: 2 steps, 2·7/8·100/10 = 17.5 s
    assert all_reduce_seconds(100.0, 8.0, 1.0, 10.0, 1.0, 1.0) == pytest.approx(19.5)
    assert all_reduce_seconds(100.0, 1.0, 1.0, 10.0, 0.0, 1.0) == 0.0


@given(message=positive, degree=st.sampled_from([2, 4, 8]), gamma=st.floats(0.0, 2.0))
def test_all_reduce_over_a_bus_is_never_faster_than_over_a_switch(
    message: float, degree: int, gamma: float
) -> None:
    over_bus = all_reduce_seconds(message, float(degree), 1e-5, 1e10, 0.0, gamma)
    switched = all_reduce_seconds(message, float(degree), 1e-5, 1e10, 1.0, gamma)
    assert over_bus >= switched


def test_a_hop_takes_latency_and_transfer() -> None:
    assert hop_seconds(100.0, 2.0, 50.0) == 4.0


def test_weights_and_cache_are_split_over_layers_and_gpus() -> None:
    assert weight_bytes_per_gpu(10.0, 1000.0, 2.0, 4.0) == 5000.0
    assert kv_bytes_per_token(10.0, 32.0, 2.0) == 640.0


def test_kv_room_is_a_share_of_all_memory_or_of_what_is_free() -> None:
    # 0.9·100 − 50 − 10 = 30 bytes; 0.9·(100 − 60) = 36 bytes; 3 bytes a token
    assert kv_room_tokens(100.0, 0.9, 50.0, 10.0, 3.0, 0.0) == pytest.approx(10.0)
    assert kv_room_tokens(100.0, 0.9, 50.0, 10.0, 3.0, 1.0) == pytest.approx(12.0)
    assert kv_room_tokens(100.0, 0.9, 150.0, 10.0, 3.0, 0.0) == 0.0


def test_concurrency_is_room_over_the_mean_length_and_at_least_one() -> None:
    assert concurrency_limit(1000.0, 60.0, 80.0, 0.5) == 10.0
    assert concurrency_limit(10.0, 60.0, 80.0, 0.5) == 1.0
