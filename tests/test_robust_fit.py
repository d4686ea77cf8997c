"""The robust, regularised fit on problems with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.robust_fit import Belief, Estimate, Noise, fit, influence, loss

NOISE = Noise(scale=0.1, freedom=3.0)


def linear(design: np.ndarray, target: np.ndarray, spreads: np.ndarray) -> Estimate:
    return fit(
        lambda position: design @ position - target,
        lambda _position, _residual: design,
        np.ones(target.size),
        Belief(np.zeros_like(spreads), spreads),
        NOISE,
    )


def test_small_residuals_cost_like_squares_and_large_ones_like_logarithms() -> None:
    # (ν+1)/(2ν) · (r/σ)² for small r
    assert loss(np.array([1e-4]), NOISE)[0] == pytest.approx(4 / 6 * 1e-6, rel=1e-3)
    assert loss(np.array([100.0]), NOISE)[0] == pytest.approx(2 * np.log(1e6 / 3), rel=1e-3)


def test_influence_is_the_slope_of_the_loss_over_the_residual() -> None:
    residual, step = np.array([0.07]), 1e-6
    slope = (loss(residual + step, NOISE) - loss(residual - step, NOISE)) / (2 * step)
    assert influence(residual, NOISE) * residual == pytest.approx(slope, rel=1e-6)


def test_a_straight_line_is_found_despite_wild_rows() -> None:
    generator = np.random.default_rng(0)
    design = np.column_stack([np.ones(60), np.linspace(-1, 1, 60)])
    target = design @ np.array([0.3, -0.7]) + 0.01 * generator.standard_normal(60)
    target[::7] += 5.0
    estimate = linear(design, target, np.array([10.0, 10.0]))
    assert estimate.converged
    assert estimate.position == pytest.approx([0.3, -0.7], abs=0.02)


def test_a_fit_has_the_steps_that_a_long_way_takes() -> None:
    """A step is at most 0.7; of our fits the longest takes between 30 and 45."""
    estimate = linear(np.ones((20, 1)), np.full(20, 28.0), np.array([100.0]))
    assert estimate.converged
    assert estimate.position == pytest.approx([28.0], abs=0.01)


def test_what_the_data_do_not_touch_keeps_its_prior() -> None:
    design = np.column_stack([np.ones(20), np.zeros(20)])
    estimate = linear(design, np.full(20, 0.5), np.array([1.0, 0.4]))
    assert estimate.position[1] == 0.0
    assert estimate.covariance[1, 1] == pytest.approx(0.4**2)
    assert estimate.position[0] == pytest.approx(0.5, abs=0.01)


def test_a_prior_about_anything_is_where_the_fit_begins_and_ends_without_data() -> None:
    design = np.column_stack([np.ones(20), np.zeros(20)])
    before = Belief(np.array([5.0, -1.5]), np.array([10.0, 0.4]))
    estimate = fit(
        lambda position: design @ position - 0.5,
        lambda _position, _residual: design,
        np.ones(20),
        before,
        NOISE,
    )
    assert estimate.position == pytest.approx([0.5, -1.5], abs=0.01)
    assert estimate.covariance[1, 1] == pytest.approx(0.4**2)


def test_a_tight_prior_shrinks_the_estimate() -> None:
    design, target = np.ones((1, 1)), np.array([0.2])
    loose = linear(design, target, np.array([10.0])).position[0]
    tight = linear(design, target, np.array([0.02])).position[0]
    assert 0.0 < tight < 0.05 < loose


def test_the_objective_only_ever_falls() -> None:
    design = np.random.default_rng(1).standard_normal((30, 3))
    estimate = linear(design, design @ np.array([1.0, 2.0, -1.0]), np.full(3, 5.0))
    start = float(loss(-(design @ np.array([1.0, 2.0, -1.0])), NOISE).sum())
    assert estimate.objective < start
