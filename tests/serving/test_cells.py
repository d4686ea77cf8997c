"""Cells cut in two, and proofs that hold in every part."""

import numpy as np
import pytest

from pipeline.restrictions import even_stages
from pipeline.serving.cells import Proofs, one_cell, one_cell_each, one_cell_for_each


def test_a_cut_leaves_two_parts_that_meet() -> None:
    cells = one_cell_each(3, max_stages=8).cut_at_time(1, 0.5).cut_at_time(3, 0.7)
    assert cells.decision.tolist() == [0, 1, 2, 1, 1]
    assert cells.parents.tolist() == [0, 1, 2, 1, 3]
    assert cells.low_s.tolist() == [0.0, 0.0, 0.0, 0.5, 0.7]
    assert cells.high_s.tolist() == [np.inf, 0.5, np.inf, 0.7, np.inf]
    assert cells.same_stages(3).all()


def test_cutting_leaves_the_cells_before_it_as_they_were() -> None:
    cells = one_cell(2, max_stages=4)
    cells.cut_at_time(0, 0.1)
    assert (cells.decision.tolist(), cells.high_s.tolist()) == ([2], [np.inf])


def test_cells_by_ranges_of_stages_know_those_of_the_same_range() -> None:
    cells = one_cell_for_each(2, [(1, 1), (2, 3)])
    assert cells.decision.tolist() == [0, 0, 1, 1]
    assert cells.fewest_stages.tolist() == [1, 2, 1, 2]
    assert cells.most_stages.tolist() == [1, 3, 1, 3]
    assert cells.same_stages(1).tolist() == [False, True, False, True]


@pytest.mark.parametrize("layers", [1, 12, 40, 61, 10_000])
def test_ranges_of_stages_of_even_sizes_are_few_and_fix_the_smaller_size(layers: int) -> None:
    """One cell for each of 10,000 numbers of stages, under every load, took 22 GB."""
    for most in (1, 8, layers):
        ranges = even_stages(layers, most)
        assert [s for low, high in ranges for s in range(low, high + 1)] == [*range(1, most + 1)][
            :layers
        ]
        assert all(layers // low == layers // high for low, high in ranges)
        assert len(ranges) <= 2 * layers**0.5


def test_a_proof_speaks_for_higher_throughputs_and_for_parts() -> None:
    proofs, first, second = Proofs(), np.array([0]), np.array([2])
    proofs.add(first, tokens_per_s=10.0, usd_per_hour=3.0)
    proofs.add(first, tokens_per_s=20.0, usd_per_hour=2.0)
    proofs.inherit(child=2, parent=0)
    proofs.add(second, tokens_per_s=30.0, usd_per_hour=7.0)
    assert proofs.least_costs(np.array([9.0, 50.0, 10.0])).tolist() == [0.0, 0.0, 3.0]
    assert proofs.least_costs(np.array([40.0, 50.0, 40.0])).tolist() == [3.0, 0.0, 7.0]


def test_a_proof_may_be_of_several_cells() -> None:
    proofs = Proofs()
    proofs.add(np.array([0, 2]), tokens_per_s=10.0, usd_per_hour=3.0)
    assert proofs.least_costs(np.full(3, 10.0)).tolist() == [3.0, 0.0, 3.0]
