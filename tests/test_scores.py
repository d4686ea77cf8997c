"""Scores on data small enough to work out by hand."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scores import (
    average_ranks,
    choice_scores,
    error_scores,
    pair_outcomes,
    scores_by_group,
    spearman,
)
from tests.fuzz.contract import observed

PREDICTED = np.array([110.0, 180.0, 330.0, 400.0])
MEASURED = np.array([100.0, 200.0, 300.0, 500.0])


def test_errors_are_relative_to_what_was_measured() -> None:
    # +10 %, −10 %, +10 %, −20 %
    scores = error_scores(PREDICTED, MEASURED)
    assert scores.rows == 4
    assert scores.median == pytest.approx(0.1)
    assert scores.mean == pytest.approx(0.125)
    assert scores.p90 == pytest.approx(0.1 + 0.7 * 0.1)
    assert scores.bias == pytest.approx(0.0)
    assert scores.spearman == pytest.approx(1.0)


def test_ties_share_their_mean_rank() -> None:
    assert average_ranks(np.array([3.0, 1.0, 3.0])).tolist() == [2.5, 1.0, 2.5]


def test_spearman_is_one_minus_six_d_squared_without_ties() -> None:
    # ranks 1 2 3 4 against 2 1 3 4: Σd² = 2, 1 − 6·2/(4·15)
    assert spearman(np.arange(4.0), np.array([2.0, 1.0, 3.0, 4.0])) == pytest.approx(0.8)
    assert math.isnan(spearman(np.ones(3), np.arange(3.0)))


@given(st.lists(st.integers(1, 50), min_size=2, max_size=12, unique=True))
def test_spearman_does_not_change_under_monotone_maps(values: list[int]) -> None:
    first = np.array(values, dtype=float)
    assert spearman(first, np.exp(first / 10)) == pytest.approx(1.0)


def test_pairs_skip_equal_measurements_and_halve_equal_predictions() -> None:
    measured = np.array([1.0, 1.0, 2.0, 3.0])
    predicted = np.array([5.0, 6.0, 6.0, 4.0])
    # pairs with different values: (0,2) right, (0,3) wrong, (1,2) half, (1,3) wrong, (2,3) wrong
    assert pair_outcomes(predicted, measured) == (5, 1.5)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=30))
def test_pairs_are_those_that_a_look_at_each_of_them_finds(rows: list[tuple[int, int]]) -> None:
    pairs = [(one, other) for one, other in combinations(rows, 2) if one[1] != other[1]]
    signs = [(one[0] - other[0]) * (one[1] - other[1]) for one, other in pairs]
    right = sum(1.0 if sign > 0 else 0.5 if sign == 0 else 0.0 for sign in signs)
    predicted, measured = np.array(rows, dtype=float).T
    assert pair_outcomes(predicted, measured) == (len(pairs), right)


def test_a_hundred_thousand_alternatives_are_scored_in_little_memory() -> None:
    measured = np.arange(100_000.0)
    outcomes: list[tuple[int, float]] = []
    outcome = observed(lambda: outcomes.append(pair_outcomes(-measured, measured)))
    assert (outcome.failure, outcomes) == (None, [(4_999_950_000, 0.0)])


def test_regret_is_what_the_predicted_best_loses() -> None:
    # group a: picks 80 of 100; group b: picks its best; c has one member and no choice
    predicted = np.array([2.0, 1.0, 5.0, 4.0, 1.0])
    measured = np.array([80.0, 100.0, 9.0, 8.0, 1.0])
    scores = choice_scores(predicted, measured, ["a", "a", "b", "b", "c"])
    assert (scores.workloads, scores.pairs) == (2, 2)
    assert scores.regret == pytest.approx((0.2 + 0.0) / 2)
    assert scores.pairs_right == pytest.approx(0.5)


def test_without_alternatives_there_is_no_choice_to_score() -> None:
    scores = choice_scores(np.ones(2), np.ones(2), ["a", "b"])
    assert scores.pairs == 0
    assert math.isnan(scores.regret)
    assert math.isnan(scores.pairs_right)


def test_scores_by_group_are_those_of_its_rows() -> None:
    # b: 110/4 against 330/4 tokens/s per GPU in one workload, ranked as measured;
    # a: 180/1 against 400/4 in one workload, and so are 200/1 and 500/4
    gpus, workloads = np.array([4.0, 1.0, 4.0, 4.0]), ["x", "y", "x", "y"]
    scores = scores_by_group(PREDICTED, MEASURED, gpus, workloads, ["b", "a", "b", "a"])
    assert list(scores) == ["a", "b"]
    assert scores["b"].median == pytest.approx(0.1)
    assert scores["a"].rows == 2
    assert (scores["a"].pairs, scores["a"].pairs_right, scores["a"].regret) == (1, 1.0, 0.0)
