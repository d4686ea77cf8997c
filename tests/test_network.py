"""Zones must never change a bandwidth: every test compares pairs of single GPUs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import network
from pipeline.network import Override, TooManyZonesError, matrix_network, uniform_network
from tests.builders import matrices, overrides
from tests.fuzz.contract import observed

SIZES = st.integers(1, 9)


@given(SIZES.flatmap(matrices))
def test_zones_of_a_matrix_leave_every_pairs_bandwidth_as_it_was(matrix: list[list[float]]) -> None:
    network = matrix_network(matrix)
    for one, row in enumerate(matrix):
        for other, gb_per_s in enumerate(row):
            if one != other:
                assert network.between(one, other) == gb_per_s


@given(SIZES.flatmap(lambda n: st.tuples(st.just(n), overrides(n))))
def test_of_overrides_that_apply_to_a_link_the_last_one_holds(
    drawn: tuple[int, list[Override]],
) -> None:
    num_gpus, exceptions = drawn
    network = uniform_network(num_gpus, 600.0, exceptions)
    for one in range(num_gpus):
        for other in range(num_gpus):
            if one == other:
                continue
            expected = 600.0
            for o in exceptions:
                to = o.gpus if o.to is None else o.to
                if (one in o.gpus and other in to) or (one in to and other in o.gpus):
                    expected = o.gb_per_s
            assert network.between(one, other) == expected


@given(SIZES.flatmap(lambda n: st.tuples(matrices(n), st.permutations(range(n)))))
def test_as_many_zones_are_found_whatever_the_order_of_the_gpus(
    drawn: tuple[list[list[float]], list[int]],
) -> None:
    matrix, order = drawn
    shuffled = [[matrix[a][b] for b in order] for a in order]
    zones = {max(matrix_network(m).zone_of) for m in (matrix, shuffled)}
    assert len(zones) == 1


@given(SIZES.flatmap(lambda n: st.tuples(matrices(n), st.frozensets(st.integers(0, n - 1)))))
def test_the_slowest_link_inside_a_group_is_the_least_over_its_pairs(
    drawn: tuple[list[list[float]], frozenset[int]],
) -> None:
    matrix, ids = drawn
    network = matrix_network(matrix)
    pairs = [matrix[a][b] for a in ids for b in ids if a != b]
    zones = [network.zone_of[i] for i in sorted(ids)]
    assert network.slowest_inside(zones) == min(pairs, default=math.inf)


def test_a_uniform_network_is_one_zone() -> None:
    assert uniform_network(4_000, 600.0).zone_of == (0,) * 4_000
    matrix = [[0.0 if a == b else 600.0 for b in range(20)] for a in range(20)]
    assert matrix_network(matrix).zone_of == (0,) * 20


def test_a_slow_rack_is_a_zone_of_its_own() -> None:
    network = uniform_network(6, 600.0, [Override(frozenset({2, 3}), None, 550.0)])
    assert network.zone_of == (0, 0, 1, 1, 0, 0)
    assert network.zone_gb_per_s == ((600.0, 600.0), (600.0, 550.0))


def test_gpus_that_send_alike_but_receive_unlike_are_not_merged() -> None:
    # Rows of GPU 0 and 1 agree (both send 5 to GPU 2); the columns do not (they receive 7 and 8).
    network = matrix_network([[0, 9, 5], [9, 0, 5], [7, 8, 0]])
    assert network.zone_of == (0, 1, 2)


def test_the_diagonal_of_a_matrix_is_not_read() -> None:
    with_diagonal = matrix_network([[1.0, 5.0], [5.0, 2.0]])
    assert with_diagonal == matrix_network([[0.0, 5.0], [5.0, 0.0]])


def test_gpus_that_receive_the_same_speeds_from_different_gpus_are_not_merged() -> None:
    # GPU 0 and 1 send alike and receive {7, 8, 9} alike, but GPU 2 sends 7 to one and 8 to the
    # other.
    network = matrix_network([[0, 9, 5, 5], [9, 0, 5, 5], [7, 8, 0, 1], [8, 7, 1, 0]])
    assert network.zone_of[0] != network.zone_of[1]


def test_a_ring_of_more_gpus_than_can_be_told_apart_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "MAX_ZONES", 5)
    # Every GPU of a ring has the same bandwidths in another order.
    ring = [[float(10 + (b - a) % 6) for b in range(6)] for a in range(6)]
    assert len(matrix_network([row[:5] for row in ring[:5]]).zone_gb_per_s) == 5
    with pytest.raises(TooManyZonesError):
        matrix_network(ring)
    alone = [Override(frozenset({gpu}), None, 1.0) for gpu in range(5)]
    assert len(uniform_network(5, 1.0, alone).zone_gb_per_s) == 5
    with pytest.raises(TooManyZonesError):
        uniform_network(6, 1.0, alone)


def test_a_thousand_gpus_with_the_same_speeds_in_other_orders_are_told_apart_soon() -> None:
    # Row i is row 0 moved on by i, and as many GPUs to the left as to the right have each speed.
    row = 100.0 + np.minimum(np.arange(1000), 1000 - np.arange(1000))
    ring = [np.roll(row, gpu).tolist() for gpu in range(1000)]
    outcome = observed(lambda: matrix_network(ring))
    assert outcome.failure is None
    assert outcome.seconds < 4.0
